"""Planets around a heavy star: the n-body system of Battaglia et al. 2016 (arXiv:1612.00222).

Distances, masses and the constant of gravity are the published ones; all bodies attract each other.
Without a softening one encounter of planets in ten thousand makes nearly all of what velocities
change by, squared; theirs has a least distance of one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gnsim.datasets.settings import not_negative, positive, whole
from gnsim.datasets.systems.potentials import InverseSquare
from gnsim.datasets.systems.published import softened
from gnsim.datasets.systems.samplers import Bodies, published
from gnsim.datasets.systems.settings import SystemSettings
from gnsim.datasets.systems.system import System

#: from which masses and distances of planets are drawn, evenly
_MASSES, _DISTANCES = (0.02, 9.0), (10.0, 100.0)


@dataclass(frozen=True)
class HeavyStarSettings(SystemSettings):
    """Mass of the star, the first of the `bodies`; gravity, and a length added to distances."""

    bodies: int = 6
    dim: int = 2
    interval: float = 0.001
    star: float = 100.0
    gravity: float = 1e5
    softening: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.dim, "dim", 2)
        positive(self.star, "star")
        positive(self.gravity, "gravity")
        not_negative(self.softening, "softening")


def planets(settings: HeavyStarSettings, random: np.random.Generator) -> Bodies:
    """A star at rest at the origin, and planets with the velocity of a circle around it.

    Each is anywhere around the star and goes in any direction across its distance: either way
    round in the plane, in a plane of its own in space. Equal masses are those of planets, of one.
    """
    drawn = published(settings, random)
    count = settings.bodies - 1
    mass = np.ones(count) if settings.equal_masses else random.uniform(*_MASSES, count)
    away = _unit(drawn.q[1:])
    across = _unit(drawn.v[1:] - (drawn.v[1:] * away).sum(1, keepdims=True) * away)
    distance = random.uniform(*_DISTANCES, (count, 1))
    speed = np.sqrt(settings.gravity * settings.star * distance) / (distance + settings.softening)
    rest = np.zeros((1, settings.dim))
    return Bodies(
        mass=np.concatenate([[settings.star], mass]),
        charge=drawn.charge,
        q=np.concatenate([rest, distance * away]),
        v=np.concatenate([rest, speed * across]),
    )


def _unit(vectors: Float[np.ndarray, "planets dim"]) -> Float[np.ndarray, "planets dim"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


HEAVY_STAR = System(
    name="nbody",
    description="planets around a heavy star, V = -gravity m_i m_j / (r + softening)",
    settings=HeavyStarSettings,
    pair=lambda s: InverseSquare("mass", -s.gravity, s.softening),
    law=lambda s: f"{s.gravity!r} * mass_i * mass_j / {softened(s.softening)}**2",
    draw=planets,
)
