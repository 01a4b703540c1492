"""One candidate: cleaned, its numbers as constants, its constants fitted in float64, its loss."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import sympy
from scipy.optimize import least_squares

from gnsim.symbolic.expressions import bounded, compiled, complexity, evaluated, inlined, names_of
from gnsim.symbolic.parser import symbol

_CLEAN_SECONDS = 2.0
_FITS = 200


def simplify_candidate(
    expr: sympy.Expr, negligible: Mapping[str, np.ndarray] | None = None
) -> sympy.Expr:
    """A cleaner equal of `expr`: numbers folded, powers merged, exponents near integers rounded.

    Takes at most a few seconds and never makes the expression larger. With samples by name in
    `negligible`, terms below 1e-5 of the sum at every sample are dropped as rounding of the engine.
    """
    shortest = _natural(_round_exponents(expr, 1e-6))
    for step in (_folded, sympy.powdenest, sympy.factor_terms, _expanded):
        cleaned = bounded(_CLEAN_SECONDS, step, shortest)
        if cleaned is not None and complexity(cleaned) <= complexity(shortest):
            shortest = _round_exponents(cleaned, 1e-6)
    if negligible is not None:
        dropped = _without_negligible(shortest, negligible)
        if dropped != shortest:
            dropped = simplify_candidate(dropped)
            return dropped if complexity(dropped) < complexity(shortest) else shortest
    return shortest


def _folded(expr: sympy.Expr) -> sympy.Expr:
    return sympy.together(sympy.powsimp(_natural(inlined(expr, {}))))


def _natural(expr: sympy.Expr) -> sympy.Expr:
    """Powers of a positive number as exponentials, so that ``0.6**r`` reads ``exp(-0.51*r)``."""

    def numeric_base(e: sympy.Basic) -> bool:
        return e.is_Pow and e.base.is_Number and e.base.is_positive and not e.exp.is_Number

    return expr.replace(numeric_base, lambda e: sympy.exp(sympy.Float(sympy.log(e.base)) * e.exp))


def _expanded(expr: sympy.Expr) -> sympy.Expr:
    return sympy.powsimp(sympy.expand(expr))


def _without_negligible(expr: sympy.Expr, samples: Mapping[str, np.ndarray]) -> sympy.Expr:
    expanded = bounded(_CLEAN_SECONDS, sympy.expand, expr)
    if expanded is None or not expanded.is_Add:
        return expr
    terms = [np.abs(evaluated(term, samples)) for term in expanded.args]
    total = np.abs(evaluated(expanded, samples))
    kept = [t for t, size in zip(expanded.args, terms, strict=True) if np.any(size > 1e-5 * total)]
    return sympy.Add(*kept) if 0 < len(kept) < len(terms) else expr


def _round_exponents(expr: sympy.Expr, tolerance: float) -> sympy.Expr:
    def near(e: sympy.Basic) -> bool:
        return e.is_Pow and e.exp.is_Float and _ratio(float(e.exp), tolerance) is not None

    return expr.replace(near, lambda e: e.base ** _ratio(float(e.exp), tolerance))


def _ratio(value: float, tolerance: float) -> sympy.Rational | None:
    """The integer, else the half or third, within `tolerance` of `value`."""
    for denominator in (1, 2, 3):
        near = Fraction(round(value * denominator), denominator)
        if near != 0 and abs(value - near) <= tolerance / denominator:
            return sympy.Rational(near.numerator, near.denominator)
    return None


def rounded_exponents(expr: sympy.Expr, tolerance: float = 0.1) -> sympy.Expr | None:
    """The variant with fitted exponents at the nearby integer, half or third; None if none is near.

    ``r**-2.0003`` gives ``r**-2``. A variant to be refitted and judged beside the original.
    """
    rounded = _round_exponents(expr, tolerance)
    return rounded if rounded != expr else None


def parametrise(expr: sympy.Expr) -> tuple[sympy.Expr, dict[str, float]]:
    """`expr` with its fitted numbers as constants ``c0, c1, ...``, and their values.

    Every float becomes a constant, fitted exponents too, and so does every integer that stands as a
    term or (1 and -1 apart) a coefficient; integer and rational exponents are part of the form.
    Each term of the whole has a coefficient, 1.0 where none is written.
    """
    taken, values = set(names_of(expr)), {}
    names = (f"c{k}" for k in range(10_000) if f"c{k}" not in taken)

    def constant(number: sympy.Expr) -> sympy.Symbol:
        name = next(names)
        values[name] = float(number)
        return symbol(name)

    def walk(e: sympy.Expr, exponent: bool = False) -> sympy.Expr:
        if e.is_Number:
            literal = e.is_Rational and (exponent or abs(e) == 1)
            return e if literal else constant(e)
        if e.is_Atom:
            return e
        if e.is_Pow:
            return walk(e.base) ** walk(e.exp, exponent=True)
        if e.is_Add:
            return sympy.Add(*(constant(p) if p.is_Number else walk(p) for p in e.args))
        return e.func(*(walk(part) for part in e.args))

    def scaled(term: sympy.Expr) -> sympy.Expr:
        factor, rest = term.as_coeff_Mul()
        return constant(factor) * walk(rest) if rest != 1 else constant(factor)

    exact = inlined(_round_exponents(expr, 1e-9), {})
    return sympy.Add(*map(scaled, sympy.Add.make_args(exact))), values


def relative_loss(expr: sympy.Expr, samples: Mapping[str, np.ndarray], y: np.ndarray) -> float:
    """Mean of ``log(1 + e^2)``, e the error relative to y: robust, and fair to every decade of y.

    A thousandth of the median of |y| is the floor of the scale; inf where `expr` has no value.
    """
    predicted = evaluated(expr, samples)
    if not np.all(np.isfinite(predicted)):
        return float("inf")
    with np.errstate(over="ignore"):
        return float(np.mean(np.log1p(np.square((predicted - y) / _scale(y)))))


def _scale(y: np.ndarray) -> np.ndarray:
    return np.abs(y) + 1e-3 * np.median(np.abs(y)) + np.finfo(float).tiny


def refined(expr: sympy.Expr, samples: Mapping[str, np.ndarray], y: np.ndarray) -> sympy.Expr:
    """`expr` with its fitted numbers moved, in float64, to the least `relative_loss`.

    Engines compute in single precision, which leaves spurious terms and exponents such as
    12.999997. Returns `expr` itself where no better constants are found.
    """
    form, values = parametrise(expr)
    if not values:
        return expr
    names = tuple(samples)
    function, scale = compiled(form, (*names, *values)), _scale(y)
    columns = [np.asarray(samples[name], dtype=np.float64) for name in names]
    start = np.array(list(values.values()))
    size = np.where(start == 0, 1.0, np.abs(start))

    def residual(change: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            error = (function(*columns, *(start + size * change)) - y) / scale
        return np.where(np.isfinite(error), np.clip(error, -1e8, 1e8), 1e8)

    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": _FITS}
    fit = least_squares(residual, np.zeros(len(start)), loss="cauchy", **tight)
    best = inlined(form, dict(zip(values, start + size * fit.x, strict=True)))
    return best if relative_loss(best, samples, y) < relative_loss(expr, samples, y) else expr
