"""Water that falls and sand that collapses in a box, in the plane (see `mpm`).

Particles are of one size, `mpm.SPACING` apart at rest, and the box grows with their number: a model
that learned from few of them can be run for many. Neighbours within two spacings are about ten.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gnsim.datasets.engines import engine
from gnsim.datasets.settings import whole
from gnsim.datasets.sources.particles import ParticleSettings, Run, particles, together
from gnsim.datasets.systems.samplers import stream
from gnsim.state import Trajectory

#: distance of particles at the start; side of the box that so many of them have
SPACING, _SIDE, _PARTICLES = 0.0125, 1.0, 400
#: particle types, as in the data sets of GNS
WATER, SAND = 5.0, 6.0
#: of spacings, by which particles are off their lattice
_JITTER = 0.1
#: of blobs: the largest logarithm of how much wider than high; the power of |x|^n + |y|^n = 1; the
#: largest velocity along each axis
_STRETCH, _POWERS, _SPEED = 0.4, (2.0, 8.0), 1.0
#: of columns: how much higher than wide
_SLENDER = (1.0, 3.0)
# taichi would print its name, and ask a server for its newest version
_SILENCE = {"ENABLE_TAICHI_HEADER_PRINT": "0", "TI_SKIP_VERSION_CHECK": "ON"}

#: positions and velocities
Start = tuple[Float[np.ndarray, "particles 2"], Float[np.ndarray, "particles 2"]]
Draw = Callable[[Any, np.random.Generator], Start]


@dataclass(frozen=True)
class WaterSettings(ParticleSettings):
    """Number of particles; the box has an area of one for every 400 of them."""

    frames: int = 500
    interval: float = 0.005
    particles: int = _PARTICLES

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.particles, "particles", 100)

    @property
    def side(self) -> float:
        """Of the box, in whole pairs of spacings."""
        pair = 2 * SPACING
        return pair * round(_SIDE * (self.particles / _PARTICLES) ** 0.5 / pair)


@dataclass(frozen=True)
class SandSettings(WaterSettings):
    """As of water; sand is at rest sooner."""

    interval: float = 0.0025


def drop(settings: WaterSettings, random: np.random.Generator) -> Start:
    """A blob between an ellipse and a rectangle, turned, anywhere in the box, on its way."""
    reach = int(2 * settings.particles**0.5)
    axis = np.arange(-reach, reach + 1)
    sites = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2) + random.uniform(-0.5, 0.5, 2)
    angle, power = random.uniform(0, np.pi), random.uniform(*_POWERS)
    turned = sites @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    wide = np.exp(random.uniform(-_STRETCH, _STRETCH))
    size = (np.abs(turned / [wide, 1 / wide]) ** power).sum(1)
    blob = _jittered(sites[np.argsort(size, kind="stable")[: settings.particles]], random)
    place = random.uniform(SPACING - blob.min(0), settings.side - SPACING - blob.max(0))
    return blob + place, np.tile(random.uniform(-_SPEED, _SPEED, 2), (len(blob), 1))


def column(settings: WaterSettings, random: np.random.Generator) -> Start:
    """A rectangle on the floor, anywhere along it, at rest."""
    n = settings.particles
    across = round((n / random.uniform(*_SLENDER)) ** 0.5)
    sites = np.stack([np.arange(n) % across, np.arange(n) // across], 1) + 0.5
    standing = _jittered(sites, random)
    along = random.uniform(0, settings.side - SPACING * across)
    return standing + np.array([along, 0.0]), np.zeros((n, 2))


def _jittered(
    sites: Float[np.ndarray, "particles 2"], random: np.random.Generator
) -> Float[np.ndarray, "particles 2"]:
    return SPACING * (sites + random.uniform(-_JITTER, _JITTER, sites.shape))


def water_drop(settings: WaterSettings) -> Trajectory:
    """Blobs of water. Raises InputError without taichi."""
    return _moved("water-drop", settings, WATER, drop)


def sand_column(settings: SandSettings) -> Trajectory:
    """Columns of sand. Raises InputError without taichi."""
    return _moved("sand-column", settings, SAND, column)


def _moved(name: str, settings: WaterSettings, kind: float, drawn: Draw) -> Trajectory:
    os.environ.update(_SILENCE)
    engine("taichi", name)
    from gnsim.datasets.sources.mpm import Material

    material = Material(settings.particles, settings.side, sand=kind == SAND)
    runs = []
    for system in range(settings.trajectories):
        start = drawn(settings, stream(settings.seed, system))
        frames = material.frames(*start, settings.frames, settings.interval)
        q, v = (np.stack(parts) for parts in zip(*frames, strict=True))
        runs.append(Run(q, v, {"particle_type": np.full(settings.particles, kind)}))
    walls = settings.side * torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    return together(runs, settings.interval, walls=walls)


_GROWS = f"particles {SPACING:g} apart, about 10 neighbours within {2 * SPACING:g}, in a box that"
SOURCES = (
    particles(
        "water-drop",
        f"a blob of water falls into a box (taichi, MLS-MPM): {_GROWS} grows with their number",
        WaterSettings,
        water_drop,
    ),
    particles(
        "sand-column",
        "a column of sand collapses, otherwise as 'water-drop'",
        SandSettings,
        sand_column,
    ),
)
