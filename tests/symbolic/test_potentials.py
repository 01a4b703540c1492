"""Potentials behind messages: their forces are candidates with the constants of the potential."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy

from gnsim.symbolic.breaks import find_break
from gnsim.symbolic.expressions import evaluated, read
from gnsim.symbolic.forms import form_of, form_of_potential
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.parser import parse
from gnsim.symbolic.potentials import POTENTIAL, forces, potential_curve

CHARGES = ("r", "charge_i", "charge_j")


def messages(text: str, names: tuple[str, ...] = CHARGES) -> MessageTable:
    """Exact ones, of bodies with charges of either sign."""
    rng = np.random.default_rng(0)
    columns = {"r": rng.uniform(0.5, 4.0, 2000)}
    for name in names[1:]:
        columns[name] = rng.choice([-1.0, 1.0, 2.0], 2000)
    X = np.stack([columns[name] for name in names], 1)
    return MessageTable(names, X, evaluated(read(text), columns), "1")


SCREENED = "-charge_i*charge_j*exp(-r)*(1/r + 1/r**2)"


def test_the_potential_is_the_integral_of_the_force_per_product_of_charges() -> None:
    curve = potential_curve(messages(SCREENED))
    assert curve is not None
    assert str(curve.factor) == "charge_i*charge_j"
    r, below = curve.table.X[:, 0], curve.table.y
    expected = np.exp(-r) / r
    assert np.allclose(below, expected - expected[-1], atol=2e-4)


def test_without_the_charges_there_is_no_curve() -> None:
    """A force of a sum of charges is no curve per product of anything."""
    assert potential_curve(messages("(charge_i + charge_j)/r**2")) is None


def test_a_force_has_the_constants_of_its_potential() -> None:
    """One length in two places, and no more than the potential has."""
    table = messages(SCREENED)
    curve = potential_curve(table)
    assert curve is not None
    offered = [Candidate(parse("1.01*exp(-1.02*r)/r + 0.3", ("r",)), 0, 0.0, "operon")]
    (found,) = forces(offered, curve, table)
    assert found.engine == POTENTIAL and found.loss < 0.01
    assert found.potential is not None
    form = form_of_potential(found.potential)
    assert len(form.constants) == 1
    columns = {"r": np.array([0.7, 2.0]), "charge_i": np.ones(2), "charge_j": -np.ones(2)}
    exact = evaluated(found.equation, columns)
    assert evaluated(form.expression, columns) == pytest.approx(exact, rel=1e-12)


def test_the_strongest_term_of_a_potential_is_tried_by_itself() -> None:
    table = messages(SCREENED)
    curve = potential_curve(table)
    assert curve is not None
    offered = [Candidate(parse("exp(-r)/r + 0.001*r", ("r",)), 0, 0.0, "operon")]
    both = forces(offered, curve, table)
    assert [len(sympy.Add.make_args(sympy.expand(c.potential))) for c in both] == [2, 1]
    assert both[1].loss < 1e-12 < both[0].loss


def test_what_is_added_to_a_potential_is_no_constant_of_the_force() -> None:
    """``log(2 r + 1)`` is ``log 2 + log(r + 1/2)``: one constant, and a strength."""
    form = form_of_potential(parse("3.0*log(2.0*r + 1.0)", ("r",)))
    assert list(form.constants.values()) == pytest.approx([0.5])
    r = np.array([0.5, 2.0])
    assert evaluated(form.expression, {"r": r}) == pytest.approx(3 / (r + 0.5))


def test_a_potential_that_saves_no_constant_is_a_plain_force() -> None:
    """Springs read ``r - c``, not ``2 r - c``."""
    spring = form_of_potential(parse("1.1*r**2 - 2.2*r", ("r",)))
    assert spring.shape == form_of(parse("2.2*r - 2.2", ("r",))).shape
    assert spring.potential is None
    assert form_of_potential(parse("exp(-0.9*r)/r", ("r",))).potential is not None


def test_a_form_is_as_large_as_its_potential_where_that_is_smaller() -> None:
    potential = form_of_potential(parse("-1.0*exp(-0.9*r)/r", ("r",)))
    imitation = form_of(parse("1.7*r**(-1.6)*exp(-0.86*r)", ("r",)))
    assert potential.complexity <= imitation.complexity


def test_forces_that_no_law_may_hold_are_left_out() -> None:
    """The derivative of a sign is a delta function; that of an absolute value holds a sign."""
    table = messages(SCREENED)
    curve = potential_curve(table)
    assert curve is not None
    offered = [Candidate(parse(t, ("r",)), 0, 0.0, "o") for t in ("sign(r - 1)", "abs(r - 1)**2.6")]
    (kept,) = forces(offered, curve, table)
    assert kept.equation.has(sympy.sign) and np.isfinite(kept.loss)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: replace(t, X=t.X[:60], y=t.y[:60]),
        lambda t: replace(t, X=np.ones_like(t.X)),
        lambda t: replace(t, X=np.abs(t.X) * (t.X[:, :1] > 1)),
        lambda t: replace(t, y=np.zeros_like(t.y)),
    ],
    ids=["few", "one distance", "distance zero", "no force"],
)
def test_messages_that_tell_no_curve_have_no_potential(spoil: Callable) -> None:
    table = spoil(messages(SCREENED))
    assert potential_curve(table) is None
    assert find_break(table) is None


def test_a_constant_potential_is_no_force() -> None:
    table = messages(SCREENED)
    curve = potential_curve(table)
    assert curve is not None
    assert forces([Candidate(parse("0.3", ("r",)), 0, 0.0, "operon")], curve, table) == []
