"""A break is found where there is one, nowhere else, and becomes a law with its place fitted."""

from dataclasses import replace

import numpy as np
import pytest
import sympy
import torch

from gnsim.datasets.systems import simulate
from gnsim.integrators import KahanLi6
from gnsim.models.coupled import Structure
from gnsim.symbolic.assemble import parts_of
from gnsim.symbolic.breaks import find_break, joined, sides
from gnsim.symbolic.equality import equals
from gnsim.symbolic.expressions import evaluated, read, text_of
from gnsim.symbolic.forms import form_of
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.law import Constant, Law
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.parser import ParseError, parse
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import refit

BROKEN = "Piecewise((0, r < 1.99), (2*(r - 0.99), True))"
SMOOTH = {
    "gravity": "1/(r + 0.01)**2",
    "spring": "2*(r - 1)",
    "yukawa": "exp(-r)*(1/r + 1/r**2)",
    "morse": "2*(1 - exp(-2*(r - 1)))*exp(-2*(r - 1))",
}


def messages(text: str, blur: float = 0.0) -> MessageTable:
    """A table of a force with a little noise; a break is blurred as a network does."""
    rng = np.random.default_rng(0)
    r = np.exp(rng.uniform(np.log(0.3), np.log(5.0), 2000))
    force = read(text)
    y = evaluated(force, {"r": r})
    if blur:
        y = np.mean([evaluated(force, {"r": r + shift}) for shift in blur * rng.normal(size=40)], 0)
    return MessageTable(("r",), r[:, None], y + 1e-3 * rng.normal(size=2000), "1")


def test_a_break_is_found_where_it_is() -> None:
    broken = find_break(messages(BROKEN, blur=0.05))
    assert broken is not None
    assert broken.distance == pytest.approx(1.99, rel=0.05)
    before, after = sides(messages(BROKEN), broken)
    assert before.X.max() < broken.distance < after.X.min()


def test_a_break_that_a_network_blurred_widely_is_found_nearby() -> None:
    """Over a fifth of the distance, with ripples before it: what noisy data leave of a jump."""
    table = messages(BROKEN)
    r = table.X[:, 0]
    after = 1 / (1 + np.exp(-np.log(r / 1.99) / 0.06))
    ripple = 0.1 * np.sin(9 * np.log(r)) * (1 - after)
    blurred = replace(table, y=2 * (r - 0.99) * after + ripple)
    broken = find_break(blurred)
    assert broken is not None
    assert broken.distance == pytest.approx(1.99, rel=0.03)


def test_distances_that_hardly_differ_have_no_break() -> None:
    table = messages(BROKEN)
    still = replace(table, X=np.full_like(table.X, 1.5))
    assert find_break(still) is None
    assert find_break(replace(table, X=table.X[:20], y=table.y[:20])) is None


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_forces_have_no_break(name: str) -> None:
    assert find_break(messages(SMOOTH[name])) is None


def test_a_side_without_a_force_is_joined_as_zero() -> None:
    table = messages(BROKEN)
    broken = find_break(table)
    assert broken is not None
    before, after = ([Candidate(read(t), 1, 0.0, "operon")] for t in ("0.01*r", "1.9*r - 1.8"))
    (law,) = joined(before, after, broken, table)
    assert isinstance(law.equation, sympy.Piecewise)
    assert equals(law.equation, BROKEN)


def test_the_refit_finds_the_place_of_a_break() -> None:
    path = simulate("discontinuous", trajectories=20, bodies=3, dim=2, frames=20)
    problem = Problem.of(path, 4, 80, KahanLi6(), 1)
    start = read("Piecewise((0, r < 1.93), (1.8*(r - 0.9), True))")
    fit = refit(form_of(start), Structure("none"), problem)
    found = dict(zip(fit.form.constants, fit.parameters.tolist(), strict=False))
    assert found["break0"] == pytest.approx(1.99, abs=0.004)
    assert found["c0"] == pytest.approx(0.99, abs=1e-3)
    assert float(fit.x[0]) == pytest.approx(2.0, rel=1e-3)
    parts = parts_of(fit, ("a", "b", "c"), path.units)
    law = Law(parts.force, parts.constants, 2)
    assert law.equals(BROKEN)
    assert law.potential_expr() is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (BROKEN, "Piecewise((0, r < b), (k*(r - r0), True))", True),
        (BROKEN, "Piecewise((0, r < 3), (5*(r - 2), True))", True),
        (BROKEN, "Piecewise((r, r < 1.99), (2*(r - 0.99), True))", False),
        (BROKEN, "Piecewise((0, r < 1.99), (2/r, True))", False),
        (BROKEN, "2*(r - 0.99)", False),
        (BROKEN, "k*Piecewise((0, r < b), (r - r0, True))", True),
        ("Piecewise((1/r, r < 2), (r, True))", "Piecewise((-1/r, r < 2), (r, True))", False),
    ],
)
def test_laws_with_breaks_are_equal_piece_by_piece(one: str, other: str, same: bool) -> None:
    assert equals(one, other) is same
    assert equals(other, one) is same


def test_the_potential_is_continuous_and_its_slope_the_force() -> None:
    constants = {n: Constant(v, None) for n, v in (("k", 2.0), ("r0", 0.99), ("b", 1.99))}
    law = Law("Piecewise((0, r < b), (k*(r - r0), True))", constants, 2)
    pair = law.hamiltonian().pair
    around = torch.tensor([1.99 - 1e-9, 1.99 + 1e-9], dtype=torch.float64)
    assert float(pair.energy(around, {}, {}).diff().abs()) < 1e-8
    r = torch.tensor([1.2, 1.9, 2.1, 3.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(pair.energy(r, {}, {}).sum(), r)
    assert torch.allclose(slope, pair.force(r.detach(), {}, {}))


def test_breaks_are_written_and_read_alike() -> None:
    law = read(BROKEN)
    assert read(text_of(law)) == law
    assert "r < 1.99" in text_of(law)


@pytest.mark.parametrize(
    "text",
    [
        "Piecewise((0, r > 1), (r, True))",
        "Piecewise((0, r < 1))",
        "Piecewise(0, r)",
        "Piecewise((0, r < 1), (r, r < 2))",
        "Piecewise((0, r < r), (r, True))",
        "Piecewise((0, 1 < r < 2), (r, True))",
        "Piecewise((__import__('os'), r < 1), (r, True))",
        "r < 1",
    ],
)
def test_what_is_no_law_with_a_break_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text, ("r",))
