"""What a law leaves of the acceleration of each body, and how much of that is noise.

A window is a short stretch of data; the law is integrated from its first frame, and what the last
one misses is a mean acceleration that the law does not explain. The noise of that is what is known
of the noise of the data; else from window to window noise is new, and a force changes smoothly, so
that high differences of what successive windows miss are noise alone.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.integrators.base import Integrator
from gnsim.models.vector_pairs import relative_motion
from gnsim.noise import LEAST_FRAMES, noise
from gnsim.state import State, Trajectory
from gnsim.symbolic.corrections.own_numbers import accelerations
from gnsim.symbolic.law import Law
from gnsim.symbolic.potential import ClosedFormPotential
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import signed_errors, step_error
from gnsim.windows import WindowSampler, acceleration_scale

#: places in the data, and windows in a row at each
_STRETCHES, _LENGTH = 40, 24
#: what is left so many times over the noise is more than noise
_BEYOND = 2.0
#: standard errors that a correlation may have by chance, windows that it is taken over, and how far
#: apart these are: next to each other they share a frame, and its noise
_BY_CHANCE, _APART = 4.0, 2
#: what rounding makes of the last digits of velocities that a computer integrated
_DIGITS = 4 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Residuals:
    """By stretch of data and by body, relative to the body's acceleration.

    `system` and `t` say where a stretch begins, `size` is the root mean square of what is left,
    `noise` the standard deviation of what is noise of that: what is known of the noise of the data,
    else what successive windows tell, and at least what integrator and rounding make (`floor`). NaN
    where stretches are too short to tell. `correlation` is that of errors two windows apart, and
    `chance` the most that noise would make of it.
    """

    system: Int[Tensor, " stretches"]
    t: Float[Tensor, " stretches"]
    size: Float[Tensor, "stretches bodies"]
    noise: Float[Tensor, "stretches bodies"]
    floor: Float[Tensor, "stretches bodies"]
    correlation: Float[Tensor, " bodies"]
    chance: float

    @property
    def left(self) -> Float[Tensor, " bodies"]:
        """Root mean square over all stretches."""
        return self.size.square().nanmean(0).sqrt()

    @property
    def noise_of_bodies(self) -> Float[Tensor, " bodies"]:
        """The usual noise."""
        return self.noise.median(0).values

    @property
    def beyond_noise(self) -> Bool[Tensor, " bodies"]:
        """Of which bodies more is left than noise: twice as much, or with a memory."""
        above = self.left > _BEYOND * self.noise_of_bodies
        resolved = self.left > _BEYOND * self.floor.median(0).values
        remembered = self.correlation.abs() > self.chance
        return above | (resolved & remembered & self.noise_of_bodies.isfinite())


def residuals(
    law: Law, trajectory: Trajectory, steps: int, integrator: Integrator, substeps: int = 1
) -> Residuals:
    """Those of `law` in windows of `steps` steps, in stretches spread over `trajectory`."""
    sampler = WindowSampler(trajectory.to(torch.float64), steps)
    windows = sampler.stretches(_STRETCHES, _LENGTH)
    dynamics = law.dynamics()
    problem = Problem.cut(sampler, windows, integrator, substeps).settled(dynamics)
    length = sampler.in_a_row(_LENGTH)
    shape = (-1, length, problem.bodies)
    series = signed_errors(dynamics, problem)[:, -1].reshape(*shape, trajectory.dim)
    floor = _floor(dynamics, problem).reshape(shape).amax(1)
    if problem.noisy:
        known = problem.noise_share().square().mean(1).reshape(shape).mean(1).sqrt()
    else:
        known = torch.stack([_noise(one) for one in series])
    first = slice(None, None, length)
    return Residuals(
        windows.system[first],
        trajectory.t[windows.start[first]],
        series.square().mean((1, 3)).sqrt(),
        torch.where(known.isnan(), known, torch.maximum(known, floor)),
        floor,
        *_correlation(series),
    )


def _noise(series: Float[Tensor, "windows bodies dim"]) -> Float[Tensor, " bodies"]:
    """By the differences of what successive windows leave (`gnsim.noise`); NaN for too few.

    Noise of velocities comes out 1.4 times too large, since windows share a frame.
    """
    if len(series) < LEAST_FRAMES:
        return torch.full_like(series[0, :, 0], torch.nan)
    return noise(series, 1)


def _correlation(
    series: Float[Tensor, "stretches windows bodies dim"],
) -> tuple[Float[Tensor, " bodies"], float]:
    """Of errors two windows apart, and the most that chance makes of it; see `Residuals`."""
    one, other = series[:, _APART:], series[:, :-_APART]
    if not one.numel():
        return torch.zeros_like(series[0, 0, :, 0]), 1.0
    # each stretch by its own size, so that close encounters do not rule
    size = series.square().mean((1, 3), keepdim=True).clamp_min(torch.finfo(series.dtype).tiny)
    found = (one * other / size).mean((0, 1, 3))
    return found, _BY_CHANCE / (one[:, :, 0].numel()) ** 0.5


def _floor(dynamics: Dynamics, problem: Problem) -> Float[Tensor, " nodes"]:
    """What integrator and rounding make: below that nothing is known."""
    of_step = step_error(dynamics, problem)[:, -1]
    path = problem.windows.path
    span = float(path.t[-1] - path.t[0])
    last = path[len(path) - 1]
    exact = path.velocity_given and path.noise is None
    rounding = _DIGITS * (last.velocity / span if exact else 2 * last.q / span**2)
    scale = acceleration_scale(problem.windows)[-1, :, 0]
    return torch.maximum(of_step, rounding.norm(dim=1) / scale)


@dataclass(frozen=True)
class Projected:
    """What a law leaves of the acceleration of one body, in the frame of the pair with a partner.

    Along the line to it, across that where the pair moves, and in space out of that plane. `left`
    is what it leaves of the data, `made` what another law has beside it, both in units of the data;
    `r` is the distance of the partner.
    """

    partner: int
    r: Float[Tensor, " windows"]
    left: Float[Tensor, "windows axes"]
    made: Float[Tensor, "windows axes"]


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
    if state.dim == 3:
        upright = torch.linalg.cross(axes[:, 0], axes[:, 1])
        axes = torch.cat([axes, upright[:, None]], 1)
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
