"""Laws read from one component: the published choice, and what counts as the force."""

import numpy as np
import pytest
import sympy
import torch

from gnsim.models.vector_messages import VectorMessages
from gnsim.symbolic.engines import engine
from gnsim.symbolic.expressions import as_columns
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.message_law import EQUAL, compare, component_table, published_choice
from gnsim.symbolic.parser import parse

COUNT = 500
NAMES = ("dx", "dy", "r", "mass_i", "mass_j")


def columns() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    dx, dy = random.normal(size=(2, COUNT))
    masses = np.exp(random.normal(size=(2, COUNT)))
    return {"dx": dx, "dy": dy, "r": np.hypot(dx, dy), "mass_i": masses[0], "mass_j": masses[1]}


def vectors(radial: np.ndarray) -> np.ndarray:
    samples = columns()
    return (radial / samples["r"])[:, None] * np.stack([samples["dx"], samples["dy"]], 1)


def spring() -> np.ndarray:
    return vectors(2 * (columns()["r"] - 1))


def gravity() -> np.ndarray:
    samples = columns()
    return vectors(samples["mass_i"] * samples["mass_j"] / samples["r"] ** 2)


def equation(text: str) -> sympy.Expr:
    return parse(text, NAMES)


def test_any_direction_of_the_force_is_the_law() -> None:
    found = compare(equation("(1.3*dx + 0.4*dy)*(1 - 0.98/r) + 0.01"), columns(), spring())
    assert found.found and found.difference < EQUAL
    assert found.direction == pytest.approx((0.956, 0.294), abs=0.02)
    assert compare(equation("0.2*mass_i*mass_j*(dy - 3*dx)/r**3"), columns(), gravity()).found


@pytest.mark.parametrize(
    "text",
    [
        "1.3*dx",
        "1.3*dx*(1 - 0.4/r)",
        "(1.3*dx + 0.4*dy)*(1 - 0.98/r) + 0.01*mass_i",
        "dx*(1 - 1/r)/mass_i",
        "2*(r - 1)",
        "0.5",
        "log(dx)",
    ],
)
def test_what_is_nearly_or_more_than_the_force_is_not_the_law(text: str) -> None:
    assert not compare(equation(text), columns(), spring()).found


def test_a_law_that_lacks_a_mass_is_not_gravity() -> None:
    assert not compare(equation("mass_j*dx/r**3"), columns(), gravity()).found
    assert not compare(equation("mass_i*mass_j*dx/r**2"), columns(), gravity()).found


def test_the_steepest_fall_of_the_error_is_chosen() -> None:
    samples = columns()
    y = spring()[:, 0] + 1e-3 * np.random.default_rng(1).normal(size=COUNT)
    texts = ("0.1", "1.2*dx", "2*dx*(1 - 1/r)", "2*dx*(1 - 1/r) + 0.0001*mass_i*dy", "log(dx)")
    offered = [Candidate(equation(text), 0, 0.0, "any") for text in texts]
    chosen, error = published_choice(offered, samples, y)
    assert chosen.equation == equation("2*dx*(1 - 1/r)")
    assert error == pytest.approx(np.abs(y - spring()[:, 0]).mean())
    with pytest.raises(ValueError, match="none of 1"):
        published_choice(offered[-1:], samples, y)


def messages() -> VectorMessages:
    """Springs whose second component is the strongest."""
    samples = {name: torch.from_numpy(values) for name, values in columns().items()}
    d = torch.stack([samples["dx"], samples["dy"]], 1)
    force = torch.from_numpy(spring())
    vectors = torch.stack([0.1 * force[:, 0], force @ torch.tensor([1.0, 0.5]).double()], 1)
    target, source = ({"mass": samples[f"mass_{end}"]} for end in "ij")
    return VectorMessages(vectors, torch.zeros(2, COUNT, dtype=torch.long), d, source, target)


def test_the_strongest_component_is_tabled_beside_what_it_may_depend_on() -> None:
    table = component_table(messages(), 100, 0)
    assert table.names == NAMES
    assert table.X.shape == (100, 5)
    rows = as_columns(table.names, table.X)
    radial = 2 * (rows["r"] - 1) / rows["r"]
    assert np.allclose(table.y, radial * (rows["dx"] + 0.5 * rows["dy"]))
    assert np.array_equal(component_table(messages(), 100, 0).X, table.X)


def test_close_encounters_are_not_tabled() -> None:
    sent = messages()
    sent.vectors[::20] *= 1e4
    assert np.abs(component_table(sent, COUNT, 0).y).max() < 100


def test_an_engine_finds_the_spring_in_its_messages(tmp_path) -> None:
    table = component_table(messages(), 300, 0)
    offered = engine("operon").search(
        table.X, table.y, table.names, seed=0, time_limit=120.0, out_dir=tmp_path
    )
    samples = as_columns(table.names, table.X)
    chosen, _ = published_choice(offered, samples, table.y)
    radial = 2 * (samples["r"] - 1) / samples["r"]
    force = radial[:, None] * np.stack([samples["dx"], samples["dy"]], 1)
    assert compare(chosen.equation, samples, force).found
