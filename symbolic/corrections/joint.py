"""A law and its correction refitted together, through the integrator.

The search is linear, along the path of the law alone; here every number of both is moved, and the
windows are integrated anew. The correction may be a ten-millionth of the force: positions are
double, steps are those of DOP853, and a number is moved by a thousandth of itself, far above what
rounding makes of the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.symbolic.corrections.linearised import (
    blocks_of,
    evidence_of,
    of_windows,
    usual,
)
from gnsim.symbolic.corrections.own_numbers import Number, numbers
from gnsim.symbolic.corrections.subsets import Equations
from gnsim.symbolic.law import Law
from gnsim.symbolic.problem import Problem, residuals_over_noise
from gnsim.symbolic.window_errors import signed_errors

#: share of itself by which a number is moved for a quotient; motion is nearly linear in them
_MOVED = 1e-3
_ROUNDS = 4
#: gain of the logarithm of the error below which numbers stay where they are
_SETTLED = 0.01


@dataclass(frozen=True)
class Refitted:
    """A law with its numbers refitted, and its `_rests`."""

    law: Law
    rests: Tensor
    evidence: Float[Tensor, " bodies"]

    @property
    def mean_logarithm(self) -> float:
        """Of what is left of each body, where errors are not many times their usual size."""
        kept = usual(self.rests)
        squares = torch.where(kept, self.rests.square().sum((0, 3)), 0.0).sum(0)
        return float((self.evidence * (squares / kept.sum(0)).log()).mean())


def refit_together(law: Law, train: Problem) -> Refitted:
    """`law` with all its numbers, those of a correction too, as they explain the windows best.

    Errors of each body count by their own size, as in the search. Standard errors are those of the
    jackknife by blocks of time (or systems) and by bodies.

    Raises:
        IntegrationError: the law cannot be followed through a window.
    """
    train = train.settled(law.dynamics())
    moved, best = numbers(law), Refitted(law, _rests(law, train), evidence_of(train))
    for round_ in range(_ROUNDS if moved else 0):
        found = _improved(best, moved, train)
        gained = best.mean_logarithm - found.mean_logarithm
        # standard errors are wanted of the first round, even where it gains nothing
        if gained > 0 or not round_:
            best = found
        if not gained > _SETTLED:
            break
    return best


def _improved(here: Refitted, moved: Sequence[Number], train: Problem) -> Refitted:
    """One step of Gauss and Newton, with standard errors."""
    law, rests = here.law, here.rests
    slopes = _slopes(law, moved, train)
    size = slopes.square().nanmean((1, 2, 3, 4)).sqrt()
    size = torch.where(size > 0, size, 1.0)
    columns = slopes / size.view(-1, 1, 1, 1, 1)
    used, block = usual(rests), blocks_of(train)
    equations = Equations.of(rests, columns, block, len(moved), used, here.evidence)
    steps = (equations.total.fit([]).x / size).tolist()
    spreads = (equations.errors_of([])[1] / size).tolist()
    for number, step, spread in zip(moved, steps, spreads, strict=True):
        law = number.set(law, number.of(law) + step, spread)
    return replace(here, law=law, rests=_rests(law, train.settled(law.dynamics())))


def errors_of(law: Law, problem: Problem) -> Float[Tensor, "1 units bodies dim"]:
    """Those at the ends of the windows, from the starts that are likeliest for the law."""
    dynamics = law.dynamics()
    problem = problem.settled(dynamics)
    return of_windows(signed_errors(dynamics, problem), problem)


def _rests(law: Law, problem: Problem) -> Float[Tensor, "1 units bodies numbers"]:
    """What numbers are fitted to: errors, and in noise all that was measured, over its noise.

    A mean acceleration over the window would waste what is known there, and bring constants out too
    small. From the starts that windows have, corrected once for the law where they were fitted.
    """
    dynamics = law.dynamics()
    if not problem.noisy:
        return of_windows(signed_errors(dynamics, problem), problem)
    with torch.no_grad():
        parts = [residuals_over_noise(dynamics, problem, part) for part in problem.chunks()]
    rows = torch.cat(parts)
    return rows.view(1, len(rows), problem.bodies, -1)


def _slopes(
    law: Law, moved: Sequence[Number], problem: Problem
) -> Float[Tensor, "moved 1 units bodies numbers"]:
    """What `_rests` fall by per unit of each number."""
    problem = problem.settled(law.dynamics())
    here, found = _rests(law, problem), []
    for number in moved:
        value = number.of(law)
        step = _MOVED * (abs(value) or 1.0)
        found.append((here - _rests(number.set(law, value + step), problem)) / step)
    return torch.stack(found)
