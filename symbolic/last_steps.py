"""The last steps of a fit in noise: by the windows whose starts are found, each of full weight.

Where bodies meet, motion depends on where it began so much that some starts are lost, and windows
say nothing then; others are found a little beside the likeliest start, or are integrated a little
beside the true path, and pull the constants off. Of what remains, least squares are the likelihood
of the noise. Each window is integrated in steps so fine that halving them changes next to nothing.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnsim.models.coupled import CoupledPairs
from gnsim.normal_equations import Normal, RefitError
from gnsim.starts import Starts, joined
from gnsim.symbolic.minimise import (
    ENOUGH_SYSTEMS,
    Fittable,
    assign,
    errors_of,
    jacobian_of,
)
from gnsim.symbolic.problem import Problem

#: standard errors of a sum of squares from which a start is lost; and by how much one more step may
#: still lower it
_LOST, _UNSETTLED = 4.0, 0.1
#: how far halving the step may move what is left of a window, over the noise; and how often it is
#: halved
_MOVED, _HALVINGS = 0.05, 3
#: steps of starts before the first step of the constants, and before each other
_STARTS_AT_FIRST, _STARTS = 4, 2
#: steps of the constants; the last is at most this share of their standard errors, and halving all
#: time steps would move them by at most that one
_ROUNDS, _LAST_STEP, _OF_THE_TIME_STEP = 6, 0.1, 0.5
#: where the time step moves them by more, windows may be moved by this share of what they might
_STRICTER = 0.25
#: errors so many times the usual one have half the weight: none are
_NO_OUTLIERS = 1e8


class LastSteps(NamedTuple):
    """Parameters, these without each group of the data in turn, and what noise scatters them by."""

    parameters: Float[Tensor, " p"]
    replicates: tuple[Float[Tensor, "_ p"], ...]
    noise: Float[Tensor, "p p"]


@dataclass(frozen=True)
class _Level:
    """The windows of one time step, by number; their starts, once there are any."""

    windows: Int[Tensor, " some"]
    starts: Starts | None = None


class _Left(NamedTuple):
    """What is left of the windows of a level, over the noise; and in half the time step.

    `exact` are those that halving the step does not move.
    """

    problem: Problem
    errors: Float[Tensor, "some 1 rows"]
    finer: Float[Tensor, "some 1 rows"]
    exact: Bool[Tensor, " some"]


def last_steps(
    form: Fittable, model: CoupledPairs, theta: Float[Tensor, " p"], problem: Problem
) -> LastSteps | None:
    """Gauss-Newton from parameters that are nearly right.

    `model` is the dynamics of `form`, whose parameters these are. None where too few systems have a
    window whose start is found, or where no step is small enough to be the last.
    """
    if len(problem.windows.system.unique()) < ENOUGH_SYSTEMS:
        return None
    # starts are kept level by level
    bare = replace(problem, fine_slopes=True, windows=replace(problem.windows, starts=None))
    everything = torch.arange(len(problem.windows.start))
    levels = [_Level(everything)] + [_Level(everything[:0])] * _HALVINGS
    moved = _MOVED
    try:
        for number in range(_ROUNDS):
            rounds = _STARTS if number else _STARTS_AT_FIRST
            levels, left = _settled(model, theta, bare, levels, moved, rounds)
            step = _step(model, theta, left)
            if step is None:
                return None
            small = step.size(step.change) <= _LAST_STEP
            if small and step.size(step.of_the_time_step) <= _OF_THE_TIME_STEP:
                return LastSteps(theta + step.change, step.replicates, step.noise)
            theta = theta + step.change
            moved = _STRICTER * moved if small else moved
    except RefitError:  # beyond all numbers
        return None
    return None


def _settled(
    model: CoupledPairs,
    theta: Float[Tensor, " p"],
    bare: Problem,
    levels: list[_Level],
    moved: float,
    rounds: int,
) -> tuple[list[_Level], list[_Left]]:
    """The windows by level after so many steps of their starts, and what is left of them.

    Windows that halving the step once more would move go on to the next level.
    """
    assign(model, theta)
    settled, left, raised = [], [], _Level(levels[0].windows[:0])
    for number, level in enumerate(levels):
        level = _both(level, raised)
        raised = _Level(level.windows[:0])
        if not len(level.windows):
            settled.append(level)
            continue
        windows = replace(bare.windows.chosen(level.windows), starts=level.starts)
        part = replace(bare, windows=windows, substeps=bare.substeps * 2**number)
        for _ in range(rounds):
            part = part.settled(model)
        found = _left(model, theta, part, moved)
        last = number == len(levels) - 1
        stay = (found.exact | last).nonzero().squeeze(1)
        go = (~found.exact & (not last)).nonzero().squeeze(1)
        starts = part.windows.starts
        assert starts is not None  # the part is settled
        settled.append(_Level(level.windows[stay], starts.chosen(stay)))
        raised = _Level(level.windows[go], starts.chosen(go))
        if len(stay):
            left.append(_some(found, stay))
    return settled, left


def _both(one: _Level, two: _Level) -> _Level:
    """The windows of both."""
    starts = [level.starts for level in (one, two) if len(level.windows)]
    known = [s for s in starts if s is not None]
    return _Level(torch.cat([one.windows, two.windows]), joined(known) if known else None)


def _left(model: CoupledPairs, theta: Float[Tensor, " p"], part: Problem, moved: float) -> _Left:
    errors = errors_of(model, theta, part)
    finer = errors_of(model, theta, replace(part, substeps=2 * part.substeps))
    change = (errors - finer).square().sum((1, 2)).sqrt()
    return _Left(part, errors, finer, change < moved)


def _some(left: _Left, chosen: Int[Tensor, " some"]) -> _Left:
    """Of some of its windows."""
    problem = replace(left.problem, windows=left.problem.windows.chosen(chosen))
    return _Left(problem, left.errors[chosen], left.finer[chosen], left.exact[chosen])


class _Step(NamedTuple):
    """A step of the parameters, what noise scatters them by, and what halving the time step does.

    `replicates` are the parameters after it, without each group of the data.
    """

    change: Float[Tensor, " p"]
    of_the_time_step: Float[Tensor, " p"]
    noise: Float[Tensor, "p p"]
    replicates: tuple[Float[Tensor, "_ p"], ...]

    def size(self, change: Float[Tensor, " p"]) -> float:
        """Over the standard errors, the largest."""
        errors = self.noise.norm(dim=1)
        return float(torch.where(change == 0, 0.0, change.abs() / errors).max())


def _step(model: CoupledPairs, theta: Float[Tensor, " p"], left: list[_Left]) -> _Step | None:
    """From the windows that are exact, and that noise alone explains; None of too few systems."""
    usual = torch.cat([_squares(one)[one.exact] for one in left]).nanmedian()
    kept = [_some(one, _explained(one, usual).nonzero().squeeze(1)) for one in left]
    kept = [one for one in kept if len(one.errors)]
    groups, freedom = _groups(kept)
    if groups is None:
        return None
    slopes = torch.cat([jacobian_of(model, theta, one.problem, one.errors) for one in kept])
    nowhere = theta.new_zeros(len(theta), 0)  # steep slopes are known well here, and welcome
    normal, coarse = (
        Normal(torch.cat(errors), slopes, nowhere, _NO_OUTLIERS)
        for errors in ([one.finer for one in kept], [one.errors for one in kept])
    )
    change = normal.step(0.0)
    return _Step(
        change,
        change - coarse.step(0.0),
        normal.scatter(freedom),
        normal.left_out(theta, (groups,)),
    )


def _groups(kept: list[_Left]) -> tuple[Int[Tensor, " windows"] | None, float]:
    """The system of each window, None where they are too few; how many numbers no start takes."""
    if not kept:
        return None, 0.0
    system = torch.cat([one.problem.windows.system for one in kept])
    systems, index = system.unique(return_inverse=True)
    freedom = sum(float(_starts(one).freedom.sum()) for one in kept)
    return (index if len(systems) >= ENOUGH_SYSTEMS else None), freedom


def _squares(left: _Left) -> Float[Tensor, " windows"]:
    return left.errors.square().sum((1, 2))


def _explained(left: _Left, usual: Tensor) -> Bool[Tensor, " windows"]:
    """Exact windows that noise alone explains, and whose starts would not move on."""
    squares, starts = _squares(left), _starts(left)
    freedom = starts.freedom.view(len(squares), -1).sum(1).clamp_min(1.0)
    found = squares <= usual * (1 + _LOST * (2 / freedom).sqrt())
    before = starts.misfit.view(len(squares), -1).sum(1)
    return left.exact & found & ((squares - before).abs() < _UNSETTLED)


def _starts(left: _Left) -> Starts:
    starts = left.problem.windows.starts
    assert starts is not None  # the problem is settled
    return starts
