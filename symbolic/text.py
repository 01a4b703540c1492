"""A law in words for people: plain text and LaTeX."""

from typing import TYPE_CHECKING

import numpy as np
import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from gnsim.models.terms import KINDS
from gnsim.symbolic.expressions import attribute_of, evaluated, inlined, names_of

if TYPE_CHECKING:
    from gnsim.models.terms import Term
    from gnsim.symbolic.law import Constant, Law

_LETTERS = {"mass": "m", "charge": "q"}
_SPEEDS = {"v_r": "v_r", "v_t": "v_t"}
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "eta", "kappa", "lambda", "mu", "nu", "omega",
    "phi", "rho", "sigma", "tau", "theta", "zeta",
}  # fmt: skip


def plain(law: "Law") -> str:
    """The force, its constants with errors, the hidden attributes and the verdict, line by line."""
    lines = [f"F(r) = {force_text(law.expr)} ({_sense(law)})"]
    lines += [f"  and {where}: {force_text(part)}" for where, part in beside(law).items()]
    lines += [f"  and {term.name}, on body i: {term.formula}" for term in law.terms]
    lines += [f"  {name} = {_with_error(c)}" for name, c in law.constants.items()]
    for name, hidden in law.hidden.items():
        lines.append(f"  {name}{f' [{hidden.unit}]' if hidden.unit else ''}:")
        for body, value, error in zip(hidden.names, hidden.values, hidden.stderr, strict=True):
            lines.append(f"    {body}: {value:.8g} ± {error:.2g}")
    if law.verdict is not None:
        lines.append(f"  {law.verdict.status}{':' if law.verdict.reasons else ''}")
        lines += [f"    {reason}" for reason in law.verdict.reasons]
    return "\n".join(lines)


def beside(law: "Law") -> dict[str, sympy.Expr]:
    """What acts between a pair beside the force, by where it points."""
    parts = {"along the line": law.radial_expr, "across it": law.transverse_expr}
    return {where: part for where, part in parts.items() if part != 0}


def force_text(force: sympy.Expr) -> str:
    """A pair force in one line."""
    return _Printer().doprint(force)


class _Printer(StrPrinter):
    """sympy's own, but for ``r < b`` that it turns into ``b > r``."""

    def _print_StrictGreaterThan(self, expr: sympy.StrictGreaterThan) -> str:  # noqa: N802
        return f"{self._print(expr.lts)} < {self._print(expr.gts)}"


def _with_error(constant: "Constant") -> str:
    error = "" if constant.stderr is None else f" ± {constant.stderr:.2g}"
    return f"{constant.value:.8g}{error}{' ' + constant.unit if constant.unit else ''}"


def _sense(law: "Law") -> str:
    """Attraction or repulsion where it is one of them at every distance, for positive masses."""
    if not set(law.attributes) <= {"mass"}:
        return "positive: attraction"
    columns = {"r": np.geomspace(1e-3, 1e3, 200)}
    columns |= {name: np.ones(200) for name in names_of(law.expr) if attribute_of(name)}
    force = evaluated(inlined(law.expr, law.values), columns)
    force = force[np.isfinite(force)]
    if len(force) and (force >= 0).all():
        return "attraction"
    return "repulsion" if len(force) and (force <= 0).all() else "positive: attraction"


def latex(law: "Law") -> str:
    """``F(r) = ...`` with m and q for mass and charge; every name escaped.

    What acts beside it along the line n of a pair, and across it, stands as a sum of vectors.
    """
    parts = {r"\mathbf{n}": law.radial_expr, r"\mathbf{t}": law.transverse_expr}
    names = {s: latex_name(s.name) for e in (law.expr, *parts.values()) for s in e.free_symbols}
    printer = _Latex({"symbol_names": names})
    pair = f"F(r) = {printer.doprint(law.expr)}"
    if law.corrected:
        added = " + ".join(
            rf"\left({printer.doprint(part)}\right) {unit}"
            for unit, part in parts.items()
            if part != 0
        )
        pair += rf", \quad \mathbf{{F}} = F(r)\,\mathbf{{n}} + {added}"
    if not law.terms:
        return pair
    force = r"\mathbf{F}(r_{ij})" if law.corrected else r"F(r_{ij})\,\mathbf{n}_{ij}"
    along = rf"\sum_j {force}"
    return rf"{pair}, \quad \mathbf{{F}}_i = {along} {' '.join(map(_signed, law.terms))}"


class _Latex(LatexPrinter):
    def _print_Relational(self, expr: sympy.core.relational.Relational) -> str:  # noqa: N802
        return f"{self._print(expr.lts)} < {self._print(expr.gts)}"


def _signed(term: "Term") -> str:
    plain = KINDS[term.kind].latex.format(c=latex_name(term.stem))
    sign = "" if plain.startswith("-") else "+ "
    weight = f"{latex_name(f'{term.weight}_i')}\\," if term.weight else ""
    return f"- {weight}{plain[1:]}" if not sign else f"{sign}{weight}{plain}"


def latex_name(name: str) -> str:
    """A name as LaTeX: ``mass_i`` is m_i, ``c0`` is c_0, longer ones are upright and escaped."""
    if name in _SPEEDS:
        return _SPEEDS[name]
    found = attribute_of(name)
    if found:
        stem, end = found
        return f"{_LETTERS.get(stem) or _stem(stem)}_{{{end}}}"
    letter, digits = name.rstrip("0123456789_"), name[len(name.rstrip("0123456789_")) :].strip("_")
    return f"{_stem(letter)}_{{{digits}}}" if digits else _stem(name)


def _stem(name: str) -> str:
    if name in _GREEK:
        return f"\\{name}"
    return name if len(name) == 1 else "\\mathrm{" + name.replace("_", "\\_") + "}"
