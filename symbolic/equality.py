"""Do two laws say the same, whatever the values of their constants?

An expression with free constants is a family of functions of r and the attributes. Two families are
equal when generic members of each are reproduced exactly by the other. That is tested numerically,
by nonlinear least squares in float64, in both directions; a family that only comes close, or that
contains the other but is larger, is not equal.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import sympy
from scipy.optimize import least_squares

from gnsim.symbolic.expressions import (
    SPEEDS,
    compiled,
    evaluated,
    inlined,
    is_variable,
    names_of,
    pieces_of,
    read,
)
from gnsim.symbolic.parser import symbol

#: largest residual, relative to the sizes of both sides, that rounding may leave
TOLERANCE = 1e-9
_INTEGER = 1e-9
_SAMPLES = 160
_DRAWS = 3
_STARTS = 12
_SEED = 20090403


@dataclass(frozen=True)
class _Family:
    """A function of the variables and of constants, with a typical sign for each constant."""

    function: Callable
    signs: np.ndarray
    variables: tuple[str, ...]

    def at(self, constants: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        arrays = [columns[name] for name in self.variables]
        with np.errstate(all="ignore"):
            value = self.function(*arrays, *constants)
        return np.broadcast_to(np.asarray(value, dtype=float), columns["r"].shape)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return self.signs * np.exp(rng.uniform(-0.9, 0.9, len(self.signs)))


def equals(
    a: sympy.Expr | str,
    b: sympy.Expr | str,
    values_a: Mapping[str, float] | None = None,
    values_b: Mapping[str, float] | None = None,
) -> bool:
    """Whether `a` and `b` are one family of functions; symmetric and reflexive.

    Variables are ``r``, ``v_r``, ``v_t`` and the names that end in ``_i`` or ``_j``; every other
    name is a free constant, taken as positive unless `values_a`, `values_b` give it a negative
    value. Coefficients and added numbers are free as well (a sign alone is not), and so is the
    factor of the whole.
    Beside named constants an integer may also be part of the form, as the 2 in ``exp(-2*a*r)``:
    both readings are tried. Numeric exponents are literal (integers within 1e-9). Laws with breaks
    are equal where they have as many and their pieces are equal; where the breaks are is free.
    """
    left, right = _rounded(read(a)), _rounded(read(b))
    if left == right:
        return True
    if left.has(sympy.Piecewise) or right.has(sympy.Piecewise):
        return _piece_by_piece(left, right, values_a, values_b)
    if _variables(left) != _variables(right):
        return False
    return any(
        _reproduces(first, second) and _reproduces(second, first)
        for first in _readings(left, values_a or {})
        for second in _readings(right, values_b or {})
    )


def _piece_by_piece(
    left: sympy.Expr,
    right: sympy.Expr,
    values_a: Mapping[str, float] | None,
    values_b: Mapping[str, float] | None,
) -> bool:
    pieces = [pieces_of(sympy.piecewise_fold(law)) for law in (left, right)]
    nested = any(piece.has(sympy.Piecewise) for side in pieces for piece in side)
    if nested or len(pieces[0]) != len(pieces[1]):
        return False
    both = list(zip(*pieces, strict=True))
    if not all(equals(one, other, values_a, values_b) for one, other in both):
        return False
    senses = {_sense(one, other, values_a or {}, values_b or {}) for one, other in both}
    return len(senses - {0}) <= 1


def _sense(
    one: sympy.Expr, other: sympy.Expr, a: Mapping[str, float], b: Mapping[str, float]
) -> int:
    """Whether two pieces have the same sign (1) or opposite ones (-1); 0 where they vanish."""
    columns = _columns(_variables(one + other), np.random.default_rng(_SEED))
    sides = []
    for piece, values in ((one, a), (other, b)):
        named = {n: values.get(n, 1.0) for n in names_of(piece) if not _is_variable(n)}
        sides.append(evaluated(inlined(piece, named), columns))
    return int(np.sign(np.nanmedian(sides[0] * sides[1])))


def _is_variable(name: str) -> bool:
    return is_variable(name) or name in SPEEDS


def _variables(expr: sympy.Expr) -> tuple[str, ...]:
    return tuple(name for name in names_of(expr) if _is_variable(name))


def _rounded(expr: sympy.Expr) -> sympy.Expr:
    """Numeric exponents within 1e-9 of an integer become that integer."""

    def near(e: sympy.Basic) -> bool:
        return e.is_Pow and e.exp.is_Float and bool(abs(e.exp - round(e.exp)) <= _INTEGER)

    return expr.replace(near, lambda e: e.base ** sympy.Integer(round(e.exp)))


def _readings(expr: sympy.Expr, values: Mapping[str, float]) -> Iterator[_Family]:
    """The family with all numbers free and, where that differs, the one with integers literal."""
    yield _family(expr, values, literal=False)
    if any(not _is_variable(name) for name in names_of(expr)):
        free, literal = (_freed(expr, {}, keep) for keep in (False, True))
        if free != literal:
            yield _family(expr, values, literal=True)


def _family(expr: sympy.Expr, values: Mapping[str, float], literal: bool) -> _Family:
    signs: dict[str, float] = {}
    freed = symbol("scale_free") * _freed(inlined(expr, {}), signs, literal)
    named = {n: values.get(n, 1.0) for n in names_of(expr) if not _is_variable(n)}
    constants = {"scale_free": 1.0, **named, **signs}
    variables = _variables(expr)
    function = compiled(freed, (*variables, *constants))
    return _Family(
        function, np.array([-1.0 if v < 0 else 1.0 for v in constants.values()]), variables
    )


def _freed(expr: sympy.Expr, signs: dict[str, float], literal: bool) -> sympy.Expr:
    """`expr` with coefficients and added numbers as constants; integers stay where `literal`."""
    if expr.is_Number:
        kept = expr.is_Rational if literal else expr in (sympy.S.One, sympy.S.NegativeOne)
        return expr if kept else _constant(expr, signs)
    if expr.is_Atom:
        return expr
    if expr.is_Pow and expr.exp.is_Number:
        return _freed(expr.base, signs, literal) ** expr.exp
    parts = [
        _constant(part, signs)
        if expr.is_Add and part.is_Number and not literal
        else _freed(part, signs, literal)
        for part in expr.args
    ]
    return expr.func(*parts)


def _constant(number: sympy.Expr, signs: dict[str, float]) -> sympy.Symbol:
    name = f"number_free_{len(signs)}"
    signs[name] = float(number)
    return symbol(name)


def _columns(variables: tuple[str, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Distances over 1.5 decades; masses and `v_t` positive, what else there is of both signs."""
    columns = {"r": np.exp(rng.uniform(np.log(0.2), np.log(6.0), _SAMPLES))}
    for name in sorted(set(variables) - {"r"}):
        size = np.exp(rng.uniform(-1.0, 1.0, _SAMPLES))
        positive = name.startswith("mass_") or name == "v_t"
        columns[name] = size if positive else size * rng.choice([-1.0, 1.0], _SAMPLES)
    return columns


def _reproduces(family: _Family, member_of: _Family) -> bool:
    """Whether `family` contains generic members of `member_of`, to rounding."""
    rng = np.random.default_rng(_SEED)
    for _ in range(_DRAWS):
        columns = _columns(member_of.variables, rng)
        target = _target(member_of, columns, rng)
        if target is None or not _fits(family, columns, target, rng):
            return False
    return True


def _target(
    family: _Family, columns: Mapping[str, np.ndarray], rng: np.random.Generator
) -> np.ndarray | None:
    """Values of a generic member that has values on enough of the samples; None if none has."""
    needed = 3 * len(family.signs) + 10
    for _ in range(50):
        target = family.at(family.draw(rng), columns)
        known = np.isfinite(target) & (np.abs(target) < 1e30)
        if known.sum() >= needed and np.any(target[known] != 0):
            return np.where(known, target, np.nan)
    return None


def _fits(
    family: _Family, columns: Mapping[str, np.ndarray], target: np.ndarray, rng: np.random.Generator
) -> bool:
    known = np.isfinite(target)
    kept = {name: column[known] for name, column in columns.items()}
    wanted = target[known]
    size = np.abs(wanted) + 1e-3 * np.median(np.abs(wanted))

    def residual(constants: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            error = (family.at(constants, kept) - wanted) / size
        return np.where(np.isfinite(error), np.clip(error, -1e8, 1e8), 1e8)

    for _ in range(_STARTS):
        start = _scaled(family, kept, wanted, family.draw(rng))
        fit = least_squares(
            residual,
            start,
            method="lm",
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=60 * len(start),
        )
        if np.abs(fit.fun).max() < TOLERANCE:
            return bool(np.array_equal(np.isfinite(family.at(fit.x, columns)), known))
    return False


def _scaled(
    family: _Family, columns: Mapping[str, np.ndarray], wanted: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """`start` with the factor of the whole set so that the sizes match."""
    value = family.at(start, columns)
    usable = np.isfinite(value) & (value != 0)
    if not usable.any():
        return start
    with np.errstate(all="ignore"):
        ratio = np.median(wanted[usable] / value[usable])
    ratio = ratio if np.isfinite(ratio) and ratio != 0 else 1.0
    return np.concatenate([[start[0] * ratio], start[1:]])
