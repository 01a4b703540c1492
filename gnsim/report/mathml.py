"""Expressions as presentation MathML, which browsers draw without help from elsewhere."""

import re

import sympy
from markupsafe import Markup, escape
from sympy.printing.mathml import MathMLPresentationPrinter

from gnsim.report.numbers import MINUS, TIMES

_ATTRIBUTE = re.compile(r"(?P<stem>\w+)_(?P<end>[ij])\Z")
_NUMBERED = re.compile(r"(?P<stem>[A-Za-z]+)_?(?P<end>\d+)\Z")
_LETTERS = {"mass": "m", "charge": "q"}


class _Printer(MathMLPresentationPrinter):
    """sympy's own, with names as gnsim reads them and numbers to `digits` figures."""

    digits = 6

    def _print_Symbol(self, sym: sympy.Symbol, style: str = "plain"):  # noqa: N802
        found = _ATTRIBUTE.match(sym.name) or _NUMBERED.match(sym.name)
        if not found:
            return self._leaf("mi", sym.name)
        below = self.dom.createElement("msub")
        below.appendChild(self._leaf("mi", _LETTERS.get(found["stem"], found["stem"])))
        below.appendChild(self._leaf("mi", found["end"]))
        return below

    def _print_Float(self, expr: sympy.Float):  # noqa: N802
        mantissa, _, power = f"{float(expr):.{self.digits}g}".partition("e")
        if not power:
            return self._leaf("mn", mantissa)
        row = self.dom.createElement("mrow")
        row.appendChild(self._leaf("mn", mantissa))
        row.appendChild(self._leaf("mo", TIMES))
        ten = self.dom.createElement("msup")
        ten.appendChild(self._leaf("mn", "10"))
        ten.appendChild(self._leaf("mn", str(int(power))))
        row.appendChild(ten)
        return row

    def _leaf(self, tag: str, text: str):
        leaf = self.dom.createElement(tag)
        # sympy's text nodes are written as they are
        leaf.appendChild(self.dom.createTextNode(str(escape(text))))
        return leaf


def mathml(expr: sympy.Expr, left: str = "", block: bool = False) -> Markup:
    """`expr`, after ``left =`` if that is given, as a ``<math>`` element safe to put in a page.

    Names become text of its leaves, so that none of them can be markup.
    """
    body = _Printer().doprint(expr).replace("<mo>-</mo>", f"<mo>{MINUS}</mo>")
    before = f"<mi>{escape(left)}</mi><mo>(</mo><mi>r</mi><mo>)</mo><mo>=</mo>" if left else ""
    display = ' display="block"' if block else ""
    return Markup(f"<math{display}><mrow>{before}{body}</mrow></math>")
