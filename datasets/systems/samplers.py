"""Initial states: one system at a time, from a stream of numbers of its own."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gnsim.datasets.systems.settings import LatticeSettings, StringSettings, SystemSettings

#: what a stream of random numbers is for
START, NOISE = 0, 1
#: of the rest length, by which a chain is out of its row at the start
_CHAIN_JITTER = 0.2


@dataclass(frozen=True)
class Bodies:
    """The initial state of one system as it is drawn."""

    mass: Float[np.ndarray, " nodes"]
    charge: Float[np.ndarray, " nodes"]
    q: Float[np.ndarray, "nodes dim"]
    v: Float[np.ndarray, "nodes dim"]


def stream(seed: int, system: int, attempt: int = 0, purpose: int = START) -> np.random.Generator:
    """The random numbers of one system, the same however many systems there are."""
    return np.random.default_rng([seed, system, attempt, purpose])


def published(settings: SystemSettings, random: np.random.Generator) -> Bodies:
    """Masses LogNormal(0, 1) or all 1, charges +-1, positions and velocities N(0, 1) per component.

    The distributions of Cranmer et al., Discovering Symbolic Models from Deep Learning with
    Inductive Biases, NeurIPS 2020 (arXiv:2006.11287).
    """
    n = settings.bodies
    drawn = np.exp(random.standard_normal(n))
    return Bodies(
        mass=np.ones(n) if settings.equal_masses else drawn,
        charge=random.choice([-1.0, 1.0], size=n),
        q=random.standard_normal((n, settings.dim)),
        v=random.standard_normal((n, settings.dim)),
    )


def lattice(settings: LatticeSettings, random: np.random.Generator) -> Bodies:
    """As `published`, but apart from each other and warm: so that hard cores do not overlap.

    Positions are the sites of a square or cubic lattice nearest to the origin, moved by up to
    `jitter` of its `spacing`; velocities are those of the temperature, of variance T / m.
    """
    drawn = published(settings, random)
    jitter = settings.jitter * random.uniform(-1, 1, drawn.q.shape)
    return Bodies(
        mass=drawn.mass,
        charge=drawn.charge,
        q=settings.spacing * (_sites(settings.bodies, settings.dim) + jitter),
        v=drawn.v * np.sqrt(settings.temperature / drawn.mass)[:, None],
    )


def chain(settings: StringSettings, random: np.random.Generator) -> Bodies:
    """As `published`, but in a row along the first axis, one rest length after the other.

    Moved and kicked at random by a fifth of that length, and by a fifth of it a unit of time.
    """
    drawn = published(settings, random)
    q = _CHAIN_JITTER * settings.rest_length * drawn.q
    q[:, 0] += settings.rest_length * (np.arange(settings.bodies) - (settings.bodies - 1) / 2)
    v = _CHAIN_JITTER * settings.rest_length * drawn.v
    return Bodies(mass=drawn.mass, charge=drawn.charge, q=q, v=v)


def neighbours(settings: SystemSettings) -> Int[np.ndarray, "2 bonds"]:
    """The bonds of a chain: each body and the next."""
    return np.stack([np.arange(1, settings.bodies), np.arange(settings.bodies - 1)])


def _sites(count: int, dim: int) -> Float[np.ndarray, "sites dim"]:
    """The `count` points with whole coordinates that are nearest to a corner's middle."""
    side = int(np.ceil(count ** (1 / dim))) + 1
    grid = np.stack(np.meshgrid(*[np.arange(side)] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    centred = grid - grid.mean(0)
    nearest = centred[np.argsort(np.square(centred).sum(1), kind="stable")[:count]]
    return nearest - nearest.mean(0)
