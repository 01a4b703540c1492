"""The pair forces that a correction is put together from: products of powers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import sympy

from gnsim.symbolic.expressions import inlined
from gnsim.symbolic.law import Law
from gnsim.symbolic.parser import symbol

#: powers of the distance, and of its difference from a rest length
_POWERS, _BENT = range(-6, 4), (2, 3, 4)
#: powers of the speeds along and across the line, of forces along it and across it
_ALONG, _ACROSS = ((0, 0), (1, 0), (2, 0), (0, 2)), ((0, 1), (1, 1))
_R, _V_R, _V_T = symbol("r"), symbol("v_r"), symbol("v_t")


@dataclass(frozen=True)
class Monomial:
    """``factor * base**power * v_r**a * v_t**b`` along the line of a pair, or across it.

    `factor` is made of attributes of the bodies; `masses` says how many powers of the mass of the
    pair it has beyond those of both bodies.
    """

    factor: sympy.Expr
    base: sympy.Expr
    power: int
    speeds: tuple[int, int]
    along: bool
    masses: int = 0

    @property
    def expr(self) -> sympy.Expr:
        a, b = self.speeds
        return self.factor * self.base**self.power * _V_R**a * _V_T**b

    @property
    def components(self) -> tuple[sympy.Expr, sympy.Expr]:
        """Along the line, and across it."""
        zero = sympy.S.Zero
        return (self.expr, zero) if self.along else (zero, self.expr)

    def __str__(self) -> str:
        return f"{self.expr} {'along' if self.along else 'across'}"


def monomials(law: Law, attributes: Sequence[str]) -> list[Monomial]:
    """All that are tried beside `law` on data whose bodies have these attributes.

    The strength of each is common to all pairs, or proportional to an attribute of both bodies, to
    all attributes that the law goes by, and to the mass of the pair beside those of both.
    """
    found = []
    speeds = [(s, True) for s in _ALONG] + [(s, False) for s in _ACROSS if law.dim > 1]
    for factor, masses in _factors(law, attributes):
        for power, (s, along) in product(_POWERS, speeds):
            found.append(Monomial(factor, _R, power, s, along, masses))
        for base, power in product(_rest_lengths(law), _BENT):
            found.append(Monomial(factor, base, power, (0, 0), True, masses))
    return found


def _factors(law: Law, attributes: Sequence[str]) -> list[tuple[sympy.Expr, int]]:
    """What a strength may be proportional to, with the powers of the mass of the pair."""
    known = sorted({*attributes, *law.hidden})
    both = {name: symbol(f"{name}_i") * symbol(f"{name}_j") for name in known}
    found = [sympy.S.One, *both.values()]
    own = sympy.Mul(*(both[name] for name in law.attributes if name in both))
    if own not in found:
        found.append(own)
    pair_mass = symbol("mass_i") + symbol("mass_j")
    with_mass = [(factor * pair_mass, 1) for factor in found if factor.has(symbol("mass_i"))]
    return [(factor, 0) for factor in found] + with_mass


def _rest_lengths(law: Law) -> list[sympy.Expr]:
    """``r - r0`` where the law has such a difference, with the constant of the law in it."""
    found: dict[sympy.Expr, sympy.Expr] = {}
    for e in sorted(law.expr.atoms(sympy.Add), key=str):
        # numbers are put into each sum by itself, for sympy multiplies a sum by a number out
        shift = sympy.expand(inlined(e, law.values)) - _R
        if shift.is_Number and shift < 0:
            found.setdefault(shift, e)
    return [found[shift] for shift in sorted(found, key=str)]
