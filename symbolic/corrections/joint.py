"""A law and its correction refitted together, through the integrator.

The search is linear, along the path of the law alone; here every number of both is moved, and the
windows are integrated anew. The correction may be a ten-millionth of the force: positions are
double, steps are those of DOP853, and a number is moved by a thousandth of itself, far above what
rounding makes of the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.symbolic.corrections.linearised import blocks_of, usual
from gnsim.symbolic.corrections.own_numbers import Number, numbers
from gnsim.symbolic.corrections.subsets import Equations
from gnsim.symbolic.law import Law
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import signed_errors

#: share of itself by which a number is moved for a quotient; motion is nearly linear in them
_MOVED = 1e-3
_ROUNDS = 4
#: gain of the logarithm of the error below which numbers stay where they are
_SETTLED = 0.01


@dataclass(frozen=True)
class Refitted:
    """A law with its numbers refitted, and its errors [kinds, units, bodies, dim]."""

    law: Law
    errors: Tensor

    @property
    def mean_logarithm(self) -> float:
        """Of what is left of each body, where errors are not many times their usual size."""
        kept = usual(self.errors)
        squares = torch.where(kept, self.errors.square().sum((0, 3)), 0.0).sum(0)
        return float((squares / kept.sum(0)).log().mean())


def refit_together(law: Law, train: Problem) -> Refitted:
    """`law` with all its numbers, those of a correction too, as they explain the windows best.

    Errors of each body count by their own size, as in the search. Standard errors are those of the
    jackknife by blocks of time (or systems) and by bodies.

    Raises:
        IntegrationError: the law cannot be followed through a window.
    """
    moved, best = numbers(law), Refitted(law, errors_of(law, train))
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
    law, errors = here.law, here.errors
    slopes = torch.stack([_slope(law, number, train, errors) for number in moved])
    size = slopes.square().nanmean((1, 2, 3, 4)).sqrt()
    size = torch.where(size > 0, size, 1.0)
    columns = slopes / size.view(-1, 1, 1, 1, 1)
    equations = Equations.of(errors, columns, blocks_of(train), len(moved), usual(errors))
    steps = (equations.total.fit([]).x / size).tolist()
    spreads = (equations.errors_of([])[1] / size).tolist()
    for number, step, spread in zip(moved, steps, spreads, strict=True):
        law = number.set(law, number.of(law) + step, spread)
    return Refitted(law, errors_of(law, train))


def errors_of(law: Law, problem: Problem) -> Float[Tensor, "kinds units bodies dim"]:
    """Those at the ends of the windows, from the starts that are likeliest for the law."""
    dynamics = law.dynamics()
    errors = signed_errors(dynamics, problem.settled(dynamics)).movedim(1, 0)
    return errors.reshape(len(errors), -1, problem.bodies, errors.shape[-1])


def _slope(law: Law, number: Number, problem: Problem, errors: Tensor) -> Tensor:
    """What errors fall by per unit of a number."""
    value = number.of(law)
    step = _MOVED * (abs(value) or 1.0)
    return (errors - errors_of(number.set(law, value + step), problem)) / step
