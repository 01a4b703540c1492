"""The charged five-body benchmark: positions at one frame, to be predicted at a later one.

Five particles in space of charge 1 or -1 and mass 1 repel and attract each other with 1 / r^2. The
recipe is that of Satorras, Hoogeboom and Welling 2021 (arXiv:2102.09844), whose data many have been
compared on: simulated in kicks and drifts of a thousandth, each component of the force on a
particle cut off at 100, every hundredth step kept; 10,000 simulations to train with, of which the
benchmark takes the first 3,000, and 2,000 each to choose by and to be tested on, all drawn in one
stream of numbers. The task: from positions, velocities and charges at frame 30 to positions at
frame 40.

Charges, the starts and all numbers drawn are those of the reference, bit for bit. Motion is the
same up to rounding, which close encounters make large: in the reference distances come from scalar
products, whose last digits depend on the library that adds them up.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import RandomState

from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.settings import require, whole
from gnsim.state import Trajectory

BODIES, DIM = 5, 3
#: simulations that are drawn for each part, one part after the other
DRAWN = {"train": 10_000, "valid": 2_000, "test": 2_000}
#: steps between two frames, the first of which is frame 0, and frames of a simulation
EVERY, FRAMES, STEP = 100, 49, 1e-3
_SPEED, _WALL, LARGEST_FORCE = 0.5, 5.0, 100.0


class Start(NamedTuple):
    """The simulations of a part at their first step."""

    charge: Float[np.ndarray, "sims 5"]
    q: Float[np.ndarray, "sims 3 5"]
    v: Float[np.ndarray, "sims 3 5"]

    def first(self, count: int) -> "Start":
        """So many of them."""
        return Start(*(values[:count] for values in self))


@dataclass(frozen=True)
class ChargedSettings:
    """How many simulations of each part, which frames of them, and the seed of all numbers."""

    train: int = 3_000
    valid: int = 2_000
    test: int = 2_000
    frames: tuple[int, ...] = (30, 40)
    seed: int = 43

    def __post_init__(self) -> None:
        for part, most in DRAWN.items():
            count = getattr(self, part)
            whole(count, part, 1)
            require(count <= most, part, f"at most {most} simulations", count)
        whole(self.seed, "seed", 0)
        frames = list(self.frames)
        for frame in frames:
            whole(frame, "frames", 0)
        rising = frames == sorted(set(frames)) and max(frames, default=0) < FRAMES
        require(len(frames) > 1 and rising, "frames", f"rising frames below {FRAMES}", self.frames)


def drawn(seed: int) -> dict[str, Start]:
    """All simulations of each part."""
    numbers = RandomState(seed)
    return {part: _part(numbers, count) for part, count in DRAWN.items()}


def _part(numbers: RandomState, count: int) -> Start:
    charge, q, v = np.empty((count, BODIES)), *np.empty((2, count, DIM, BODIES))
    for k in range(count):
        charge[k] = numbers.choice([-1.0, 0.0, 1.0], size=(BODIES, 1), p=[0.5, 0, 0.5])[:, 0]
        q[k], v[k] = numbers.randn(DIM, BODIES), numbers.randn(DIM, BODIES)
        # noise of the frames, times a variance of zero
        numbers.randn(2 * FRAMES, DIM, BODIES)
    v *= _SPEED / np.sqrt((v**2).sum(1, keepdims=True))
    # walls are there at the start alone
    out = np.abs(q) > _WALL
    v = np.where(out, -np.sign(q) * np.abs(v), v)
    q = np.where(out, np.sign(q) * 2 * _WALL - q, q)
    return Start(charge, q, v)


def simulated(
    start: Start, frames: tuple[int, ...]
) -> tuple[Float[np.ndarray, "frames sims 5 3"], Float[np.ndarray, "frames sims 5 3"]]:
    """Positions and velocities at `frames`; each velocity is the one before the kick there."""
    # components first and simulations last, so that every operation runs along memory
    x, u = (np.ascontiguousarray(a.transpose(1, 2, 0)) for a in (start.q, start.v))
    products = start.charge.T[:, None] * start.charge.T[None]
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for step in range(1, EVERY * (frames[-1] + 1) + 1):
        u += STEP * _force(x, products)
        x += STEP * u
        if step % EVERY == 0 and step // EVERY - 1 in frames:
            for kept, values in zip(found, (x, u), strict=True):
                kept.append(values.transpose(2, 1, 0).copy())
    return np.stack(found[0]), np.stack(found[1])


def _force(
    x: Float[np.ndarray, "3 5 sims"], products: Float[np.ndarray, "5 5 sims"]
) -> Float[np.ndarray, "3 5 sims"]:
    """On each particle, each component cut off."""
    force = np.zeros_like(x)
    for j in range(BODIES):
        d = x - x[:, j : j + 1]
        squared = d[0] ** 2 + d[1] ** 2 + d[2] ** 2
        squared[j] = np.inf
        force += products[:, j] / (squared * np.sqrt(squared)) * d
    return np.clip(force, -LARGEST_FORCE, LARGEST_FORCE, out=force)


def _build(settings: ChargedSettings) -> Dataset:
    parts = drawn(settings.seed)
    train, valid, test = (
        _trajectory(parts[part].first(getattr(settings, part)), settings.frames) for part in DRAWN
    )
    return Dataset(
        name=SOURCE.name,
        train=train,
        valid=valid,
        test=test,
        description=SOURCE.description,
        law="-charge_i * charge_j / r**2",
    )


def _trajectory(start: Start, frames: tuple[int, ...]) -> Trajectory:
    q, v = simulated(start, frames)
    return Trajectory(
        t=STEP * EVERY * torch.tensor(frames, dtype=torch.float64),
        q=torch.from_numpy(q).flatten(1, 2),
        p=torch.from_numpy(v).flatten(1, 2),
        batch=torch.arange(len(start.charge)).repeat_interleave(BODIES),
        attributes={"charge": torch.from_numpy(start.charge).flatten()},
    )


SOURCE = Source(
    name="charged-5",
    description="the charged five-body benchmark: frames 30 and 40 of its simulations",
    settings=ChargedSettings,
    build=_build,
)
