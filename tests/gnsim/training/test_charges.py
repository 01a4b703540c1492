"""Hidden charges: pairs taken apart into bodies, and charges found in data that lack them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from gnsim.datasets.systems import simulate
from gnsim.errors import InputError, NonFiniteError
from gnsim.training.charges import taken_apart
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import fit
from gnsim.training.step import Training

CHARGES = torch.tensor([1.0, -2.0, 0.5, 1.5], dtype=torch.float64)


def products(k: float, q: torch.Tensor) -> torch.Tensor:
    row, column = torch.triu_indices(len(q), len(q), offset=1)
    return k * q[row] * q[column]


@pytest.mark.parametrize("k", [1.0, -0.3])
@pytest.mark.parametrize("charges", [CHARGES, CHARGES.abs(), CHARGES[:2]])
def test_charges_come_back_up_to_their_scale(k: float, charges: torch.Tensor) -> None:
    found = taken_apart(products(k, charges), len(charges))
    torch.testing.assert_close(products(float(found[0]), found[1:]), products(k, charges))


def test_strengths_that_are_no_products_are_not_met() -> None:
    strengths = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, -1.0], dtype=torch.float64)
    found = taken_apart(strengths, 4)
    assert (products(float(found[0]), found[1:]) - strengths).abs().max() > 0.3


@pytest.mark.parametrize("hidden", [True, False])
def test_charges_are_found_where_data_lack_them(hidden: bool) -> None:
    path = simulate("charge", trajectories=1, frames=160, interval=0.05, softening=0.5, seed=5)
    charge = path.attributes["charge"]
    known = {"mass": path.mass} if hidden else path.attributes
    data = replace(path, attributes=known)
    config = TrainingConfig(steps=60, pilot_steps=40, hidden=8, terms="none", window=1)
    found = fit(data.frames(slice(110)), data.frames(slice(110, 160)), config, 0)
    assert found.model.coupling.name == ("charges" if hidden else "none")
    if hidden:
        signs = torch.sign(found.model.hidden()[0]["charge"])
        assert len(charge.unique()) == 2
        assert torch.equal(signs * signs[0], charge * charge[0])


def test_charges_that_run_away_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    path = simulate("charge", trajectories=1, frames=60, interval=0.05, softening=0.5, seed=5)
    data = replace(path, attributes={"mass": path.mass})
    monkeypatch.setattr(Training, "advance", poisoned(Training.advance))
    config = TrainingConfig(steps=4, pilot_steps=2, hidden=4, terms="none", window=1)
    found = fit(data.frames(slice(40)), data.frames(slice(40, 60)), config, 0)
    assert found.model.coupling.name == "none"
    with pytest.raises(NonFiniteError):
        fit(data, data, replace(config, coupling="charges"), 0)


def poisoned(advance: Callable[[Training, int], float]) -> Callable[[Training, int], float]:
    """As if the numbers of hidden charges grew without bound."""

    def step(run: Training, schedule: int) -> float:
        if run.model.coupling.name == "charges":
            run.model.x.fill_(1e200)
        return advance(run, schedule)

    return step


def test_two_bodies_have_no_charges_of_their_own() -> None:
    path = simulate("charge", trajectories=4, bodies=2, frames=12)
    bare = replace(path, attributes={"mass": path.mass})
    for data, found in ((bare, "found 2 bodies with mass"), (path, "with mass, charge")):
        with pytest.raises(InputError, match=found):
            fit(data, data, TrainingConfig(coupling="charges"), 0)
