"""From a fit to a `Law`: names and units for its constants, the heaviest body as unit of mass."""

from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sympy
import torch
from torch import Tensor

from gnsim.state import Units
from gnsim.symbolic.expressions import evaluated
from gnsim.symbolic.law import Constant, Hidden
from gnsim.symbolic.parser import parse, symbol
from gnsim.symbolic.refit import Fit

_MASS_FACTOR = "mass_i*mass_j"


@dataclass(frozen=True)
class Parts:
    """What a fit says, in the terms of a `Law`."""

    force: sympy.Expr
    constants: dict[str, Constant]
    hidden: dict[str, Hidden]
    metadata: dict[str, Any]


def parts_of(fit: Fit, bodies: tuple[str, ...], units: Units) -> Parts:
    """The force with named constants, their errors and units, and the inferred masses.

    Hidden masses are in units of the heaviest body's, the scale that motion alone does not tell.
    The products of the strength and each mass, which it does tell, go to ``metadata``.
    """
    count = len(fit.form.constants)
    names = _names(fit.form.shape)
    force = fit.form.shape.xreplace({symbol(a): symbol(b) for a, b in names.items()})
    heaviest = _heaviest(fit)
    mass_unit = units.mass
    if fit.coupling != "none":
        mass_unit = f"mass of {bodies[heaviest]}"
    named_units = Units(units.length, units.time, mass_unit)
    of_masses = fit.coupling == "source"
    strength = "G" if of_masses else "k"
    value, error = fit.estimate(lambda p: _strength(fit.coupling, p[count:], heaviest))
    degree = _degree(fit)
    constants = {
        strength: Constant(float(value), float(error), _unit(named_units, degree, of_masses))
    }
    for k, name in enumerate(fit.form.constants):
        value, error = fit.estimate(itemgetter(k))
        length = named_units.length if names[name].startswith("r0") else ""
        constants[names[name]] = Constant(float(value), float(error), length)
    factor = parse(_MASS_FACTOR, ("mass_i", "mass_j")) if of_masses else sympy.S.One
    hidden, metadata = {}, {}
    if fit.coupling != "none":
        hidden["mass"] = _masses(fit, count, heaviest, bodies, mass_unit)
        metadata["couplings"] = _couplings(fit, count, bodies)
    return Parts(symbol(strength) * factor * force, constants, hidden, metadata)


def _names(shape: sympy.Expr) -> dict[str, str]:
    """A constant that is added to r is a length r0; the others are numbered."""
    r = symbol("r")
    lengths = {
        s.name
        for sum_ in shape.atoms(sympy.Add)
        if r in sum_.args
        for term in sum_.args
        for s in term.free_symbols - {r}
        if term in (s, -s)
    }
    free = sorted(s.name for s in shape.free_symbols if s.name.startswith("c"))
    named: dict[str, str] = {}
    used = 0
    for name in free:
        if name in lengths and "r0" not in named.values():
            named[name] = "r0"
        else:
            used += 1
            named[name] = f"c{used}"
    return named


def _heaviest(fit: Fit) -> int:
    x = fit.parameters[len(fit.form.constants) :].abs()
    return int(x.argmin() if fit.coupling == "response" else x.argmax())


def _strength(coupling: str, x: Tensor, heaviest: int) -> Tensor:
    return x[0] if coupling == "none" else x[heaviest]


def _masses(fit: Fit, count: int, heaviest: int, bodies: tuple[str, ...], unit: str) -> Hidden:
    def masses(parameters: Tensor) -> Tensor:
        x = parameters[count:]
        return x[heaviest] / x if fit.coupling == "response" else x / x[heaviest]

    values, errors = fit.estimate(masses)
    return Hidden(tuple(values.tolist()), tuple(errors.tolist()), bodies, unit)


def _couplings(fit: Fit, count: int, bodies: tuple[str, ...]) -> dict[str, Any]:
    """The numbers that motion determines, one per body: strength times mass, or over it."""
    values, errors = fit.estimate(lambda p: p[count:])
    by_time = fit.estimate(lambda p: p[count:], groupings=slice(1))[1]
    return {
        "names": list(bodies),
        "meaning": "strength times mass" if fit.coupling == "source" else "strength over mass",
        "values": values.tolist(),
        "stderr": errors.tolist(),
        "stderr_first_grouping": by_time.tolist(),
    }


def _degree(fit: Fit) -> int | None:
    """The power of length that the shape has, lengths r0 taken along; None where it has none."""
    shape, names = fit.form.shape, _names(fit.form.shape)
    if any(not new.startswith("r0") for new in names.values()):
        return None
    columns = {"r": torch.linspace(0.7, 1.9, 7, dtype=torch.float64).numpy()}
    for s in sorted(shape.free_symbols - {symbol("r")}, key=str):
        columns[s.name] = columns["r"] * 0 + (0.31 if s.name in names else 1.0)
    doubled = {n: (2 * c if n == "r" or n in names else c) for n, c in columns.items()}
    ratio = evaluated(shape, doubled) / evaluated(shape, columns)
    degree = float(torch.log2(torch.as_tensor(ratio).abs()).mean())
    constant = bool(torch.allclose(torch.as_tensor(ratio), torch.tensor(2.0**degree).double()))
    return round(degree) if constant and abs(degree - round(degree)) < 1e-9 else None


def _unit(units: Units, degree: int | None, of_masses: bool) -> str:
    """The unit of the strength: force over length^degree, and over two masses where they enter."""
    if degree is None or not (units.length and units.time):
        return ""
    powers = ((units.length, 1 - degree), (units.time, -2), (units.mass, -1 if of_masses else 1))
    written = [
        f"{f'({name})' if ' ' in name else name}{'' if power == 1 else f'^{power}'}"
        for name, power in powers
        if power and name
    ]
    return " ".join(written)
