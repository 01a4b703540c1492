"""From a fit to the parts of a law: names, units, errors, the best-known body as unit of mass."""

import pytest
import torch

from gnsim.models.coupled import Structure
from gnsim.state import Units
from gnsim.symbolic.assemble import parts_of
from gnsim.symbolic.equality import equals
from gnsim.symbolic.forms import form_of
from gnsim.symbolic.parser import names_in, parse
from gnsim.symbolic.refit import Fit

UNITS = Units("m", "s", "kg")
BODIES = ("sun", "earth", "moon")


def fit_of(text: str, coupling: str, *x: float) -> Fit:
    """A fit whose parameters scatter by a hundredth of themselves in two groups."""
    form = form_of(parse(text, names_in(text)))
    parameters = torch.tensor([*form.constants.values(), *x], dtype=torch.float64)
    replicates = (torch.stack([1.01 * parameters, 0.99 * parameters]),)
    of = {"form": form, "structure": Structure(coupling), "bodies": len(BODIES)}
    return Fit(parameters=parameters, replicates=replicates, **of)


def test_a_spring_has_a_stiffness_and_a_rest_length() -> None:
    parts = parts_of(fit_of("2.0*r - 3.0", "none", 2.0), BODIES, UNITS)
    assert parts.constants["k"].value == 2.0
    assert parts.constants["r0"].value == 1.5
    assert parts.constants["k"].unit == "s^-2 kg"
    assert parts.constants["r0"].unit == "m"
    assert parts.force == parse("k*(r - r0)", ("k", "r", "r0"))
    assert not parts.hidden


def test_the_jackknife_gives_the_standard_errors() -> None:
    parts = parts_of(fit_of("2.0*r - 3.0", "none", 2.0), BODIES, UNITS)
    # (groups - 1) / groups * sum of squares = 1/2 * 2 * 0.01^2
    assert parts.constants["k"].stderr == pytest.approx(0.02)
    assert parts.constants["r0"].stderr == pytest.approx(0.015)


def test_hidden_sources_become_masses() -> None:
    parts = parts_of(fit_of("1.0/r**2", "source", 8.0, 2.0, 0.5), BODIES, UNITS)
    mass = parts.hidden["mass"]
    assert mass.values == (1.0, 0.25, 0.0625)
    assert mass.names == BODIES
    assert mass.unit == "mass of sun"
    assert mass.stderr == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)  # a common factor cancels
    assert parts.constants["G"].value == 8.0
    assert parts.constants["G"].unit == "m^3 s^-2 (mass of sun)^-1"
    assert parts.force == parse("G*mass_i*mass_j/r**2", ("G", "mass_i", "mass_j", "r"))
    assert parts.metadata["couplings"]["values"] == [8.0, 2.0, 0.5]
    assert parts.metadata["couplings"]["stderr"] == pytest.approx([0.08, 0.02, 0.005])


def test_hidden_responses_become_masses_the_other_way_round() -> None:
    parts = parts_of(fit_of("1.0*r - 1.0", "response", 8.0, 2.0, 0.5), BODIES, UNITS)
    assert parts.hidden["mass"].values == (1.0, 4.0, 16.0)
    assert parts.hidden["mass"].unit == "mass of sun"
    assert parts.constants["k"].value == 8.0


def test_attributes_are_no_constants_whatever_they_are_called() -> None:
    text = "charge_i*charge_j/(r + 0.01)**2"
    fit = fit_of("charge_i*charge_j/(r + 0.01)**2", "none", 2.0)
    parts = parts_of(fit, BODIES, UNITS)
    assert {"charge_i", "charge_j", "r", "k", "r0"} == {s.name for s in parts.force.free_symbols}
    assert equals(parts.force, text), parts.force
    assert parts.constants["k"].unit == ""  # of a charge nobody gave the unit


def test_the_unit_of_the_strength_counts_given_masses() -> None:
    parts = parts_of(fit_of("mass_i*mass_j/r**2", "none", 2.0), BODIES, Units("m", "s", "kg"))
    assert parts.constants["k"].unit == "m^3 s^-2 kg^-1"


def test_a_mass_below_zero_is_a_trifle() -> None:
    parts = parts_of(fit_of("1.0/r**2", "source", 8.0, 2.0, -1e-9), BODIES, UNITS)
    assert 0 < parts.hidden["mass"].values[2] < 1e-9


def test_a_force_without_a_degree_has_no_unit_for_its_strength() -> None:
    parts = parts_of(fit_of("2.0*exp(-0.5*r)", "none", 2.0), BODIES, UNITS)
    assert parts.constants["k"].unit == ""
    assert parts_of(fit_of("2.0*r", "none", 2.0), BODIES, Units()).constants["k"].unit == ""
