"""A string of masses on springs that falls over a fixed ball, after Battaglia et al. 2016.

The numbers of masses, the spring constant and the ball are theirs (arXiv:1612.00222); free or
pinned ends as well. The ball pushes back by a stiff spring where a mass is nearer than their radii:
a bounce takes .003, less than a frame, and keeps energy as all else does, to 1e-9, in steps of
DOP853 that end at its beginning and its end. An engine of rigid bodies would leave the springs to a
method of first order.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.datasets.settings import require, whole
from gnsim.datasets.sources.particles import ParticleSettings, particles
from gnsim.datasets.systems.samplers import stream
from gnsim.datasets.systems.truth import integrate
from gnsim.dynamics import SeparableHamiltonian
from gnsim.state import State, Trajectory

#: of the springs, of gravity along the last axis, and of the ball where it is touched
STIFFNESS, REST_LENGTH, GRAVITY, CONTACT = 100.0, 0.2, 9.8, 1e5
#: of each mass of the string
MASS, RADIUS = 0.1, 0.05
#: from which the radius of the ball is drawn, its gap to the string, and its place along it, by
#: the length of the string from the middle
_BALL, _GAP, _ALONG = (0.3, 0.6), (0.1, 0.5), (-0.25, 0.25)
#: of rest lengths, by which masses are out of their row at the start; and their speed
_JITTER, _SPEED = 0.1, 0.5


@dataclass(frozen=True)
class StringBallSettings(ParticleSettings):
    """Masses of the string, and how many of its ends are pinned; the ball is one body more."""

    interval: float = 0.005
    bodies: int = 15
    pinned: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.bodies, "bodies", 3)
        whole(self.pinned, "pinned", 0)
        require(self.pinned <= 2, "pinned", "0, 1 or 2 ends", self.pinned)


class StringOnBall(SeparableHamiltonian):
    """Springs along each string, gravity, and the ball, which is the last body of each system.

    Bodies with a `fixed` that is not zero answer no force.
    """

    def potential(self, state: State) -> Float[Tensor, " systems"]:
        """Heights are those above the centre of the ball."""
        q = state.q.view(state.num_systems, -1, state.dim)
        stretched = (q[:, 1:-1] - q[:, :-2]).norm(dim=-1) - REST_LENGTH
        pressed = self.gaps(state).clamp_max(0)
        height = q[:, :-1, -1] - q[:, -1:, -1]
        elastic = STIFFNESS * stretched.square().sum(1) + CONTACT * pressed.square().sum(1)
        return 0.5 * elastic + MASS * GRAVITY * height.sum(1)

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        q = state.q.view(state.num_systems, -1, state.dim)
        to_next, from_ball = q[:, 1:-1] - q[:, :-2], q[:, :-1] - q[:, -1:]
        pull = STIFFNESS * (1 - REST_LENGTH / to_next.norm(dim=-1, keepdim=True)) * to_next
        pressed = self.gaps(state).clamp_max(0)[..., None]
        force = torch.zeros_like(q)
        force[:, :-1] = -CONTACT * pressed / from_ball.norm(dim=-1, keepdim=True) * from_ball
        force[:, :-1, -1] -= MASS * GRAVITY
        force[:, :-2] += pull
        force[:, 1:-1] -= pull
        return force.view_as(state.q) * (state.attributes["fixed"] == 0)[:, None]

    def gaps(self, state: State) -> Float[Tensor, "systems masses"]:
        """How far each mass is from touching the ball."""
        q = state.q.view(state.num_systems, -1, state.dim)
        radius = state.attributes["radius"].view(state.num_systems, -1)
        return (q[:, :-1] - q[:, -1:]).norm(dim=-1) - radius[:, :-1] - radius[:, -1:]


def potential_energy(trajectory: Trajectory) -> Float[Tensor, "time systems"]:
    """Energy of springs, gravity and contact with the ball, of trajectories of `string-ball`."""
    return torch.stack([StringOnBall().potential(state) for state in trajectory])


def _start(settings: StringBallSettings) -> State:
    drawn = [
        _drawn(settings, stream(settings.seed, system)) for system in range(settings.trajectories)
    ]
    q, v, radius = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*drawn, strict=True))
    n, systems = settings.bodies, settings.trajectories
    mass = torch.full((n + 1,), MASS, dtype=q.dtype)
    fixed = torch.zeros_like(mass)
    fixed[[0, n - 1][: settings.pinned]] = 1
    mass[n] = fixed[n] = 1
    fixed, mass = fixed.repeat(systems), mass.repeat(systems)
    string = torch.arange(n)
    to_next = torch.stack([string[1:], string[:-1]])
    to_ball = torch.stack([torch.full_like(string, n), string])
    return State(
        q=q,
        p=v * (mass * (fixed == 0))[:, None],
        batch=torch.arange(systems).repeat_interleave(n + 1),
        attributes={"mass": mass, "radius": radius, "fixed": fixed},
        bonds=torch.cat([to_next, to_ball], 1),
    )


def _drawn(
    settings: StringBallSettings, random: np.random.Generator
) -> tuple[Float[np.ndarray, "bodies 2"], Float[np.ndarray, "bodies 2"], np.ndarray]:
    """Positions, velocities and radii of a row of masses and the ball below it."""
    n = settings.bodies
    q = _JITTER * REST_LENGTH * random.standard_normal((n + 1, 2))
    v = _SPEED * random.standard_normal((n + 1, 2))
    q[:n, 0] += REST_LENGTH * (np.arange(n) - (n - 1) / 2)
    ball, gap, along = (random.uniform(*span) for span in (_BALL, _GAP, _ALONG))
    q[n] = along * REST_LENGTH * (n - 1), -(ball + RADIUS + gap)
    return q, v, np.append(np.full(n, RADIUS), ball)


def simulated(settings: StringBallSettings) -> Trajectory:
    """All systems. Raises RuntimeError where energy is not kept to 1e-9."""
    return integrate(StringOnBall(), _start(settings), settings.frames, settings.interval)


SOURCE = particles(
    "string-ball",
    "masses on springs that fall over a fixed ball, with none, one or two ends pinned",
    StringBallSettings,
    simulated,
)
