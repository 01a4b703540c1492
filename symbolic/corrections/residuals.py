"""What a law leaves of the acceleration of each body, and how much of that is noise.

A window is a short stretch of data; the law is integrated from its first frame, and what the last
one misses is a mean acceleration that the law does not explain. From window to window noise is new,
and a force changes smoothly: high differences of what successive windows miss are noise alone.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.integrators.base import Integrator
from gnsim.models.vector_pairs import relative_motion
from gnsim.state import State, Trajectory
from gnsim.symbolic.corrections.own_numbers import accelerations
from gnsim.symbolic.law import Law
from gnsim.symbolic.potential import ClosedFormPotential
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import signed_errors
from gnsim.windows import WindowSampler, acceleration_scale

#: places in the data, and windows in a row at each
_STRETCHES, _LENGTH = 40, 24
#: order of the differences, and half of the windows of a stretch at most; below the second they
#: say nothing of noise
_ORDER, _LEAST_ORDER = 8, 2
#: what is left so many times over the noise is more than noise
_BEYOND = 2.0
#: relative error of positions and velocities that an integrator of high order leaves
_DIGIT = 1e-13


@dataclass(frozen=True)
class Residuals:
    """By stretch of data and by body, relative to the body's acceleration.

    `t` is the time at which a stretch begins, `size` the root mean square of what is left, `noise`
    the standard deviation of what is noise of that, and at least what rounding makes.
    """

    t: Float[Tensor, " stretches"]
    size: Float[Tensor, "stretches bodies"]
    noise: Float[Tensor, "stretches bodies"]

    @property
    def left(self) -> Float[Tensor, " bodies"]:
        """Root mean square over all stretches."""
        return self.size.square().mean(0).sqrt()

    @property
    def noise_of_bodies(self) -> Float[Tensor, " bodies"]:
        """The usual noise."""
        return self.noise.median(0).values

    @property
    def beyond_noise(self) -> Bool[Tensor, " bodies"]:
        """Of which bodies more is left than noise."""
        return self.left > _BEYOND * self.noise_of_bodies


def residuals(law: Law, trajectory: Trajectory, steps: int, integrator: Integrator) -> Residuals:
    """Those of `law` in windows of `steps` steps, in stretches spread over `trajectory`."""
    sampler = WindowSampler(trajectory.to(torch.float64), steps)
    windows = sampler.stretches(_STRETCHES, _LENGTH)
    dynamics = law.dynamics()
    problem = Problem.cut(sampler, windows, integrator, 1).settled(dynamics)
    errors = signed_errors(dynamics, problem)[:, -1]
    length = min(_LENGTH, max(1, (len(trajectory) - 1) // steps))
    series = errors.reshape(-1, length, problem.bodies, errors.shape[-1])
    t = trajectory.t[windows.start[::length]]
    rounding = _rounding(problem).reshape(-1, length, problem.bodies).amax(1)
    noise = torch.maximum(_noise(series), rounding)
    return Residuals(t, series.square().mean((1, 3)).sqrt(), noise)


def _rounding(problem: Problem) -> Float[Tensor, " nodes"]:
    """What data and integrator have in their last digits: below that nothing is known."""
    path = problem.windows.path
    span = float(path.t[-1] - path.t[0])
    last = path[len(path) - 1]
    exact = path.velocity_given and path.noise is None
    made = last.velocity / span if exact else 2 * last.q / span**2
    return _DIGIT * made.norm(dim=1) / acceleration_scale(problem.windows)[-1, :, 0]


@dataclass(frozen=True)
class Projected:
    """What a law leaves of the acceleration of one body, along the line to a partner and across.

    `left` is what it leaves of the data, `made` what another law has beside it, both
    [windows, 2] in units of the data; `r` is the distance of the partner.
    """

    partner: int
    r: Float[Tensor, " windows"]
    left: Float[Tensor, "windows 2"]
    made: Float[Tensor, "windows 2"]


def projected(law: Law, other: Law, problem: Problem, body: int) -> Projected:
    """Of the body with this place in a system; its partner is who pulls it most, by `law`."""
    dynamics = law.dynamics()
    problem = problem.settled(dynamics)
    path = problem.windows.path
    scale = acceleration_scale(problem.windows)[-1]
    left = (signed_errors(dynamics, problem)[:, -1] * scale)[body :: problem.bodies]
    state = path[len(path) // 2]
    made = accelerations(other, state) - accelerations(law, state)
    partner = _partner(law, state, body, problem.bodies)
    motion = relative_motion(state)
    source, target = state.pairs
    first, second = source % problem.bodies, target % problem.bodies
    pair = ((first == body) & (second == partner)) | ((first == partner) & (second == body))
    sign = torch.where(second[pair] == body, 1.0, -1.0)[:, None]
    axes = torch.stack([sign * motion.n[pair], sign * motion.t[pair]], 1)
    both = (torch.einsum("wad,wd->wa", axes, a) for a in (left, made[body :: problem.bodies]))
    return Projected(partner, motion.r[pair], *both)


def _partner(law: Law, state: State, body: int, bodies: int) -> int:
    """Who pulls a body most, in most states."""
    source, target = state.pairs
    with torch.no_grad():
        pull = ClosedFormPotential(law).force(relative_motion(state).r, *state.ends).abs()
    strength = torch.zeros(bodies, dtype=pull.dtype)
    for of, other in ((source, target), (target, source)):
        mine = of % bodies == body
        strength.index_add_(0, other[mine] % bodies, pull[mine])
    return int(strength.argmax())


def _noise(series: Float[Tensor, "stretches windows bodies dim"]) -> Float[Tensor, "_ bodies"]:
    """By the median of high differences, so that no close encounter counts."""
    order = min(_ORDER, series.shape[1] // 2)
    if order < _LEAST_ORDER:
        return torch.zeros_like(series[:, 0, :, 0])
    size = series.diff(n=order, dim=1).abs() / math.comb(2 * order, order) ** 0.5
    usual = size.movedim(2, 1).flatten(2).median(2).values
    return usual / NormalDist().inv_cdf(0.75)
