"""The last steps of a fit in noise: by the windows whose starts are known, each of full weight.

Where bodies meet, motion depends on where it began so much that some starts are lost, and windows
say nothing then; others are found a little beside the likeliest start, or are integrated a little
beside the true path, and pull the constants off. Of what remains, least squares are the likelihood
of the noise. Each window is integrated in steps so fine that halving them changes next to nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnsim.models.coupled import CoupledPairs
from gnsim.normal_equations import Normal
from gnsim.starts import joined
from gnsim.symbolic.minimise import (
    LOST_WINDOW,
    Fittable,
    assign,
    directions_of,
    errors_of,
    groupings_of,
    jacobian_of,
)
from gnsim.symbolic.problem import Problem

#: standard errors of a sum of squares from which a start is lost; and by how much one more step may
#: still lower it
_LOST, _UNSETTLED = 4.0, 0.1
#: how far halving the step may move a window, over the noise; and how often it is halved
_STEP, _HALVINGS = 0.05, 3
#: steps of starts before the first step of the constants, and before each; steps of the constants;
#: less than this share of its standard error is no step
_AT_FIRST, _EACH, _ROUNDS, _LITTLE = 4, 2, 6, 0.1
#: fewer independent systems than this say too little
_ENOUGH = 8


class Settled(NamedTuple):
    """Parameters, these without each group of the data in turn, and what noise scatters them by."""

    parameters: Float[Tensor, " p"]
    replicates: tuple[Float[Tensor, "_ p"], ...]
    noise: Float[Tensor, "p p"]


def settle(
    form: Fittable, model: CoupledPairs, theta: Float[Tensor, " p"], problem: Problem
) -> Settled | None:
    """Gauss-Newton from parameters that are nearly right; None where too few windows are settled.

    `model` is the dynamics of `form`, whose parameters these are.
    """
    if _systems(problem, torch.ones_like(problem.windows.start, dtype=torch.bool)) < _ENOUGH:
        return None
    problem = replace(problem, exact_starts=True)
    halvings = torch.zeros_like(problem.windows.start)
    found = None
    for number in range(_ROUNDS):
        rounds = _EACH if number else _AT_FIRST
        problem, halvings, exact = _settled(model, theta, problem, halvings, rounds)
        normal = _normal(form, model, theta, problem, halvings)
        kept = exact[:, None] & _explained(normal.errors, problem)
        if _systems(problem, kept[:, 0]) < _ENOUGH:
            return None
        normal = normal.only(kept)
        noise = normal.scatter(_variance(normal.errors[kept], problem))
        step = normal.step(0.0)
        found = Settled(theta + step, normal.left_out(theta, groupings_of(problem)), noise)
        theta = found.parameters
        if bool((step.abs() <= _LITTLE * noise.norm(dim=1)).all()):
            break
    return found


def _systems(problem: Problem, kept: Bool[Tensor, " windows"]) -> int:
    """How many systems the windows that are kept were cut from."""
    return len(problem.windows.system[kept].unique())


def _settled(
    model: CoupledPairs,
    theta: Float[Tensor, " p"],
    problem: Problem,
    halvings: Int[Tensor, " windows"],
    rounds: int,
) -> tuple[Problem, Int[Tensor, " windows"], Bool[Tensor, " windows"]]:
    """With starts after so many steps; how often the time step is halved, and where that is enough.

    Windows that halving it once more would move go on to finer steps.
    """
    assign(model, theta)
    halvings, enough = halvings.clone(), torch.zeros_like(halvings, dtype=torch.bool)
    for level in range(_HALVINGS + 1):
        chosen = (halvings == level).nonzero().squeeze(1)
        if not len(chosen):
            continue
        part = _part(problem, chosen, level)
        for _ in range(rounds):
            part = part.settled(model)
        exact = _moved_by_halving(model, theta, part) < _STEP
        enough[chosen] = exact
        if level < _HALVINGS:
            halvings[chosen[~exact]] += 1
        problem = _with_starts(problem, chosen, part)
    return problem, halvings, enough


def _part(problem: Problem, chosen: Int[Tensor, " some"], halvings: int) -> Problem:
    """Some of the windows, in steps that are halved so often."""
    windows = problem.windows.chosen(chosen)
    return replace(problem, windows=windows, substeps=problem.substeps * 2**halvings)


def _parts(
    problem: Problem, halvings: Int[Tensor, " windows"]
) -> Iterator[tuple[Int[Tensor, " some"], Problem]]:
    """The windows of each time step, and which they are."""
    for level in halvings.unique().tolist():
        chosen = (halvings == level).nonzero().squeeze(1)
        yield chosen, _part(problem, chosen, level)


def _moved_by_halving(
    model: CoupledPairs, theta: Float[Tensor, " p"], part: Problem
) -> Float[Tensor, " windows"]:
    """By how much half the time step changes what is left of windows, over the noise."""
    finer = replace(part, substeps=2 * part.substeps)
    change = errors_of(model, theta, part) - errors_of(model, theta, finer)
    return change.square().sum((1, 2)).sqrt()


def _with_starts(problem: Problem, chosen: Int[Tensor, " some"], part: Problem) -> Problem:
    """With the starts of `part`, which are those of the `chosen` windows."""
    starts, known = part.windows.starts, problem.windows.starts
    assert starts is not None  # the part is settled
    if known is not None:
        among = torch.isin(torch.arange(len(problem.windows.start)), chosen)
        others = (~among).nonzero().squeeze(1)
        order = torch.cat([others, chosen]).argsort()
        starts = joined([known.chosen(others), starts]).chosen(order)
    return replace(problem, windows=replace(problem.windows, starts=starts))


def _normal(
    form: Fittable,
    model: CoupledPairs,
    theta: Float[Tensor, " p"],
    problem: Problem,
    halvings: Int[Tensor, " windows"],
) -> Normal:
    """The normal equations of all windows, each in its own steps."""
    order, errors, slopes = [], [], []
    for chosen, part in _parts(problem, halvings):
        order.append(chosen)
        errors.append(errors_of(model, theta, part))
        slopes.append(jacobian_of(model, theta, part, errors[-1]))
    back = torch.cat(order).argsort()
    directions = directions_of(form, model, theta)
    return Normal(torch.cat(errors)[back], torch.cat(slopes)[back], directions, LOST_WINDOW)


def _explained(
    errors: Float[Tensor, "windows 1 rows"], problem: Problem
) -> Bool[Tensor, "windows 1"]:
    """Windows that noise alone explains, and whose starts would not move on."""
    squares, starts = errors.square().sum(-1), problem.windows.starts
    assert starts is not None  # the problem is settled
    lost = squares > squares.median() * (1 + _LOST * (2 / _freedom(errors, problem)) ** 0.5)
    before = starts.misfit.view(len(squares), -1).sum(1, keepdim=True)
    return ~lost & ((squares - before).abs() < _UNSETTLED)


def _freedom(errors: Tensor, problem: Problem) -> int:
    """Numbers of a window that its start does not take."""
    return max(1, errors.shape[-1] - 2 * problem.bodies * problem.windows.path.dim)


def _variance(kept: Float[Tensor, "windows rows"], problem: Problem) -> Float[Tensor, ""]:
    """The mean square of what noise makes of a number."""
    return kept.square().sum() / (len(kept) * _freedom(kept, problem))
