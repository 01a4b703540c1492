"""DOP853 for many systems at once, each with steps of its own.

scipy's solver takes one step for all that it is given, so that every close encounter in a batch
makes all of the batch wait. Coefficients, error estimate and step control are scipy's and Hairer,
Norsett and Wanner's (Solving Ordinary Differential Equations I, 1993, section II.10); steps end at
the frames, so that nothing is interpolated, and just before and behind a break of the rate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.integrate import DOP853
from torch import Tensor

_A, _B, _E3, _E5 = (torch.from_numpy(x.copy()) for x in (DOP853.A, DOP853.B, DOP853.E3, DOP853.E5))
_STAGES = DOP853.n_stages
#: smallest and largest change of a step, and what it is kept below of the step aimed at
_SHRINK, _GROW, _SAFETY = 0.2, 6.0, 0.9
#: the first step, and the one that may cross a break, as shares of the interval between frames
_FIRST, _CROSSING = 1e-2, 1e-12

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Motion:
    """``dy/dt`` of rows [systems, width]; where it jumps, one of `gaps` [systems, any] is zero."""

    rate: Function
    gaps: Function | None = None


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
    now = _Progress(start, rate, _FIRST * whole, torch.inf * whole, whole, torch.ones_like(alive))
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
    gaps: Function | None, y: Tensor, new: Tensor, step: Tensor, good: Tensor, interval: float
) -> Float[Tensor, " systems"]:
    """A step that ends right before the next break; infinite where none is near.

    By the straight line through the gaps before and behind a step: seen from behind it if it was
    good, else from before, if it led over the break. What the line misses falls with the square
    of the step, so that a few steps stand at the break and a tiny one leads over.
    """
    if gaps is None:
        return torch.full_like(step, torch.inf)
    before, behind = gaps(y), gaps(new)
    share = before / (before - behind) - good[:, None].to(step)
    near = (share >= 0) & (good[:, None] | (share <= 1))
    time = step * torch.where(near, share, torch.inf).amin(1)
    crossing = _CROSSING * interval
    short = time * (1 - (time / interval).clamp_max(0.1)) - 0.25 * crossing
    return short.clamp_min(crossing)


def _step(
    rate: Function, now: _Progress, step: Float[Tensor, " systems"], tolerance: float
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
