"""Candidates from the potential behind the messages: many laws are simpler there than as a force.

Where the messages, per product of an attribute of both bodies, are one curve of the distance, its
integral is searched as well. A screened charge is ``exp(-r/l)/r``; its force is a sum, with one
length in three places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from gnsim.symbolic.curves import one_curve
from gnsim.symbolic.expressions import as_columns, complexity, evaluated
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.parser import is_readable, symbol
from gnsim.symbolic.simplify import relative_loss

#: what stands for the engine of such a law
POTENTIAL = "potential"


@dataclass(frozen=True)
class PotentialCurve:
    """The potential at sampled distances, as messages that an engine searches; zero at the last.

    The force is `factor`, a product of attributes, times its derivative.
    """

    factor: sympy.Expr
    table: MessageTable


def potential_curve(messages: MessageTable) -> PotentialCurve | None:
    """The integral of messages that are one curve of the distance; None where they are not."""
    curve = one_curve(messages)
    if curve is None:
        return None
    r, force = curve.r, curve.force
    steps = 0.5 * (force[1:] + force[:-1]) * np.diff(r)
    below = np.concatenate([[0.0], np.cumsum(steps)])
    return PotentialCurve(curve.factor, MessageTable(("r",), r[:, None], below - below[-1], "1"))


def forces(
    offered: Sequence[Candidate], curve: PotentialCurve, messages: MessageTable
) -> list[Candidate]:
    """The forces of potentials that an engine offers, as candidates for the messages.

    Of a sum, the strongest term by itself is one too: engines add small ones that mend the errors
    of a network.
    """
    columns, r = as_columns(messages.names, messages.X), symbol("r")
    found: dict[sympy.Expr, Candidate] = {}
    for candidate in offered:
        whole = candidate.equation.as_independent(r, as_Add=True)[1]
        for potential in dict.fromkeys((whole, _strongest(whole, curve))):
            force = sympy.diff(curve.factor * potential, r)
            known = force != 0 and is_readable(force)
            loss = relative_loss(force, columns, messages.y) if known else np.inf
            if np.isfinite(loss):
                of = curve.factor * potential
                size = min(complexity(force), complexity(of))
                found[force] = Candidate(force, size, loss, POTENTIAL, of)
    return list(found.values())


def _strongest(potential: sympy.Expr, curve: PotentialCurve) -> sympy.Expr:
    """The term of a sum that changes most over the distances."""
    terms = sympy.Add.make_args(sympy.expand(potential))
    columns = as_columns(curve.table.names, curve.table.X)
    return max(terms, key=lambda term: np.nan_to_num(np.ptp(evaluated(term, columns)), posinf=0.0))
