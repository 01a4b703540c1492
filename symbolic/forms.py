"""A candidate as a form: strength times an expression with constants, as motion sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy
import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.pairwise import Attributes, PairPotential
from gnsim.symbolic.expressions import complexity, names_of
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.potential import Compiled
from gnsim.symbolic.simplify import parametrise


@dataclass(frozen=True)
class Form:
    """``strength * shape(r, attributes; constants)``: the strength enters motion linearly.

    `shape` has no factor of its own, so that strength and constants are all determined.
    """

    shape: sympy.Expr
    constants: Mapping[str, float]
    strength: float

    @property
    def expression(self) -> sympy.Expr:
        """With numbers for the constants."""
        numbers = {symbol(name): sympy.Float(value) for name, value in self.constants.items()}
        return sympy.Float(self.strength) * self.shape.xreplace(numbers)

    def at(self, constants: Mapping[str, float]) -> "Form":
        """The same shape at other values of its constants."""
        return replace(self, constants=dict(constants))

    @property
    def complexity(self) -> int:
        """gnsim's size of the law with a name for each constant."""
        return complexity(symbol("strength") * self.shape)


def form_of(expression: sympy.Expr) -> Form:
    """Takes the strength, the coefficient of the term that depends on r most visibly, out.

    A constant that would be added with a negative value is subtracted with a positive one, so that
    a rest length reads as a length.
    """
    parametrised, values = parametrise(_monic(expression))
    terms = sympy.Add.make_args(parametrised)
    leading = min(terms, key=lambda t: (not t.has(symbol("r")), str(t)))
    factors = [s for s in leading.free_symbols if s.name in values and _is_factor(leading, s)]
    if not factors:
        return Form(parametrised, values, 1.0)
    coefficient = min(factors, key=lambda s: s.name)
    strength = values.pop(coefficient.name)
    shape = sympy.S.Zero
    constants = {}
    for term in terms:
        if term == leading:
            shape += term / coefficient
            continue
        own = [s for s in term.free_symbols if s.name in values and _is_factor(term, s)]
        if not own:
            return Form(parametrised, {**values, coefficient.name: strength}, 1.0)
        s = min(own, key=lambda s: s.name)
        ratio = values[s.name] / strength
        constants[s.name] = abs(ratio)
        shape += term if ratio >= 0 else -term
    for name, value in values.items():
        constants.setdefault(name, value)
    kept = set(names_of(shape))
    return Form(shape, {n: v for n, v in constants.items() if n in kept}, strength)


def _monic(expression: sympy.Expr) -> sympy.Expr:
    """Powers of sums with the coefficient of their first term in r taken out, as it is redundant."""

    def of_sum(e: sympy.Expr) -> bool:
        return e.is_Pow and e.base.is_Add and e.exp.is_Number

    def monic(e: sympy.Expr) -> sympy.Expr:
        leading = min(e.base.args, key=lambda t: (not t.has(symbol("r")), str(t)))
        coefficient = leading.as_coeff_Mul()[0]
        if coefficient.is_negative and not e.exp.is_Integer:
            return e
        inner = sympy.Add(*(term / coefficient for term in e.base.args))
        return coefficient**e.exp * inner**e.exp

    return expression.replace(of_sum, monic)


def _is_factor(term: sympy.Expr, s: sympy.Symbol) -> bool:
    return not (term / s).has(s)


class FormPotential(PairPotential):
    """A form's shape as a pair potential whose constants are tensors, to be fitted."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.compiled = Compiled(form.shape)
        self.constants: dict[str, Tensor] = {
            name: torch.tensor(value, dtype=torch.float64) for name, value in form.constants.items()
        }

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self.compiled(r, source, target, self.constants)
