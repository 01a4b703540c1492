"""From a fit to a `Law`: names and units for its constants, the best-known body as unit of mass.

Or of charge, where charges are what is hidden.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import sympy
import torch
from torch import Tensor

from gnsim.models.coupled import COUPLINGS
from gnsim.models.terms import KINDS, Term
from gnsim.state import Units
from gnsim.symbolic.expressions import evaluated
from gnsim.symbolic.law import Constant, Hidden
from gnsim.symbolic.naming import constant_names, named_force, strength_name
from gnsim.symbolic.refit import Fit

#: the least mass, in units of the largest, so that momenta stay defined
_TRIFLE = 1e-12
_MEANINGS = {
    "source": "strength times mass",
    "response": "strength over mass",
    "charges": "charge times the root of the strength",
}


@dataclass(frozen=True)
class Parts:
    """What a fit says, in the terms of a `Law`."""

    force: sympy.Expr
    terms: tuple[Term, ...]
    constants: dict[str, Constant]
    hidden: dict[str, Hidden]
    metadata: dict[str, Any]


def parts_of(fit: Fit, bodies: tuple[str, ...], units: Units) -> Parts:
    """The force with named constants, their errors and units, and what was inferred.

    Hidden masses (charges) are in units of that of the body whose coupling is known best, for
    motion alone does not tell the scale. What it does tell, the products of the strength and each
    mass (of its root and each charge), goes to ``metadata``.
    """
    end = len(fit.form.constants) + fit.num_couplings
    names = constant_names(fit)
    unit_body = _best_known(fit)
    mass_unit = units.mass
    if COUPLINGS[fit.coupling].hides_masses:
        mass_unit = f"mass of {bodies[unit_body]}"
    named_units = Units(units.length, units.time, mass_unit)
    value, error = fit.estimate(lambda p: _strength(fit.coupling, _couplings_of(fit)(p), unit_body))
    constants = {
        strength_name(fit): Constant(float(value), float(error), _unit(fit, names, named_units))
    }
    for k, name in enumerate(fit.form.constants):
        value, error = fit.estimate(itemgetter(k))
        length = named_units.length if names[name].startswith(("r0", "b")) else ""
        known = float(error) if error.isfinite() else None
        constants[names[name]] = Constant(float(value), known, length)
    terms = _terms(fit)
    constants |= _coefficients(fit, end, terms, named_units)
    hidden, metadata = {}, {}
    if fit.coupling != "none":
        name = COUPLINGS[fit.coupling].attribute
        unit = mass_unit if name == "mass" else f"{name} of {bodies[unit_body]}"
        hidden[name] = _inferred(fit, unit_body, bodies, unit)
        metadata["couplings"] = _couplings(fit, bodies)
    return Parts(named_force(fit), terms, constants, hidden, metadata)


def _terms(fit: Fit) -> tuple[Term, ...]:
    """As forces: with hidden masses they were accelerations, and so have the mass as weight."""
    if not COUPLINGS[fit.coupling].hides_masses:
        return fit.structure.terms
    return tuple(replace(term, weight="mass") for term in fit.structure.terms)


def _coefficients(
    fit: Fit, place: int, terms: tuple[Term, ...], units: Units
) -> dict[str, Constant]:
    """The coefficients of the terms, which stand in the parameters from `place` on."""
    found = {}
    for term in terms:
        for name in term.symbols:
            value, error = fit.estimate(itemgetter(place))
            found[name] = Constant(float(value), float(error), _term_unit(term, units))
            place += 1
    return found


def _term_unit(term: Term, units: Units) -> str:
    """Of a coefficient: empty where it multiplies an attribute whose unit nobody gave."""
    if term.weight not in ("", "mass") or not (units.length and units.time):
        return ""
    length, time = KINDS[term.kind].powers
    mass = 0 if term.weight == "mass" else 1
    if mass and not units.mass:
        return ""
    return _product(((units.length, length), (units.time, time), (units.mass, mass)))


def _best_known(fit: Fit) -> int:
    """The body whose coupling has the smallest relative error.

    Of those with the usual sign; charges may have either.
    """
    values, errors = fit.estimate(_determined(fit))
    either = COUPLINGS[fit.coupling].of == "both"
    usual = values.abs() if either else values * torch.sign(values[values.abs().argmax()])
    return int(torch.where(usual > 0, errors / usual, torch.inf).argmin())


def _couplings_of(fit: Fit) -> Callable[[Tensor], Tensor]:
    """What picks the couplings out of the parameters."""
    count = len(fit.form.constants)
    return itemgetter(slice(count, count + fit.num_couplings))


def _determined(fit: Fit) -> Callable[[Tensor], Tensor]:
    """The numbers that motion determines, one per body: what `_MEANINGS` say."""
    couplings = _couplings_of(fit)
    if COUPLINGS[fit.coupling].of != "both":
        return couplings
    return lambda p: couplings(p)[0].abs().sqrt() * couplings(p)[1:]


def _strength(coupling: str, x: Tensor, body: int) -> Tensor:
    """Of the pair force, in units of one body's mass or charge."""
    if COUPLINGS[coupling].of == "both":
        return x[0] * x[1 + body].square()
    return x[0] if coupling == "none" else x[body]


def _inferred(fit: Fit, body: int, names: tuple[str, ...], unit: str) -> Hidden:
    """Masses or charges in units of one body's.

    A mass that the data leave at or below zero is a trifle.
    """

    def relative(parameters: Tensor) -> Tensor:
        x = _determined(fit)(parameters)
        return x[body] / x if fit.coupling == "response" else x / x[body]

    values, errors = fit.estimate(relative)
    if COUPLINGS[fit.coupling].hides_masses:
        values = values.clamp_min(_TRIFLE * values.max())
    return Hidden(tuple(values.tolist()), tuple(errors.tolist()), names, unit)


def _couplings(fit: Fit, bodies: tuple[str, ...]) -> dict[str, Any]:
    """The numbers that motion determines, one per body."""
    values, errors = fit.estimate(_determined(fit))
    by_time = fit.estimate(_determined(fit), groupings=slice(1))[1]
    return {
        "names": list(bodies),
        "meaning": _MEANINGS[fit.coupling],
        "values": values.tolist(),
        "stderr": errors.tolist(),
        "stderr_first_grouping": by_time.tolist(),
        "first_grouping": "time" if len(fit.replicates) > 1 else "system",
    }


def _unit(fit: Fit, names: dict[str, str], units: Units) -> str:
    """The unit of the strength: a force over the powers of length and of mass in the rest.

    Empty where the shape has no such powers, or has attributes whose unit nobody gave.
    """
    shape = fit.form.shape
    given = {s.name for s in shape.free_symbols} - {"r"} - set(names)
    lengths = _degree(shape, {"r", *(n for n, new in names.items() if new == "r0")})
    masses = _degree(shape, given)
    if lengths is None or masses is None or given - {"mass_i", "mass_j"}:
        return ""
    if any(new != "r0" for new in names.values()) or not (units.length and units.time):
        return ""
    if COUPLINGS[fit.coupling].of == "both":
        return ""
    masses += 2 if fit.coupling == "source" else 0
    powers = ((units.length, 1 - lengths), (units.time, -2), (units.mass, 1 - masses))
    return _product(powers)


def _product(powers: Iterable[tuple[str, int]]) -> str:
    """Units to their powers, as text."""
    return " ".join(
        f"{f'({name})' if ' ' in name else name}{'' if power == 1 else f'^{power}'}"
        for name, power in powers
        if power and name
    )


def _degree(shape: sympy.Expr, scaled: set[str]) -> int | None:
    """The power of a factor that all of `scaled` have in common; None where there is none."""
    base = torch.linspace(0.7, 1.9, 7, dtype=torch.float64).numpy()
    names = sorted(s.name for s in shape.free_symbols)
    columns = {n: base if n == "r" else base * 0 + 0.31 + 0.1 * k for k, n in enumerate(names)}
    doubled = {n: 2 * c if n in scaled else c for n, c in columns.items()}
    ratio = torch.as_tensor(evaluated(shape, doubled) / evaluated(shape, columns))
    degree = float(torch.log2(ratio.abs()).mean())
    if not math.isfinite(degree):  # a force that is zero somewhere, as of a slack spring
        return None
    whole = torch.full_like(ratio, 2.0 ** round(degree))
    return round(degree) if bool(torch.allclose(ratio.abs(), whole)) else None
