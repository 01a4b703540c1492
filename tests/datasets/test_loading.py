"""`load` by name and by path, and the splits."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gnsim.datasets import DataError, Dataset, load, read
from gnsim.datasets.splits import split
from gnsim.state import Trajectory, Units


def many(systems: int, frames: int = 10) -> Trajectory:
    random = np.random.default_rng(systems)
    q = torch.from_numpy(random.standard_normal((frames, 2 * systems, 2)))
    batch = torch.arange(systems).repeat_interleave(2)
    return Trajectory(t=torch.arange(float(frames)).double(), q=q, p=q, batch=batch)


@pytest.mark.parametrize(("systems", "sizes"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (50, [30, 10, 10])])
def test_many_trajectories_are_split_by_trajectory(systems, sizes):
    whole = many(systems)
    parts = split(whole)
    assert [part.num_systems for part in parts] == sizes
    together = torch.cat([part.q for part in parts], dim=1)
    assert torch.equal(together[0, :, 0].sort().values, whole.q[0, :, 0].sort().values)
    assert all(torch.equal(a.q, b.q) for a, b in zip(parts, split(whole), strict=True))
    if systems > 4:
        assert not torch.equal(split(whole, seed=1)[0].q, parts[0].q)


@pytest.mark.parametrize("systems", [1, 2])
def test_few_trajectories_are_split_in_time(systems):
    whole = many(systems, frames=20)
    parts = split(whole)
    assert [len(part) for part in parts] == [12, 4, 4]
    assert torch.equal(torch.cat([part.q for part in parts]), whole.q)
    with pytest.raises(ValueError, match="at least 6 frames, found 5"):
        split(many(systems, frames=5))


def without_velocities(file, change=0.0):
    """A walk of two bodies whose last 40 % of the positions are moved by `change`."""
    q = np.random.default_rng(1).standard_normal((30, 2, 2)).cumsum(0)
    q[18:] += change
    np.savez(file, t=np.arange(30.0), q=q)
    return load(str(file))


def test_no_estimated_velocity_knows_of_another_part(tmp_path):
    data = without_velocities(tmp_path / "a.npz")
    other = without_velocities(tmp_path / "b.npz", change=5.0)
    assert not data.train.velocity_given
    assert torch.equal(data.train.p, other.train.p)
    whole, changed = (read(tmp_path / name).p[:18] for name in ("a.npz", "b.npz"))
    assert not torch.equal(whole, changed)  # as estimated over the whole file


def test_the_content_is_more_than_positions():
    train, valid, test = split(many(5))
    data = Dataset("walk", train, valid, test, "")
    changes = {
        "momenta": replace(test, p=2 * test.p),
        "times": replace(test, t=2 * test.t),
        "masses": replace(test, attributes={"mass": torch.ones(2).double()}),
        "names": replace(test, names=("a", "b")),
        "units": replace(test, units=Units(length="m")),
        "origin of velocities": replace(test, velocity_given=False),
    }
    hashes = {replace(data, test=changed).content_hash for changed in changes.values()}
    assert len(hashes | {data.content_hash}) == 1 + len(changes)
    assert replace(data, name="other").content_hash == data.content_hash


def test_a_file_is_loaded_by_its_path(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        "t": np.arange(30.0),
        "q": random.random((5, 30, 3, 2)),
        "v": random.random((5, 30, 3, 2)),
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    data = load(str(tmp_path / "mine.npz"))
    assert data.name == "mine"
    assert data.law is None
    assert not data.reference
    assert [part.num_systems for part in (data.train, data.valid, data.test)] == [3, 1, 1]
    with pytest.raises(DataError, match="30 frame"):
        load(str(tmp_path / "mine.npz"), window=30)
    with pytest.raises(ValueError, match="did you mean 'window'"):
        load(str(tmp_path / "mine.npz"), windows=30)
    with pytest.raises(DataError, match=r"no train\.h5, valid\.h5, test\.h5"):
        load(str(tmp_path))


def test_unknown_names_and_missing_files_are_told_apart(tmp_path):
    with pytest.raises(
        ValueError, match=r"unknown data set 'solar-sistem': did you mean 'solar-system'"
    ):
        load("solar-sistem")
    for path in ("nothing.npz", "folder/nothing", str(tmp_path / "x.h5")):
        with pytest.raises(DataError, match="nothing there"):
            load(path)


def test_bare_import_is_refused_with_the_right_name():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", "import datasets"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "gnsim.datasets" in done.stderr
