"""Forms: strength times shape is the expression, and motion determines every constant."""

import numpy as np
import pytest
import sympy
import torch

from gnsim.symbolic.expressions import evaluated
from gnsim.symbolic.forms import Form, FormPotential, form_of
from gnsim.symbolic.parser import parse
from gnsim.symbolic.simplify import rounded_exponents

SAME = 1e-12
#: smallest singular value over the largest, of columns of length one: below this, one is redundant
INDEPENDENT = 1e-7
SAMPLES = 60

EXPRESSIONS = (
    "1.7*r - 1.9",
    "1.3*(2.0*r - 3.0)",
    "-2.0*(r - 1.0)",
    "r",
    "2.5*mass_i*mass_j",
    "2.0/r**2",
    "2.0/r**2.3",
    "2.0*(1.5*r)**-2.3",
    "1.7/(2.1*r + 0.3)**2",
    "1.7/(0.3 - 2.1*r)**2",
    "1.7/(r + 0.3)**2.2",
    "1.1*(0.4 - 0.03*r)**0.5",
    "1.7*(2.1*r + 0.3)**0.5 + 0.2",
    "1.2*(2.0*r**1.3 + 0.4)**-1.7",
    "0.3*(2.0*r - 1.0)**3",
    "3.0*exp(-1.3*r)",
    "1.1*exp(1.3*(r - 0.4))",
    "1.1*exp(-0.3*(r - 1.2)**2)",
    "1.3*exp(-1.2*r)*(0.4/r + 0.7/r**2)",
    "3.0*exp(-1.3*r)/r**2 + 1.1*exp(-0.9*r)/r",
    "1.2*log(3.0*r) + 0.4",
    "1.2*log(0.4*r**2.2 + 0.3*r) + 0.7",
    "1.3*abs(2.0*r - 1.7)",
    "1.1*sin(2.0*r + 0.4)",
    "24.0*(2.0/r**13 - 1.0/r**7)",
    "-1.5*charge_i*charge_j/(r + 0.01)**2",
    "(1.2*r - 1.1)*(0.7*mass_i + 0.4*mass_j)",
    "(1.5*r + 0.7)*(1.2*r + 0.4)",
    "4.0*(1.1*r - 2.0) + 0.5*(0.7*r - 3.0)**2",
    "1.3/(0.2 + 1.1*r**2 + 0.4*r)",
    "1.2*(1.4 + 0.3*r)/(0.7 + 2.0*r)",
    "1.7*(0.4*mass_i + 0.5)*(0.3*charge_j + 0.1)/r**2",
    "1.5*mass_i**1.3*mass_j**1.3/r**2",
)
expressions = pytest.mark.parametrize("text", EXPRESSIONS)


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    names = ("r", "mass_i", "mass_j", "charge_i", "charge_j")
    return {n: np.exp(rng.uniform(-1, 1, SAMPLES)) + (n == "r") for n in names}


def independence(form: Form) -> float:
    """Of strength and constants, as they act on the force."""
    at = np.array([form.strength, *form.constants.values()])

    def value(parameters: np.ndarray) -> np.ndarray:
        constants = dict(
            zip(form.constants, np.outer(parameters[1:], np.ones(SAMPLES)), strict=True)
        )
        return parameters[0] * evaluated(form.shape, {**columns(), **constants})

    steps = np.diag(1e-5 * np.maximum(np.abs(at), 1e-3))
    jacobian = np.stack([value(at + h) - value(at - h) for h in steps], 1)
    sizes = np.linalg.svd(jacobian / np.linalg.norm(jacobian, axis=0), compute_uv=False)
    return float(sizes[-1] / sizes[0])


@expressions
def test_strength_times_shape_is_the_expression(text: str) -> None:
    expression = parse(text, tuple(columns()))
    form = form_of(expression)
    wanted = evaluated(expression, columns())
    found = evaluated(form.expression, columns())
    assert np.abs(found - wanted).max() < SAME * np.abs(wanted).max()


@expressions
def test_no_constant_is_redundant(text: str) -> None:
    assert independence(form_of(parse(text, tuple(columns())))) > INDEPENDENT


@pytest.mark.parametrize("text", ["(c1*r + c2)**(-2)", "c1*r + c2", "c1*(r + c2)"])
def test_a_redundant_constant_is_seen(text: str) -> None:
    form = Form(parse(text, ("r", "c1", "c2")), {"c1": 2.1, "c2": 0.3}, 1.7)
    assert independence(form) < INDEPENDENT


@expressions
def test_a_form_is_its_own_form(text: str) -> None:
    form = form_of(parse(text, tuple(columns())))
    again = form_of(form.expression)
    assert len(again.constants) == len(form.constants)
    assert again.strength == pytest.approx(form.strength)


def test_a_rest_length_reads_as_a_length() -> None:
    form = form_of(parse("2.0*r - 3.0", ("r",)))
    (name,) = form.constants
    assert form.shape == parse(f"r - {name}", ("r", name))
    assert form.constants[name] == pytest.approx(1.5)
    assert form.strength == 2.0


def test_integer_exponents_are_part_of_the_form_and_fitted_ones_are_not() -> None:
    assert not form_of(parse("2.0/r**2", ("r",))).constants
    assert list(form_of(parse("2.0/r**2.05", ("r",))).constants.values()) == [-2.05]


def test_forms_that_differ_in_numbers_alone_have_one_shape() -> None:
    shapes = {form_of(parse(f"{k}*r - {c}", ("r",))).shape for k, c in ((1.0, 2.0), (3.3, 0.1))}
    assert len(shapes) == 1


def test_at_changes_the_constants_alone() -> None:
    form = form_of(parse("2.0*r - 3.0", ("r",)))
    (name,) = form.constants
    moved = form.at({name: 0.5})
    assert sympy.simplify(moved.expression - parse("2.0*r - 1.0", ("r",))) == 0
    assert moved.complexity == form.complexity


def test_the_potential_follows_its_constants() -> None:
    potential = FormPotential(form_of(parse("2.0*r - 3.0", ("r",))))
    r = torch.linspace(0.5, 2.0, 5, dtype=torch.float64)
    assert torch.allclose(potential.force(r, {}, {}), r - 1.5)
    (name,) = potential.constants
    potential.constants[name] = torch.tensor(0.5, dtype=torch.float64)
    assert torch.allclose(potential.force(r, {}, {}), r - 0.5)


def test_a_broken_law_keeps_its_pieces_when_its_exponents_are_rounded() -> None:
    """A product of its strength and the pieces is no form."""
    form = form_of(parse("Piecewise((2.0*r**1.99, r < 1.5), (3.0/r, True))", ("r",)))
    rounded = rounded_exponents(form.expression)
    assert rounded is not None
    assert form_of(rounded).breaks
