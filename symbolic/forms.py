"""A candidate as a form: strength times an expression with constants, as motion sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy
import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.pairwise import Attributes, PairPotential
from gnsim.symbolic.expressions import breaks_of, complexity, names_of, pieces_of
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.potential import Compiled
from gnsim.symbolic.simplify import parametrise


@dataclass(frozen=True)
class Form:
    """``strength * shape(r, attributes; constants)``: the strength enters motion linearly.

    `shape` has no factor of its own, so that strength and constants are all determined. Where it
    is the derivative of a `potential`, with the same constants, that is kept.
    """

    shape: sympy.Expr
    constants: Mapping[str, float]
    strength: float
    potential: sympy.Expr | None = None

    @property
    def expression(self) -> sympy.Expr:
        """With numbers for the constants."""
        numbers = {symbol(name): sympy.Float(value) for name, value in self.constants.items()}
        shape, strength = self.shape.xreplace(numbers), sympy.Float(self.strength)
        if isinstance(shape, sympy.Piecewise):
            return sympy.Piecewise(*((strength * piece, where) for piece, where in shape.args))
        return strength * shape

    @property
    def as_potential(self) -> sympy.Expr | None:
        """The potential with numbers for the constants, where the form was found as one."""
        if self.potential is None:
            return None
        numbers = {symbol(name): sympy.Float(value) for name, value in self.constants.items()}
        return sympy.Float(self.strength) * self.potential.xreplace(numbers)

    @property
    def breaks(self) -> bool:
        """Whether the force breaks at some distance."""
        return self.shape.has(sympy.Piecewise)

    def at(self, constants: Mapping[str, float]) -> "Form":
        """The same shape at other values of its constants."""
        return replace(self, constants=dict(constants))

    @property
    def directions(self) -> Float[Tensor, "constants constants"]:
        """Each constant by itself."""
        return torch.eye(len(self.constants), dtype=torch.float64)

    def __str__(self) -> str:
        return str(sympy.N(self.expression, 3))

    def pair(self, blur: float = 0.0) -> "FormPotential":
        """The shape as a potential, to be fitted; its breaks are spread over the length `blur`."""
        return FormPotential(self, blur)

    @property
    def complexity(self) -> int:
        """gnsim's size of the law with a name for each constant, or of its potential if smaller."""
        shapes = (self.shape, self.potential)
        return min(complexity(symbol("strength") * shape) for shape in shapes if shape is not None)


def form_of(expression: sympy.Expr) -> Form:
    """Takes the strength, the coefficient of the term that depends on r most visibly, out.

    A constant that would be added with a negative value is subtracted with a positive one, so that
    a rest length reads as a length. A product is expanded where that saves a constant. Where a law
    breaks is a constant too.
    """
    if isinstance(expression, sympy.Piecewise):
        return _broken_form(expression)
    written = [parametrise(_monic(e)) for e in (expression, sympy.expand(expression))]
    parametrised, values = min(written, key=lambda form: len(form[1]))
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


def form_of_potential(potential: sympy.Expr) -> Form:
    """The force of a potential, with the constants of the potential where these are fewer."""
    form, r = form_of(potential), symbol("r")
    well = form.shape.as_independent(r, as_Add=True)[1]
    number, shape = sympy.factor_terms(sympy.diff(well, r)).as_coeff_Mul()
    # what is added to a potential is no constant of the force
    constants = {name: value for name, value in form.constants.items() if name in names_of(shape)}
    force = Form(shape, constants, form.strength * float(number), well / number)
    plain = form_of(force.expression)
    return force if len(constants) < len(plain.constants) else plain


def _broken_form(expression: sympy.Expr) -> Form:
    """The forms of the pieces, in units of the strength of the last one that is not zero."""
    forms = [form_of(piece) if piece != 0 else None for piece in pieces_of(expression)]
    strength = next(form.strength for form in reversed(forms) if form is not None)
    leading = next(k for k in reversed(range(len(forms))) if forms[k] is not None)
    constants: dict[str, float] = {}
    shapes = []
    for k, form in enumerate(forms):
        if form is None:
            shapes.append(sympy.S.Zero)
            continue
        renamed = {name: f"c{len(constants) + n}" for n, name in enumerate(form.constants)}
        shape = form.shape.xreplace({symbol(a): symbol(b) for a, b in renamed.items()})
        constants |= {renamed[name]: value for name, value in form.constants.items()}
        if k != leading:
            factor = f"c{len(constants)}"
            constants[factor] = form.strength / strength
            shape = symbol(factor) * shape
        shapes.append(shape)
    conditions = []
    for k, threshold in enumerate(breaks_of(expression)):
        name = f"break{k}"
        constants[name] = float(threshold)
        conditions.append(symbol("r") < symbol(name))
    shape = sympy.Piecewise(*zip(shapes, [*conditions, True], strict=True))
    return Form(shape, constants, strength)


def _monic(expression: sympy.Expr) -> sympy.Expr:
    """Equal to `expression`, without the coefficients that its other constants make redundant."""
    coefficient, rest = _split(expression)
    return coefficient * rest


def _split(e: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """A number and an expression whose product is `e`; sums in it begin with a bare term."""
    if e.is_Number:
        return e, sympy.S.One
    if e.is_Add:
        return _split_sum(e)
    if e.is_Mul:
        parts = [_split(factor) for factor in e.args]
        return sympy.Mul(*(c for c, _ in parts)), sympy.Mul(*(m for _, m in parts))
    if e.is_Pow and e.exp.is_Number:
        return _split_power(e)
    for kind, split in _FUNCTIONS.items():
        if isinstance(e, kind):
            return split(e)
    return (sympy.S.One, e if e.is_Atom else e.func(*map(_monic, e.args)))


def _split_sum(e: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    parts = [_split(term) for term in e.args]
    leading = min(parts, key=lambda p: (not p[1].has(symbol("r")), p[1].is_Number, str(p[1])))
    others = (c / leading[0] * m for c, m in parts if (c, m) != leading)
    return leading[0], leading[1] + sympy.Add(*others)


def _split_power(e: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    coefficient, base = _split(e.base)
    if coefficient.is_negative and not e.exp.is_Integer:
        coefficient, base = -coefficient, -base
    return coefficient**e.exp, base**e.exp


def _split_exp(e: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    offset, rest = sympy.expand_mul(e.args[0]).as_coeff_Add()
    argument = _monic(rest if offset else e.args[0])
    return sympy.exp(offset), sympy.exp(argument)


def _split_log(e: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    coefficient, argument = _split(e.args[0])
    if coefficient.is_negative:
        coefficient, argument = -coefficient, -argument
    expanded = sympy.log(coefficient) + sympy.expand_log(sympy.log(argument))
    return (sympy.S.One, e) if expanded == e else _split(expanded)


def _split_abs(e: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    coefficient, argument = _split(e.args[0])
    return abs(coefficient), sympy.Abs(argument)


_FUNCTIONS = {sympy.exp: _split_exp, sympy.log: _split_log, sympy.Abs: _split_abs}


def _is_factor(term: sympy.Expr, s: sympy.Symbol) -> bool:
    return not (term / s).has(s)


class FittedPotential(PairPotential):
    """A pair potential with `constants` that a fit gives other values, tensors of no dimension."""

    constants: dict[str, Tensor]


class FormPotential(FittedPotential):
    """A form's shape as a pair potential whose constants are tensors, to be fitted.

    Its breaks are spread over the length `blur`, so that motion depends smoothly on where they are.
    """

    def __init__(self, form: Form, blur: float = 0.0) -> None:
        super().__init__()
        self.compiled = Compiled(form.shape, blur)
        self.constants = {
            name: torch.tensor(value, dtype=torch.float64) for name, value in form.constants.items()
        }

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self.compiled(r, source, target, self.constants)
