"""The forms with fewer constants that a form may as well be: what a choice tries in its place."""

from collections.abc import Iterator, Mapping
from itertools import permutations

import sympy

from gnsim.symbolic.expressions import is_symmetric, names_of
from gnsim.symbolic.forms import Form, form_of
from gnsim.symbolic.parser import symbol

#: ratios of two constants that make them one, and how near a ratio must be before they are tried
_RATIOS, _NEARLY = (sympy.S.One, sympy.Integer(2), sympy.Integer(3)), 0.05


def tied(form: Form) -> Iterator[Form]:
    """A form with two of its rates, or lengths, in a simple ratio that they nearly have."""
    if form.breaks:
        return
    # in the force of a potential a rate stands as a factor as well
    roles = {name: _role(form.potential or form.shape, name) for name in form.constants}
    for one, other in permutations(form.constants, 2):
        if roles[one] is None or roles[one] != roles[other] or form.constants[other] == 0:
            continue
        ratio = form.constants[one] / form.constants[other]
        for simple in _RATIOS:
            if (simple == 1 and one > other) or abs(ratio - simple) > _NEARLY * simple:
                continue
            same = {symbol(one): simple * symbol(other)}
            rest = {name: value for name, value in form.constants.items() if name != one}
            potential = None if form.potential is None else form.potential.xreplace(same)
            as_one = Form(form.shape.xreplace(same), rest, form.strength, potential)
            if _has_all(as_one):
                yield as_one


def _has_all(form: Form) -> bool:
    """Whether a form is a function in which no constant has become redundant."""
    if form.shape.has(sympy.nan, sympy.zoo, sympy.oo) or symbol("r") not in form.shape.free_symbols:
        return False
    return len(form_of(form.expression).constants) >= len(form.constants)


def _role(shape: sympy.Expr, name: str) -> str | None:
    """Whether a constant is a rate, only ever times r in a function, or a length, only added to r.

    None for others, whose ratio means nothing: they may have different dimensions.
    """
    roles = set(_roles(shape, symbol(name), inside=False))
    return roles.pop() if len(roles) == 1 else None


def _roles(e: sympy.Expr, constant: sympy.Symbol, inside: bool) -> Iterator[str | None]:
    """That of each place where a constant stands; `inside` a function or an exponent."""
    parts = {part.as_coeff_Mul()[1] for part in e.args} - {sympy.S.One}
    if constant in parts and parts != {constant}:
        with_r = parts == {constant, symbol("r")}
        yield (
            "rate" if with_r and e.is_Mul and inside else "length" if with_r and e.is_Add else None
        )
    for part in e.args:
        function = e.is_Function or (e.is_Pow and part == e.exp and part.has(symbol("r")))
        yield from _roles(part, constant, inside or function)


def smaller(form: Form) -> Iterator[Form]:
    """A form with each constant zero in turn, or without each of its terms; one of each shape.

    Or without what is added to it when it is multiplied out, where that is nearly nothing at the
    constants that the form has, and takes one of them with it.
    """
    if form.breaks:
        return
    numbers = {symbol(name): sympy.Float(value) for name, value in form.constants.items()}
    seen = set()
    added, rest = sympy.expand(form.shape).as_independent(symbol("r"), as_Add=True)
    kept = {name: form.constants[name] for name in form.constants if name in names_of(rest)}
    if 0 < len(kept) < len(form.constants) and is_symmetric(rest) and _cancels(added, numbers):
        seen.add(rest)
        yield Form(rest, kept, form.strength)
    rests = [form.shape.xreplace({**numbers, s: sympy.S.Zero}) for s in numbers]
    whole = form.shape.xreplace(numbers)
    rests += [whole - term for term in sympy.Add.make_args(whole)]
    for rest in rests:
        if rest.has(sympy.nan, sympy.zoo, sympy.oo) or symbol("r") not in rest.free_symbols:
            continue
        less = form_of(sympy.Float(form.strength) * rest)
        symmetric = is_symmetric(less.expression)
        if less.complexity < form.complexity and symmetric and less.shape not in seen:
            seen.add(less.shape)
            yield less


def _cancels(added: sympy.Expr, numbers: Mapping[sympy.Symbol, sympy.Float]) -> bool:
    """Whether the terms of a sum nearly cancel."""
    terms = [term.xreplace(numbers) for term in sympy.Add.make_args(added)]
    known = all(term.is_Number for term in terms)
    return known and bool(abs(sum(terms)) <= _NEARLY * max(map(abs, terms)))
