"""`System`: a true law, its settings, and how its initial states are drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gnsim.datasets.settings import positive, require, whole
from gnsim.models.pairwise import PairPotential
from gnsim.state import State


@dataclass(frozen=True)
class SystemSettings:
    """How many systems are simulated, for how long, and with which masses."""

    trajectories: int = 50
    bodies: int = 4
    dim: int = 3
    frames: int = 100
    interval: float = 0.1
    seed: int = 0
    equal_masses: bool = False

    def __post_init__(self) -> None:
        for name, least in (
            ("trajectories", 1),
            ("bodies", 2),
            ("dim", 1),
            ("frames", 2),
            ("seed", 0),
        ):
            whole(getattr(self, name), name, least)
        positive(self.interval, "interval")
        require(
            isinstance(self.equal_masses, bool), "equal_masses", "True or False", self.equal_masses
        )


def published_sample(settings: SystemSettings) -> State:
    """Masses LogNormal(0, 1) or all 1, charges +-1, positions and velocities N(0, 1) per component.

    The distributions of Cranmer et al., Discovering Symbolic Models from Deep Learning with
    Inductive Biases, NeurIPS 2020 (arXiv:2006.11287). Every system has its own stream of numbers,
    so that the first trajectories stay the same when more are asked for.
    """
    n, dim = settings.bodies, settings.dim
    mass, charge, q, v = [], [], [], []
    for index in range(settings.trajectories):
        random = np.random.default_rng([settings.seed, index])
        drawn = np.exp(random.standard_normal(n))
        mass.append(np.ones(n) if settings.equal_masses else drawn)
        charge.append(random.choice([-1.0, 1.0], size=n))
        q.append(random.standard_normal((n, dim)))
        v.append(random.standard_normal((n, dim)))
    attributes = {"mass": _joined(mass), "charge": _joined(charge)}
    return State(
        q=_joined(q),
        p=_joined(v) * attributes["mass"][:, None],
        batch=torch.arange(settings.trajectories).repeat_interleave(n),
        attributes=attributes,
    )


def _joined(parts: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts))


@dataclass(frozen=True)
class System:
    """A true law: its pair potential and, for scoring, its radial force dV/dr as an expression.

    Both are functions of the settings. The expression is positive where it attracts, in r, mass_i,
    mass_j, charge_i, charge_j.
    """

    name: str
    description: str
    settings: type
    pair: Callable[[Any], PairPotential]
    law: Callable[[Any], str]
    sample: Callable[[Any], State] = published_sample
