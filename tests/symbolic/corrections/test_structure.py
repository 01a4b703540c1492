"""Dimensions say which strengths may come from one velocity."""

from dataclasses import replace

import pytest
import sympy
import torch

from gnsim.symbolic.corrections.monomials import Monomial
from gnsim.symbolic.corrections.own_numbers import numbers
from gnsim.symbolic.corrections.statement import Statement
from gnsim.symbolic.corrections.structure import Scale, scale_of
from gnsim.symbolic.corrections.subsets import Equations
from gnsim.symbolic.law import Constant, Hidden, Law
from gnsim.symbolic.parser import symbol

NEWTON = Law("G*mass_i*mass_j/r**2", {"G": Constant(2.0, 1e-9)}, 3)
MASSES = symbol("mass_i") * symbol("mass_j")
R = symbol("r")
UNITS, BODIES = 400, 3
EVEN = torch.ones(BODIES, dtype=torch.float64)
C = 5.0


def term(power: int, speeds: tuple[int, int], along: bool = True, masses: int = 0) -> Monomial:
    both = symbol("mass_i") + symbol("mass_j")
    return Monomial(MASSES * both**masses, R, power, speeds, along, masses)


@pytest.mark.parametrize(
    ("tried", "expected"),
    [
        (term(-2, (2, 0)), Scale("G", 1, 2)),
        (term(-2, (1, 1), along=False), Scale("G", 1, 2)),
        (term(-3, (0, 0), masses=1), Scale("G", 2, 2)),
        (term(-4, (0, 0)), None),
        (term(-2, (1, 0)), Scale("G", 1, 1)),
        (Monomial(sympy.S.One, R, -2, (2, 0), True), None),
    ],
    ids=str,
)
def test_strengths_go_with_powers_of_a_velocity(tried: Monomial, expected: Scale | None) -> None:
    assert scale_of(tried, NEWTON) == expected


def test_a_law_without_one_strength_tells_no_velocity() -> None:
    two = replace(
        NEWTON,
        force="G*mass_i*mass_j/r**2 + k*r",
        constants={**NEWTON.constants, "k": Constant(1.0, 0.1)},
    )
    assert scale_of(term(-2, (2, 0)), two) is None


def stated(strengths: list[float], law: Law = NEWTON) -> dict[str, Constant]:
    """The constants of a correction of as many terms with these strengths."""
    tried = [term(-2, (2, 0)), term(-2, (0, 2)), term(-2, (1, 1), along=False)][: len(strengths)]
    own = numbers(law)
    generator = torch.Generator().manual_seed(0)
    shape = (len(own) + len(tried), 1, UNITS, BODIES, 2)
    columns = torch.randn(shape, generator=generator, dtype=torch.float64)
    errors = 1e-6 * torch.randn(shape[1:], generator=generator, dtype=torch.float64)
    for k, strength in enumerate(strengths):
        errors = errors + strength * columns[len(own) + k]
    block = torch.arange(UNITS) * 10 // UNITS
    used = torch.ones(UNITS, BODIES, dtype=torch.bool)
    equations = Equations.of(errors, columns, block, len(own), used, EVEN)
    size = torch.ones(len(columns), dtype=torch.float64)
    statement = Statement(law, own, tried, size, equations, equations, worth=0.1)
    chosen = range(len(own), len(columns))
    return statement.of(equations.total.fit(chosen)).constants


def test_terms_in_simple_ratios_share_a_velocity() -> None:
    unit = 2.0 / C**2
    found = stated([-3 * unit, unit, -4 * unit])
    assert list(found) == ["c"] and found["c"].value == pytest.approx(C, rel=1e-3)
    assert found["c"].stderr is not None and abs(found["c"].value - C) < 4 * found["c"].stderr


@pytest.mark.parametrize(
    "strengths",
    [[-3.02, 1.0, -4.0], [-3.0, 1.0, -3.333], [1.0]],
    ids=["near a ratio", "no ratio", "one term alone"],
)
def test_what_the_data_object_to_is_not_shared(strengths: list[float]) -> None:
    found = stated(strengths)
    assert "c" not in found and len(found) == len(strengths)


def test_names_that_the_law_has_are_not_taken() -> None:
    constants = {"G": Constant(2.0, 1e-9), "k0": Constant(1.0, 0.1), "c": Constant(1.0, 0.1)}
    force = "G*mass_i*mass_j*(1 + 0*k0*c)/r**2"
    law = replace(NEWTON, force=force, constants=constants)
    assert not set(stated([1.0, 3.14159], law)) & set(constants)


def test_numbers_that_move_take_back_what_was_said_of_the_law() -> None:
    hidden = {"mass": Hidden((1.0, 2.0), (1e-9, 1e-3), ("a", "b"))}
    law = replace(NEWTON, hidden=hidden, loss=1.0, metadata={"couplings": {}, "box": [1.0]})
    first, second = numbers(law)
    moved = second.set(first.set(law, 2.1, torch.inf), 2.2, torch.inf)
    assert moved.loss is None and moved.metadata == {"box": [1.0]}
    assert moved.constants["G"] == Constant(2.1, None)
    assert moved.hidden["mass"].values == (1.0, 2.2)
    assert moved.hidden["mass"].stderr == (1e-9, 1e-3)
