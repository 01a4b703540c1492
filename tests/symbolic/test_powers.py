"""Power laws are put beside what engines offer, for each way in which attributes enter."""

from dataclasses import replace

import numpy as np
import pytest

from gnsim.symbolic.expressions import evaluated, names_of
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.parser import parse
from gnsim.symbolic.powers import POWER, powers

NAMES = ("r", "mass_i", "mass_j")


def table(saturated: float = 0.0, rest: float = 0.0) -> MessageTable:
    """Gravity as a network knows it: too weak where bodies come close."""
    rng = np.random.default_rng(0)
    r, m_i, m_j = np.exp(rng.normal(size=(3, 400)))
    return MessageTable(
        NAMES, np.stack([r, m_i, m_j], 1), m_i * m_j / (r**2 + saturated) - rest, "1"
    )


def offered(*texts: str, **of: float) -> list[Candidate]:
    front = [Candidate(parse(text, NAMES), 9, 1.0, "operon") for text in texts]
    return powers(front, table(**of))


def at(found: Candidate, r: float) -> float:
    """The force at a distance, of unit masses."""
    one = np.ones(1)
    columns = {"r": r * one, "mass_i": one, "mass_j": one}
    return float(evaluated(found.equation, columns)[0])


def test_an_imitation_gets_the_power_law_beside_it() -> None:
    (found,) = offered("1.3*mass_i*mass_j*exp(-0.7*r)/r")
    assert found.engine == POWER
    assert set(names_of(found.equation)) == set(NAMES)
    assert at(found, 1.0) == pytest.approx(1.0, rel=1e-3)
    assert at(found, 2.0) == pytest.approx(0.25, rel=1e-3)


def test_a_saturated_force_has_a_smaller_exponent_from_which_a_refit_starts() -> None:
    (found,) = offered("mass_i*mass_j*exp(-r)", saturated=0.1)
    assert -2.0 < np.log(at(found, np.e) / at(found, 1.0)) < -1.2


def test_each_form_of_the_attributes_has_one() -> None:
    found = offered("mass_i*mass_j/r", "2.0*mass_i*mass_j*exp(-r)", "(mass_i + mass_j)*r", "r")
    assert len(found) == 3


@pytest.mark.parametrize("text", ["mass_i*mass_j + 1/r", "(r + mass_i)**2"])
def test_a_sum_with_the_distance_has_none(text: str) -> None:
    assert offered(text) == []


def test_neutral_bodies_and_distances_that_hardly_differ_are_no_trouble() -> None:
    messages, front = table(), [Candidate(parse("mass_i*mass_j/r", NAMES), 9, 1.0, "operon")]
    X = messages.X.copy()
    X[::7, 1] = 0.0
    (found,) = powers(front, replace(messages, X=X, y=messages.y * (X[:, 1] != 0)))
    assert at(found, 2.0) / at(found, 1.0) == pytest.approx(0.25, rel=1e-3)
    still = messages.X.copy()
    still[:, 0] = 1.0 + 1e-7 * still[:, 0]
    assert powers(front, replace(messages, X=still)) == []
    assert powers(front, replace(messages, y=0 * messages.y)) == []


def test_a_force_of_both_signs_has_none() -> None:
    assert offered("mass_i*mass_j*exp(-r)", rest=1.0) == []
