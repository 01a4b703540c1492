"""DOP853 for many systems at once, each with steps of its own.

scipy's solver takes one step for all that it is given, so that every close encounter in a batch
makes all of the batch wait. Coefficients, error estimate and step control are scipy's and Hairer,
Norsett and Wanner's (Solving Ordinary Differential Equations I, 1993, section II.10); steps end at
the frames, so that nothing is interpolated, and just before and behind a break of the rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from scipy.integrate import DOP853 as TABLEAU
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.integrators.base import IntegrationError, Integrator
from gnsim.state import State

_A, _B, _E3, _E5 = (
    torch.from_numpy(x.copy()) for x in (TABLEAU.A, TABLEAU.B, TABLEAU.E3, TABLEAU.E5)
)
_STAGES = TABLEAU.n_stages
#: smallest and largest change of a step, and what it is kept below of the step aimed at
_SHRINK, _GROW, _SAFETY = 0.2, 6.0, 0.9
#: the step that may cross a break, as a share of the interval between frames; the first is whole
_CROSSING = 1e-12


@dataclass(frozen=True)
class Motion:
    """``dy/dt`` of rows [systems, width]; where it jumps, one of `gaps` [systems, any] is zero.

    Those are None where it never does.
    """

    rate: Callable[[Tensor], Tensor]
    gaps: Callable[[Tensor], Tensor | None]


@dataclass(frozen=True)
class _Progress:
    """Where each system is: its numbers, their rate, the time left to the next frame.

    `aim` is the step that the error allows, `hint` one that ends at a break.
    """

    y: Float[Tensor, "systems width"]
    rate: Float[Tensor, "systems width"]
    aim: Float[Tensor, " systems"]
    hint: Float[Tensor, " systems"]
    left: Float[Tensor, " systems"]
    frame: Int[Tensor, " systems"]

    def of(self, kept: Tensor) -> "_Progress":
        return _Progress(**{name: value[kept] for name, value in vars(self).items()})


def solve(
    motion_of: Callable[[Int[Tensor, " some"]], Motion],
    start: Float[Tensor, "systems width"],
    frames: int,
    interval: float,
    tolerance: float,
    most_steps: int,
) -> Float[Tensor, "frames systems width"]:
    """``dy/dt = rate(y)`` of independent systems, at `frames` times that are `interval` apart.

    `motion_of` gives the rate for some of the systems, by their numbers. `tolerance` is relative
    and absolute, for each step. Frames that a system has not reached after `most_steps` are NaN.
    """
    path = start.new_full((frames, *start.shape), torch.nan)
    path[0] = start
    alive = torch.arange(len(start))
    motion = motion_of(alive)
    whole = torch.full_like(start[:, 0], interval)
    rate = motion.rate(start)
    now = _Progress(start, rate, whole, torch.inf * whole, whole, torch.ones_like(alive))
    for _ in range(most_steps):
        now, arrived = _advance(motion, now, interval, tolerance)
        arrived = arrived & (now.frame <= frames)
        path[now.frame[arrived] - 1, alive[arrived]] = now.y[arrived]
        going = now.frame < frames
        if not going.any():
            break
        if 2 * int(going.sum()) <= len(going):
            alive, now = alive[going], now.of(going)
            motion = motion_of(alive)
    return path


def _advance(
    motion: Motion, now: _Progress, interval: float, tolerance: float
) -> tuple[_Progress, Tensor]:
    """One step of each system, or a shorter one to try next; and which are at a frame."""
    step = torch.minimum(torch.minimum(now.aim, now.hint), now.left)
    y, rate, error = _step(motion.rate, now, step, tolerance)
    good = error < 1
    arrived = good & (step == now.left)
    hint = _to_break(motion.gaps, now.y, y, step, good, interval)
    factor = _SAFETY * torch.nan_to_num(error, nan=torch.inf).clamp_min(1e-30) ** (-1 / 8)
    allowed = step * factor.clamp(_SHRINK, _GROW)
    not_for_error = torch.where(good, step < now.aim, hint.isfinite())
    after = _Progress(
        y=torch.where(good[:, None], y, now.y),
        rate=torch.where(good[:, None], rate, now.rate),
        aim=torch.where(not_for_error, torch.maximum(allowed, now.aim), allowed),
        hint=hint,
        left=torch.where(arrived, interval, torch.where(good, now.left - step, now.left)),
        frame=now.frame + arrived,
    )
    return after, arrived


def _to_break(
    gaps: Callable[[Tensor], Tensor | None],
    y: Tensor,
    new: Tensor,
    step: Tensor,
    good: Tensor,
    interval: float,
) -> Float[Tensor, " systems"]:
    """A step that ends right before the next break; infinite where none is near.

    By the straight line through the gaps before and behind a step: seen from behind it if it was
    good, else from before, if it led over the break. What the line misses falls with the square
    of the step, so that a few steps stand at the break and a tiny one leads over.
    """
    before, behind = gaps(y), gaps(new)
    if before is None or behind is None:
        return torch.full_like(step, torch.inf)
    share = before / (before - behind) - good[:, None].to(step)
    near = (share >= 0) & (good[:, None] | (share <= 1))
    time = step * torch.where(near, share, torch.inf).amin(1)
    crossing = _CROSSING * interval
    short = time * (1 - (time / interval).clamp_max(0.1)) - 0.25 * crossing
    return short.clamp_min(crossing)


def _step(
    rate: Callable[[Tensor], Tensor],
    now: _Progress,
    step: Float[Tensor, " systems"],
    tolerance: float,
) -> tuple[Tensor, Tensor, Float[Tensor, " systems"]]:
    """Numbers and rate after a step, and its error in units of what is tolerated."""
    k = now.y.new_empty(_STAGES + 1, *now.y.shape)
    k[0] = now.rate
    for stage in range(1, _STAGES):
        k[stage] = rate(now.y + step[:, None] * _weighted(_A[stage, :stage], k))
    y = now.y + step[:, None] * _weighted(_B, k)
    k[_STAGES] = rate(y)
    scale = tolerance * (1 + torch.maximum(now.y.abs(), y.abs()))
    fifth, third = ((_weighted(e, k) / scale).square().sum(1) for e in (_E5, _E3))
    mean = torch.sqrt((fifth + 0.01 * third) * now.y.shape[1]).clamp_min(1e-300)
    return y, k[_STAGES], step * fifth / mean


def _weighted(weights: Float[Tensor, " stages"], k: Tensor) -> Float[Tensor, "systems width"]:
    return (weights @ k[: len(weights)].reshape(len(weights), -1)).view_as(k[0])


@final
@dataclass(frozen=True)
class DOP853(Integrator):
    """Order 8(5, 3), with steps of its own for each system of a batch, each ending at breaks.

    Within `dt`, each step to the error ``tolerance (s + |z|)``, at most `max_num_steps` of them; s
    is the size of the system, and for momenta what its usual speed is for the mass of the body, so
    that units do not matter.
    For rollouts: keeps no gradients. Systems have equally many bodies. Raises IntegrationError
    where a system does not reach the end of the step, ValueError for systems of different sizes or
    single precision.
    """

    tolerance: float = 1e-10
    max_num_steps: int = 3000
    order = 8
    symplectic = False
    needs_separable = False
    force_evaluations = 12

    def step(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> State:
        counts = torch.bincount(state.batch)
        if bool((counts != counts[0]).any()):
            raise ValueError(
                f"DOP853 wants equally many bodies in each system, found {counts.tolist()}; "
                "roll systems of different sizes out one by one"
            )
        if state.q.dtype != torch.float64:
            raise ValueError(f"DOP853 wants positions in float64, found {state.q.dtype}")
        sign = 1.0 if float(dt) >= 0 else -1.0
        start = torch.cat([x.reshape(len(counts), -1) for x in (state.q, state.p)], 1)
        with torch.no_grad():
            size = _sizes(state, len(counts), abs(float(dt)))
            rows = solve(
                lambda some: _motion(dynamics, state.systems(some), size[some], sign),
                start / size,
                2,
                abs(float(dt)),
                self.tolerance,
                self.max_num_steps,
            )[1]
        q, p = (x.reshape(state.q.shape) for x in (rows * size).chunk(2, 1))
        if bool(torch.isnan(rows).any()):
            system = int(torch.isnan(rows).any(1).nonzero()[0])
            raise IntegrationError(
                f"DOP853 within a step of dt = {float(dt):g}: {self.max_num_steps} steps did not "
                f"bring system {system} to its end; soften the force, raise tolerance or stop "
                "earlier"
            )
        return state.moved(q, p)


def _sizes(state: State, systems: int, span: float) -> Float[Tensor, "systems width"]:
    """What numbers of each system are measured by: one length, and one speed times each mass."""
    places, speeds = (x.view(systems, -1, state.dim) for x in (state.q, state.velocity))
    length, speed = _extent(places), _extent(speeds)
    length = torch.where(length > 0, length, 1.0)
    # how fast bodies at rest will be is not known yet
    speed = torch.where(speed > 0, speed, length / span)
    of_p = (speed * state.mass.view(systems, -1))[:, :, None].expand_as(speeds)
    return torch.cat([length.expand(-1, places[0].numel()), of_p.flatten(1)], 1)


def _extent(values: Float[Tensor, "systems bodies dim"]) -> Float[Tensor, "systems 1"]:
    """Root mean square about the mean of each system; about zero where all are alike."""
    apart = (values - values.mean(1, keepdim=True)).square().mean((1, 2)).sqrt()
    alike = values.square().mean((1, 2)).sqrt()
    return torch.where(apart > 0, apart, alike)[:, None]


def _motion(
    dynamics: Dynamics, start: State, size: Float[Tensor, "systems width"], sign: float
) -> Motion:
    """``d(q, p)/dt`` of rows of numbers over their `size`, one for each system of `start`."""
    _ = start.pairs, start.mass, start.num_systems  # computed once, and carried along by `moved`

    def state(rows: Tensor) -> State:
        return start.moved(*(x.reshape(start.q.shape) for x in (rows * size).chunk(2, 1)))

    def rate(rows: Tensor) -> Tensor:
        parts = dynamics.vector_field(state(rows))
        return sign * torch.cat([x.reshape(len(rows), -1) for x in parts], 1) / size

    return Motion(rate, lambda rows: dynamics.gaps(state(rows)))
