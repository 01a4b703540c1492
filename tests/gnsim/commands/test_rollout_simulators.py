"""``gnsim rollout`` of simulators: the files that it writes, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from simulator_runs import DATA, PAST, SOURCE, TINY, refused

from gnsim.cli import run
from gnsim.datasets import load as load_data
from gnsim.datasets import read, simulate, write


def test_rollouts_are_written_in_all_formats(
    trained: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    command = ["rollout", str(trained), "--steps", "3", "--out"]
    assert run([*command, str(tmp_path / "a.h5")]) == 0
    assert run([*command, str(tmp_path / "a.pvd")]) == 0
    assert run([*command, str(tmp_path / "theirs")]) == 0
    assert capsys.readouterr().out.count("3 steps, relative position error at the end") == 3
    path, truth = read(tmp_path / "a.h5"), load_data("spring", **DATA).test
    assert len(path) == 4
    assert torch.equal(path.q[0], truth.q[0])
    assert not torch.equal(path.q[1], truth.q[1])
    assert len(list((tmp_path / "a").glob("*.vtp"))) == 4
    with np.load(tmp_path / "theirs" / "rollout_0.npz") as theirs:
        np.testing.assert_array_equal(theirs["predicted_rollout"], path.q.float())
        np.testing.assert_array_equal(theirs["ground_truth_rollout"], truth.q[:4].float())


def test_rollouts_on_other_data_begin_after_what_is_remembered(
    capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    folder, out = tmp_path / "run", tmp_path / "a.npz"
    assert run(["train", *SOURCE, *TINY, *PAST, "--model", "gns", "--out", str(folder)]) == 0
    assert run(["rollout", str(folder), "data.bodies=5", "--out", str(out)]) == 0
    assert "5 steps, relative position error" in capsys.readouterr().out
    path = read(out)
    truth = load_data("spring", **{**DATA, "bodies": 5, "seed": 1}).test
    assert len(path) == len(truth) == 8
    assert torch.equal(path.q[:3], truth.q[:3])
    assert not torch.equal(path.q[3], truth.q[3])


def test_what_no_file_can_hold_is_refused_before_the_rollout(
    trained: Path, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.h5"
    small, large = (simulate("spring", **{**DATA, "bodies": n, "seed": n}) for n in (3, 4))
    fields = {
        name: torch.cat([getattr(small, name), getattr(large, name)], 1) for name in ("q", "p")
    }
    batch = torch.cat([small.batch, large.batch + small.num_systems])
    attributes = {k: torch.cat([x, large.attributes[k]]) for k, x in small.attributes.items()}
    write(other, replace(small, **fields, batch=batch, attributes=attributes))
    on_other = ["rollout", str(trained), "--on", str(other), "--out"]
    assert run([*on_other, str(tmp_path / "a.h5")]) == 0
    monkeypatch.setattr("gnsim.simulators.runs.followed", lambda *_: pytest.fail("rolled out"))
    words = "wanted as many bodies in every trajectory, found 3 to 4; write .h5 instead"
    assert words in refused([*on_other, str(tmp_path / "a.npz")], capsys)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--of", "law"], "--of: wanted network, the simulator of this run, found law"),
        (["--out", "a.txt"], "--out: wanted a file ending in .h5, .hdf5, .npz, .pvd"),
        (["--out", "no/such"], "--out: there is no folder 'no'"),
        (["--out", "no/such.pvd"], "--out: there is no folder 'no'"),
        (["--out", "pyproject"], "--out: wanted a folder, found a file 'pyproject'"),
        (["--out", "pyproject.pvd"], "--out: wanted a folder, found a file 'pyproject'"),
        (["--steps", "99"], "--steps: wanted at most 7"),
        (["simulator.steps=9"], "setting 'simulator.steps': wanted data.KEY=VALUE"),
        (["--on", "nowhere"], "unknown data set 'nowhere'"),
    ],
)
def test_rollouts_that_cannot_be_are_named(
    more: list[str],
    words: str,
    trained: Path,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject").touch()
    before = sorted(trained.iterdir())
    assert words in refused(["rollout", str(trained), *more], capsys)
    assert sorted(trained.iterdir()) == before
