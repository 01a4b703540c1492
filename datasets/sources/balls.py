"""Elastic discs in a square box, without friction and gravity, moved by pymunk.

The bouncing balls of Battaglia et al. 2016 (arXiv:1612.00222). Collisions are resolved by impulses
at the steps of the engine, and keep energy to rounding (1e-15 in 300 frames); discs overlap by what
they approach in a step (.3 % of a radius at most), and are pushed apart without gaining speed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gnsim.datasets.engines import engine
from gnsim.datasets.settings import positive, require, whole
from gnsim.datasets.sources.particles import ParticleSettings, Run, particles, together
from gnsim.datasets.systems.samplers import stream
from gnsim.state import Trajectory

#: from which radii, masses and speeds are drawn, evenly
RADII, MASSES, SPEEDS = (0.5, 1.0), (0.5, 2.0), (1.0, 2.0)
#: longest step of the engine, and iterations of its solver in each
_STEP, _ITERATIONS = 1e-3, 50
#: share of the box that discs may fill: beyond it they are not placed at random
_FILLED = 0.4
#: places that are tried for a disc, and configurations where one finds none
_TRIES, _CONFIGURATIONS = 1_000, 100


@dataclass(frozen=True)
class BallsSettings(ParticleSettings):
    """Number of discs, and side of the box."""

    bodies: int = 6
    side: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.bodies, "bodies", 2)
        positive(self.side, "side")
        needed = (self.bodies * np.pi * RADII[1] ** 2 / _FILLED) ** 0.5
        wanted = f"a box of at least {needed:.3g} for {self.bodies} discs of radius {RADII[1]:g}"
        require(self.side >= needed, "side", wanted, self.side)


def placed(
    radius: Float[np.ndarray, " bodies"], side: float, random: np.random.Generator
) -> Float[np.ndarray, "bodies 2"]:
    """Places for discs in the box, anywhere that is free, the largest disc first.

    Raises ValueError where no room is found in many configurations.
    """
    for _ in range(_CONFIGURATIONS):
        q = _configuration(radius, side, random)
        if q is not None:
            return q
    raise ValueError(
        f"side: wanted a box with room for {len(radius)} discs, found none free at {side:g} in "
        f"{_CONFIGURATIONS} configurations; make side larger, or bodies fewer"
    )


def _configuration(
    radius: Float[np.ndarray, " bodies"], side: float, random: np.random.Generator
) -> Float[np.ndarray, "bodies 2"] | None:
    """One draw of all places; None where a disc finds none that is free."""
    q = np.empty((len(radius), 2))
    order = np.argsort(-radius)
    for k, body in enumerate(order):
        before = order[:k]
        tries = random.uniform(radius[body], side - radius[body], (_TRIES, 2))
        gaps = np.linalg.norm(tries[:, None] - q[before], axis=2) - radius[before] - radius[body]
        free = (gaps > 0).all(1)
        if not free.any():
            return None
        q[body] = tries[np.argmax(free)]
    return q


def _run(settings: BallsSettings, random: np.random.Generator, pymunk: Any) -> Run:
    n = settings.bodies
    radius, mass, speed = (random.uniform(*span, n) for span in (RADII, MASSES, SPEEDS))
    angle = random.uniform(0, 2 * np.pi, n)
    v = speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    space = _space(pymunk, settings.side)
    discs = [
        _disc(pymunk, space, *disc)
        for disc in zip(mass, radius, placed(radius, settings.side, random), v, strict=True)
    ]
    substeps = int(np.ceil(settings.interval / _STEP))
    seen = [_seen(discs)]
    for _ in range(settings.frames - 1):
        for _ in range(substeps):
            space.step(settings.interval / substeps)
        seen.append(_seen(discs))
    frames = np.array(seen)
    return Run(frames[:, 0], frames[:, 1], {"mass": mass, "radius": radius})


def _space(pymunk: Any, side: float) -> Any:
    space = pymunk.Space()
    space.iterations = _ITERATIONS
    corners = [(0, 0), (side, 0), (side, side), (0, side)]
    for k in range(4):
        wall = pymunk.Segment(space.static_body, corners[k - 1], corners[k], 0.0)
        wall.elasticity, wall.friction = 1.0, 0.0
        space.add(wall)
    return space


def _disc(pymunk: Any, space: Any, mass: float, radius: float, q: np.ndarray, v: np.ndarray) -> Any:
    body = pymunk.Body(float(mass), float("inf"))
    body.position, body.velocity = tuple(q.tolist()), tuple(v.tolist())
    disc = pymunk.Circle(body, float(radius))
    disc.elasticity, disc.friction = 1.0, 0.0
    space.add(body, disc)
    return body


def _seen(discs: list[Any]) -> tuple[list[Any], list[Any]]:
    return [tuple(disc.position) for disc in discs], [tuple(disc.velocity) for disc in discs]


def simulated(settings: BallsSettings) -> Trajectory:
    """All systems of discs, with their masses and radii. Raises InputError without pymunk."""
    pymunk = engine("pymunk", "balls")
    runs = [
        _run(settings, stream(settings.seed, system), pymunk)
        for system in range(settings.trajectories)
    ]
    side = settings.side
    walls = torch.tensor([[0.0, 0.0], [side, side]], dtype=torch.float64)
    return together(runs, settings.interval, walls=walls)


SOURCE = particles(
    "balls",
    "elastic discs of many radii and masses in a box with four walls (pymunk)",
    BallsSettings,
    simulated,
)
