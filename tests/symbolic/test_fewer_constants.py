"""Which forms with fewer constants are tried: ties of what means the same, and no others."""

import pytest
import sympy

from gnsim.symbolic.fewer_constants import smaller, tied
from gnsim.symbolic.forms import form_of, form_of_potential
from gnsim.symbolic.parser import parse, symbol


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp(-2.0*r) - 7.4*exp(-4.01*r)", ["-c2*exp(c3*r) + exp(2*c3*r)"]),
        (
            "1/(r + 0.01) + 2.5/(r + 0.0101)**2",
            ["c2/(c3 + r)**2 + 1/(c3 + r)"],
        ),
        ("sin(2.0*r) - 2.0*r", []),
        ("exp(-r) - 3*exp(-1.02*r)", []),
        ("1/(exp(-r) - exp(-1.02*r))", []),
        ("exp(-0.301*r)/(r + 0.3)**2", []),
        ("1/r**2 - 2.0/r**3", []),
        ("exp(-2.0*r) - 7.4*exp(-4.3*r)", []),
    ],
)
def test_constants_of_one_role_are_tied(text: str, expected: list[str]) -> None:
    """A rate and a length are of different dimensions, whatever their numbers are.

    And no form is offered in which another constant has become redundant, or that is nothing.
    """
    assert [str(form.shape) for form in tied(form_of(parse(text, ("r",))))] == expected


def test_rates_of_a_potential_are_tied_in_its_force_as_well() -> None:
    form = form_of_potential(parse("exp(-1.01*r)/(r + 0.1) + 3*exp(-2*r)", ("r",)))
    (one,) = tied(form)
    assert one.potential is not None and len(one.constants) == len(form.constants) - 1
    slope = sympy.diff(one.potential, symbol("r")) - one.shape
    numbers = {symbol(name): value for name, value in one.constants.items()}
    assert abs(slope.xreplace({**numbers, symbol("r"): sympy.Float(0.7)})) < 1e-12


def shapes(text: str) -> list[str]:
    return [str(form.shape) for form in smaller(form_of(parse(text, ("r",))))]


def test_what_is_added_goes_with_the_constant_that_it_takes_away() -> None:
    """``(c2 + exp(c3 r))^2 - c0`` without c0 and the square of c2, where these nearly cancel."""
    form = form_of(parse("(exp(-1.7*r) - 1.3)**2 - 1.68", ("r",)))
    wanted = sympy.exp(2 * symbol("c3") * symbol("r"))
    wanted += 2 * symbol("c2") * sympy.exp(symbol("c3") * symbol("r"))
    (first, *_) = smaller(form)
    assert first.shape == wanted and first.constants == {"c2": -1.3, "c3": -1.7}
    assert str(wanted) not in shapes("(exp(-1.7*r) - 1.3)**2 - 0.9")


@pytest.mark.parametrize("text", ["r - 1.0", "r**2 - 0.4", "(r + 1.0)**6 - 0.9"])
def test_what_is_added_and_cancels_nothing_goes_alone(text: str) -> None:
    found = shapes(text)
    assert len(found) == len(set(found)) and not any("6*" in shape for shape in found)
    assert found[0] in ("r", "r**2", "(c2 + r)**6", "(c1 + r)**6")
