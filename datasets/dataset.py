"""`Dataset`: three disjoint trajectories, and what is known about them for scoring."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gnsim.state import Trajectory


@dataclass(frozen=True)
class Dataset:
    """Trajectories to learn from, to choose by and to be tested on.

    `reference` (true values per body), `law` (the true radial pair force dV/dr, positive where
    it attracts, in r, mass_i, mass_j, charge_i, charge_j, and the `constants` that stand in it more
    than once) and `terms` (the coefficients of the true forces on single bodies, by the names of
    `gnsim.models.terms`) are for scoring; no learner sees them.
    """

    name: str
    train: Trajectory
    valid: Trajectory
    test: Trajectory
    description: str
    reference: Mapping[str, np.ndarray] = field(default_factory=dict)
    law: str | None = None
    terms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all three parts: their numbers, names, units, and whether velocities came."""
        digest = hashlib.sha256()
        for trajectory in (self.train, self.valid, self.test):
            _digest(trajectory, digest.update)
        return digest.hexdigest()


def _digest(trajectory: Trajectory, update: Callable[[Any], None]) -> None:
    words = (trajectory.names, astuple(trajectory.units), trajectory.velocity_given)
    update(f"{words!r}\n".encode())
    arrays = {
        "t": trajectory.t,
        "q": trajectory.q,
        "p": trajectory.p,
        "batch": trajectory.batch,
        **{
            f"attribute {name}": trajectory.attributes[name]
            for name in sorted(trajectory.attributes)
        },
    }
    if trajectory.box is not None:
        arrays["box"] = trajectory.box
    if trajectory.bonds is not None:
        arrays["bonds"] = trajectory.bonds
    if trajectory.walls is not None:
        arrays["walls"] = trajectory.walls
    for name, tensor in arrays.items():
        array = np.ascontiguousarray(tensor.detach().cpu().numpy())
        update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        update(array.reshape(-1).view(np.uint8))


@dataclass(frozen=True)
class Source:
    """A built-in origin of data: its name, what it is, its settings and how it is built.

    `whole` gives the trajectories that a data set is split from, where it is made so.
    """

    name: str
    description: str
    settings: type
    build: Callable[[Any], Dataset]
    whole: Callable[[Any], Trajectory] | None = None
