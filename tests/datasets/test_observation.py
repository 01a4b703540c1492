"""What is seen of a true trajectory: noise, intervals, velocities; and that it stays the same."""

import numpy as np
import pytest
import torch

from gnsim.cli import run
from gnsim.datasets import load, read, simulate, write

QUICK = {"trajectories": 20, "bodies": 3, "dim": 2, "frames": 12}
#: of a standard deviation from 1440 numbers: four times 1 / sqrt(2 n)
SCATTER = 0.075


@pytest.fixture(scope="module")
def clean():
    return simulate("spring", **QUICK)


@pytest.mark.parametrize("noise", [0.01, 0.2])
def test_noise_is_relative_to_the_spread_and_changes_nothing_else(clean, noise):
    seen = simulate("spring", **QUICK, noise=noise)
    for found, true in ((seen.q, clean.q), (seen.velocity, clean.velocity)):
        error = (found - true) / (true - true.mean((0, 1))).square().mean().sqrt()
        assert abs(error.std() / noise - 1) < SCATTER
        assert abs(error.mean() / noise) < SCATTER
    assert torch.equal(seen.t, clean.t)
    assert torch.equal(seen.mass, clean.mass)
    assert torch.equal(simulate("spring", **QUICK, noise=noise).q, seen.q)
    of_q = (seen.q - clean.q) / (seen.q - clean.q).std()
    of_v = (seen.velocity - clean.velocity) / (seen.velocity - clean.velocity).std()
    assert abs((of_q * of_v).mean()) < 2 * SCATTER


def test_without_noise_not_a_bit_is_different(clean):
    assert torch.equal(simulate("spring", **QUICK, noise=0.0).q, clean.q)
    assert not torch.equal(simulate("spring", **QUICK, noise=1e-9).q, clean.q)


def test_a_longer_interval_leaves_frames_out(clean):
    coarse = simulate("spring", **{**QUICK, "frames": 4}, interval=0.3)
    assert (coarse.q - clean.q[::3]).abs().max() < 1e-9
    assert (coarse.q - clean.q[:4]).abs().max() > 0.1


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_velocities_left_out_are_those_of_a_file_without_them(clean, noise, tmp_path):
    seen = simulate("spring", **QUICK, noise=noise)
    hidden = simulate("spring", **QUICK, noise=noise, velocities=False)
    assert seen.velocity_given
    assert not hidden.velocity_given
    assert torch.equal(hidden.q, seen.q)
    assert not torch.equal(hidden.p, seen.p)
    write(tmp_path / "s.npz", hidden)
    assert "v" not in np.load(tmp_path / "s.npz")
    back = read(tmp_path / "s.npz")
    assert not back.velocity_given
    assert torch.equal(back.p, hidden.p)


def test_all_parts_of_a_data_set_are_seen_alike():
    short = {**QUICK, "frames": 4}
    data, clean = load("damped", **short, noise=0.01, velocities=False), load("damped", **short)
    for part in ("train", "valid", "test"):
        found, true = getattr(data, part), getattr(clean, part)
        assert not found.velocity_given
        assert 0 < (found.q - true.q).abs().max() < 0.2
    assert (data.law, data.terms, data.constants) == (clean.law, clean.terms, clean.constants)


def test_data_make_takes_noise_interval_and_velocities(tmp_path):
    made = ["data", "make", "r1", "trajectories=3", "frames=5", "dim=2"]
    assert run([*made, "--out", str(tmp_path / "clean.npz")]) == 0
    seen = ["noise=0.02", "interval=0.1", "velocities=false", "--out", str(tmp_path / "seen.npz")]
    assert run([*made, *seen]) == 0
    clean, seen = (dict(np.load(tmp_path / f"{name}.npz")) for name in ("clean", "seen"))
    assert "v" in clean
    assert "v" not in seen
    np.testing.assert_allclose(seen["t"], 2 * clean["t"], rtol=1e-12)
    assert 0 < np.abs(seen["q"][:, :2] - clean["q"][:, [0, 2]]).max() < 0.2
