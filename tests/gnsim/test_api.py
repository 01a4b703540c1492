"""Data given in memory: refused before anything is written, and never mistaken for others."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import gnsim.discovery
from gnsim.api import discover
from gnsim.datasets import Dataset, load
from gnsim.errors import InputError
from gnsim.state import Trajectory, Units


class BegunError(Exception):
    """Training was reached."""


@cache
def springs() -> Dataset:
    return load("spring", trajectories=6, bodies=3, dim=2, frames=12)


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise BegunError

    monkeypatch.setattr(gnsim.discovery.chain, "train", stop)


def begun(data: Dataset, out: Path) -> bool:
    """Whether these data are taken into the folder, rather than refused as others."""
    try:
        discover(data, {"symbolic.engine": "operon"}, out=out)
    except BegunError:
        return True
    except InputError as error:
        assert "other data than were given" in str(error)
    return False


def with_test(change: Any) -> Dataset:
    return replace(springs(), test=change(springs().test))


CHANGES = {
    "velocities": lambda part: replace(part, p=1.01 * part.p),
    "masses": lambda part: replace(part, attributes={**part.attributes, "mass": 2 * part.mass}),
    "names": lambda part: replace(part, names=("a", "b", "c") * part.num_systems),
    "times": lambda part: replace(part, t=part.t + 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_is_not_gone_on_with_for_other_data(change: str, tmp_path: Path) -> None:
    assert begun(springs(), tmp_path / "run")
    assert begun(springs(), tmp_path / "run")
    assert not begun(with_test(CHANGES[change]), tmp_path / "run")


def test_data_that_a_file_rounds_are_known_again(tmp_path: Path) -> None:
    parts = {
        name: replace(getattr(springs(), name).to(torch.float32), velocity_given=given)
        for name, given in (("train", True), ("valid", True), ("test", False))
    }
    data = replace(springs(), **parts)
    assert begun(data, tmp_path / "run")
    assert begun(data, tmp_path / "run")


def uneven(part: Trajectory) -> Trajectory:
    return replace(part, t=part.t**2)


def planar(part: Trajectory) -> Trajectory:
    return replace(part, q=part.q[..., :1], p=part.p[..., :1])


UNFIT = {
    "uneven": (uneven, "resample"),
    "one frame": (lambda part: part.frames(slice(1)), "needs 2 frames"),
    "dimension": (planar, "wanted dim"),
    "attributes": (lambda part: replace(part, attributes={}), "wanted attributes"),
    "bodies": (lambda _: load("spring", trajectories=6, bodies=2, dim=2).test, "wanted bodies"),
    "units": (lambda part: replace(part, units=Units("m", "s", "kg")), "wanted units"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_a_test_part_that_does_not_fit_is_refused_before_training(
    fault: str, tmp_path: Path
) -> None:
    change, words = UNFIT[fault]
    with pytest.raises(InputError, match=rf"'test'.*{words}"):
        discover(with_test(change), {"symbolic.engine": "operon"}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_are_refused_before_data_are_written(tmp_path: Path) -> None:
    for wrong in ("symbolic.runs", "training.steps", "rollout.substeps"):
        with pytest.raises(InputError, match=f"{wrong}: wanted"):
            discover(springs(), {wrong: 0}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
