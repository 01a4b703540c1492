"""Candidates in which the distance enters as a power: what a refit can start from.

Where noise or close encounters keep a network from the true force, engines imitate the network,
and a power law need not be among what they offer. So it is put beside each form of the attributes
that they found; the trajectories decide.
"""

from collections.abc import Sequence

import numpy as np
import sympy

from gnsim.symbolic.expressions import as_columns, evaluated
from gnsim.symbolic.front import Candidate, judge
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.parser import symbol

#: what stands for the engine of such a law
POWER = "power"
#: a force of which less than this share has one sign is no power of the distance
_SAME_SIGN = 0.8
#: steeper ones come of distances that hardly differ; fewer messages say nothing
_STEEPEST, _LEAST = 20.0, 10


def powers(front: Sequence[Candidate], table: MessageTable) -> list[Candidate]:
    """``A r^n`` for each dependence A on the attributes in `front`, with the n that fits best."""
    columns, r = as_columns(table.names, table.X), symbol("r")
    found = []
    for factor in dict.fromkeys(_of_attributes(c.equation) for c in front):
        if factor is None:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = table.y / evaluated(factor, columns)
        usable = np.isfinite(rest) & (rest != 0)
        if usable.sum() < _LEAST:
            continue
        sign = np.sign(np.median(rest[usable]))
        kept = usable & (np.sign(rest) == sign)
        if kept.sum() < _SAME_SIGN * usable.sum():
            continue
        slope, height = np.polyfit(np.log(columns["r"][kept]), np.log(np.abs(rest[kept])), 1)
        if abs(slope) > _STEEPEST:
            continue
        law = sympy.Float(sign * np.exp(height)) * factor * r ** sympy.Float(slope)
        found.append(judge(Candidate(law, 0, 0.0, POWER), table.names, table.X, table.y))
    return [candidate for candidate in found if np.isfinite(candidate.loss)]


def _of_attributes(equation: sympy.Expr) -> sympy.Expr | None:
    """The factors without the distance, but for a number; None where the distance is in a sum."""
    if isinstance(equation, sympy.Piecewise):
        return None
    r = symbol("r")
    factor, rest = equation.as_independent(r, as_Add=False)
    if rest.free_symbols - {r}:
        return None
    return factor.as_coeff_Mul()[1]
