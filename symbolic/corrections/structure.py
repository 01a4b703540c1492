"""Corrections with shared constants: dimensions say which strengths may come from one new constant.

Where a law is a strength K times powers, the strength of a term beside it is ``kappa K^a / C^e``,
with a pure number kappa and a new constant C of the dimension of a velocity, for whole numbers a
and e, or it is not: then it has a constant of its own. Terms with the same e whose kappas stand in
simple ratios share C.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np
import sympy

from gnsim.symbolic.corrections.monomials import Monomial
from gnsim.symbolic.expressions import attribute_of
from gnsim.symbolic.law import Law
from gnsim.symbolic.parser import symbol

#: dimensions of length, time and mass; attributes other than the mass have one of their own
_FORCE = {"length": 1.0, "time": -2.0, "mass": 1.0}
_VELOCITY = {"length": 1.0, "time": -1.0}
#: kappas are multiples of one number by whole numbers up to this
_WHOLE = 8
#: share of itself by which a ratio may be off a simple one
_NEAR = 0.02

Dimensions = dict[str, float]


@dataclass(frozen=True)
class Scale:
    """The strength of a term as ``kappa K^a / C^e``, by the constant that is K."""

    strength: str
    a: int
    e: int


def scale_of(term: Monomial, law: Law) -> Scale | None:
    """How the strength of `term` goes with that of `law` and a velocity; None where it does not."""
    name, shape = _strength(law)
    if (
        not name
        or (own := _dimensions(shape)) is None
        or (beside := _dimensions(term.expr)) is None
    ):
        return None
    of_law, of_term = (_less(_FORCE, d) for d in (own, beside))
    axes = sorted({*of_law, *of_term, *_VELOCITY})
    matrix = np.array([[of_law.get(x, 0), -_VELOCITY.get(x, 0)] for x in axes], dtype=float)
    wanted = np.array([of_term.get(x, 0) for x in axes], dtype=float)
    solved, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    a, e = (round(float(x)) for x in solved)
    exact = np.allclose(matrix @ [a, e], wanted)
    return Scale(name, a, e) if exact and a >= 1 and e >= 1 else None


def simple_multiples(values: Sequence[float], best: int) -> list[int] | None:
    """Whole numbers in the ratios of `values`, to a fiftieth; None where these are not simple.

    `best` is the value that is known best, which the others are held against.
    """
    ratios = []
    for value in values:
        ratio = value / values[best]
        near = [Fraction(p, q) for p in range(1, _WHOLE + 1) for q in range(1, _WHOLE + 1)]
        close = [f for f in near if abs(abs(ratio) - f) <= _NEAR * f]
        if not close:
            return None
        simplest = min(close, key=lambda f: f.numerator + f.denominator)
        ratios.append(simplest if ratio > 0 else -simplest)
    common = lcm(*(f.denominator for f in ratios))
    whole = [int(f * common) for f in ratios]
    shared = gcd(*whole)
    whole = [w // shared for w in whole]
    return whole if max(map(abs, whole)) <= _WHOLE else None


def _strength(law: Law) -> tuple[str, sympy.Expr]:
    """The constant that multiplies the force as a whole, and the rest; an empty name without."""
    factors = law.expr.as_powers_dict()
    found = [s for s, power in factors.items() if str(s) in law.constants and power == 1]
    if len(found) != 1:
        return "", law.expr
    return str(found[0]), law.expr / found[0]


def _dimensions(shape: sympy.Expr) -> Dimensions | None:
    """Those of a product of powers of attributes, distances and speeds; None for anything else."""
    total: Dimensions = {}
    for base, power in shape.as_powers_dict().items():
        own = _of_base(base)
        if own is None or not power.is_Number:
            return None
        total = {x: total.get(x, 0) + float(power) * own.get(x, 0) for x in {*total, *own}}
    return total


def _of_base(base: sympy.Expr) -> Dimensions | None:
    if base.is_Number:
        return {}
    if base == symbol("mass_i") + symbol("mass_j"):
        return {"mass": 1.0}
    if not base.is_Symbol:
        return None
    if base == symbol("r"):
        return {"length": 1.0}
    if base.name in ("v_r", "v_t"):
        return dict(_VELOCITY)
    found = attribute_of(base.name)
    return {found[0]: 1.0} if found else None


def _less(one: Dimensions, other: Dimensions) -> Dimensions:
    return {x: one.get(x, 0) - other.get(x, 0) for x in {*one, *other}}
