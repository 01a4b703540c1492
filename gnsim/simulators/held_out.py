"""Which data a trained simulator may be measured on: of the same kind, and none it learned from."""

from collections.abc import Iterator
from dataclasses import astuple
from itertools import pairwise

import torch

from gnsim.datasets import Dataset
from gnsim.errors import InputError
from gnsim.state import Trajectory, Units


def require_held_out(own: Dataset, other: Dataset) -> None:
    """Raises InputError where trajectories to test on are among those that were learned from.

    Such are known by the positions at their first two frames.
    """
    seen = {pair for part in (own.train, own.valid) for pair in _pairs(part)}
    if any(pair in seen for pair in _pairs(other.test.frames(slice(2)))):
        raise InputError(
            f"{other.name}: wanted trajectories that were not learned from, found one that stands "
            "in the training data of the run; give other ones, or evaluate its own held-out ones"
        )


def require_same_kind(own: Dataset, other: Dataset) -> None:
    """Raises InputError for units that are not those of the training, or a box or walls in one
    alone."""
    mine, theirs = own.train, other.test
    if mine.units != theirs.units:
        raise InputError(
            f"{other.name}: units: wanted those of the training, {_named(mine.units)}, found "
            f"{_named(theirs.units)}; convert the data"
        )
    if (wanted := _space(mine)) != (found := _space(theirs)):
        raise InputError(
            f"{other.name}: wanted {wanted}, as in the training, found {found}; "
            "give data of the same kind of space"
        )


def _space(part: Trajectory) -> str:
    if part.box is not None:
        return "a periodic box"
    return "open space" if part.walls is None else "walls"


def _named(units: Units) -> str:
    return ", ".join(filter(None, astuple(units))) or "none"


def _pairs(part: Trajectory) -> Iterator[int]:
    """A number for the positions at each two frames in succession of each system, to the bit.

    Momenta may be estimated, and are then others where a trajectory was cut.
    """
    for system in part.q.to(torch.float64).split(part.batch.bincount().tolist(), 1):
        frames = [hash(frame.numpy().tobytes()) for frame in system]
        yield from map(hash, pairwise(frames))
