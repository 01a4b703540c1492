"""A law and its correction refitted together, through the integrator.

The search is linear, along the path of the law alone; here every number of both is moved, and the
windows are integrated anew. The correction may be a ten-millionth of the force: positions are
double, steps are those of DOP853, and a number is moved by a thousandth of itself, far above what
rounding makes of the difference.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import sympy
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
from gnsim.symbolic.parser import symbol
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
        """Of the square of what is left of each body, where that is not many times the usual."""
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


def pruned(
    fitted: Refitted, new: Collection[str], train: Problem, held_out: Problem, worth: float
) -> Refitted:
    """Without the terms that held-out data do not ask for once all is fitted together.

    The search is linear, and puts beside a strong correction terms for what is not linear in it. A
    term goes with its constant of `new` where the held-out error rises by no more than a constant
    is `worth`; constants that several terms share stay.
    """

    def doubt(name: str) -> float:
        constant = fitted.law.constants[name]
        return (constant.stderr or 0.0) / abs(constant.value or 1.0)

    for name in sorted(new, key=doubt, reverse=True):
        less = _without(fitted.law, name)
        if less is None:
            continue
        trial = refit_together(less, train)
        if _held_out(trial.law, held_out) <= _held_out(fitted.law, held_out) + worth:
            fitted = trial
    return fitted


def _without(law: Law, name: str) -> Law | None:
    """`law` without the terms that a constant multiplies; None where none does, or all do."""
    parts = [e.subs(symbol(name), 0) for e in (law.radial_expr, law.transverse_expr)]
    shared = any(part.has(sympy.nan, sympy.zoo, sympy.oo) for part in parts)
    if shared or parts == [0, 0]:
        return None
    kept = {n: c for n, c in law.constants.items() if n != name}
    return replace(law, radial=parts[0], transverse=parts[1], constants=kept)


def _held_out(law: Law, problem: Problem) -> float:
    """The mean logarithm of the error, over bodies by their evidence."""
    return 0.5 * Refitted(law, errors_of(law, problem), evidence_of(problem)).mean_logarithm


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
