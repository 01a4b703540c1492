"""Names for the constants of a fitted form, the same wherever it is written."""

import sympy

from gnsim.models.coupled import COUPLINGS
from gnsim.symbolic.parser import parse, symbol
from gnsim.symbolic.refit import Fit

_BREAK = "break"


def named_force(fit: Fit) -> sympy.Expr:
    """The pair force with all its constants by name."""
    known = {symbol(a): symbol(b) for a, b in constant_names(fit).items()}
    coupling = COUPLINGS[fit.coupling]
    names = (f"{coupling.attribute}_i", f"{coupling.attribute}_j") if coupling.attribute else ()
    factor = parse(coupling.factor, names)
    strength = symbol(strength_name(fit)) * factor
    shape = fit.form.shape.xreplace(known)
    if isinstance(shape, sympy.Piecewise):
        return sympy.Piecewise(*((strength * piece.expr, piece.cond) for piece in shape.args))
    return strength * shape


def strength_name(fit: Fit) -> str:
    """G where the force is proportional to hidden masses, else k."""
    return "G" if fit.coupling == "source" else "k"


def constant_names(fit: Fit) -> dict[str, str]:
    """A constant that is added to r is a length r0, a place of a break b; others are numbered."""
    lengths = _lengths(fit.form.shape)
    named: dict[str, str] = {}
    for name in fit.form.constants:
        if name in lengths and "r0" not in named.values():
            named[name] = "r0"
        elif name.startswith(_BREAK):
            named[name] = "b" + name.removeprefix(f"{_BREAK}0").removeprefix(_BREAK)
        else:
            used = sum(given.startswith("c") for given in named.values())
            named[name] = f"c{used + 1}"
    return named


def _lengths(shape: sympy.Expr) -> set[str]:
    """The constants that are added to r somewhere."""
    r = symbol("r")
    return {
        s.name
        for sum_ in shape.atoms(sympy.Add)
        if r in sum_.args
        for term in sum_.args
        for s in term.free_symbols - {r}
        if term in (s, -s)
    }
