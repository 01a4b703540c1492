"""A law and its correction refitted together, through the integrator.

The search is linear, along the path of the law alone; here every number of both is moved, and the
windows are integrated anew. The correction may be a ten-millionth of the force: positions are
double, steps are those of DOP853, and a number is moved by a thousandth of itself, so that rounding
stays a millionth of what changes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.symbolic.corrections.own_numbers import Number, numbers
from gnsim.symbolic.corrections.search import blocks_of, usual
from gnsim.symbolic.corrections.subsets import Equations
from gnsim.symbolic.law import Law
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import signed_errors

#: share of itself by which a number is moved for a quotient; motion is nearly linear in them
_MOVED = 1e-3
_ROUNDS = 2


@dataclass(frozen=True)
class Refitted:
    """A law with its numbers refitted, and its errors [kinds, units, bodies, dim]."""

    law: Law
    errors: Tensor


def refit_together(law: Law, train: Problem) -> Refitted:
    """`law` with all its numbers, those of a correction too, as they explain the windows best.

    Errors of each body count by their own size, as in the search. Standard errors are those of the
    jackknife by blocks of time (or systems) and by bodies.
    """
    moved = numbers(law)
    for _ in range(_ROUNDS):
        errors = errors_of(law, train)
        slopes = torch.stack([_slope(law, number, train, errors) for number in moved])
        size = slopes.square().mean((1, 2, 3, 4)).sqrt()
        columns = slopes / size.view(-1, 1, 1, 1, 1)
        used = usual(errors).to(columns)
        equations = Equations.of(errors, columns, blocks_of(train), len(moved), used)
        solution = equations.total.fit([])
        spread = equations.errors_of([])[1]
        for number, step, error in zip(
            moved, (solution.x / size).tolist(), (spread / size).tolist(), strict=True
        ):
            law = number.set(law, number.of(law) + step, error)
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
