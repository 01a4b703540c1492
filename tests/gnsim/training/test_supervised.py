"""Training on exact accelerations: it learns, it repeats, and it goes on where it was stopped."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.errors import InputError, NonFiniteError
from gnsim.integrators import INTEGRATORS
from gnsim.models.vector_messages import VectorMessageModel
from gnsim.training.rates import ExactRates, ThroughIntegrator
from gnsim.training.supervised import (
    FLAT_HAMILTONIAN,
    SupervisedConfig,
    learn,
    summed_error,
    untrained,
)

CONFIG = SupervisedConfig(steps=12, save_every=4, graphs=8, hidden=8, widest=6)
KINDS = ["standard", "bottleneck", "l1", "kl", "pruning", FLAT_HAMILTONIAN]


@pytest.fixture(scope="module")
def rates() -> ExactRates:
    path = simulate("spring", trajectories=20, bodies=3, dim=2, frames=10)
    return ExactRates(hamiltonian("spring"), path, torch.float32)


class StoppedError(Exception):
    pass


def trained(
    config: SupervisedConfig,
    rates: ExactRates,
    folder: Path | None = None,
    seed: int = 0,
    stop: int = -1,
) -> VectorMessageModel:
    def told(step: int, steps: int, loss: float) -> None:
        if step == stop:
            raise StoppedError

    model = untrained(config, 2, ("mass",), seed)
    learn(model, rates, config, seed, folder, "springs", told)
    return model


def same(a: VectorMessageModel, b: VectorMessageModel) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_stopped_ends_in_the_same_bits(
    kind: str, rates: ExactRates, tmp_path: Path
) -> None:
    config = replace(CONFIG, model=kind)
    whole = trained(config, rates)
    with pytest.raises(StoppedError):
        trained(config, rates, tmp_path, stop=8)
    assert same(trained(config, rates, tmp_path), whole)
    assert not same(trained(config, rates, seed=1), whole)


def test_other_settings_do_not_go_on(rates: ExactRates, tmp_path: Path) -> None:
    trained(CONFIG, rates, tmp_path)
    with pytest.raises(InputError, match="another config"):
        trained(replace(CONFIG, loss="relative"), rates, tmp_path)
    with pytest.raises(InputError, match="another seed"):
        trained(CONFIG, rates, tmp_path, seed=1)


@pytest.mark.parametrize("kind", ["bottleneck", FLAT_HAMILTONIAN])
def test_it_learns(kind: str, rates: ExactRates) -> None:
    config = replace(CONFIG, model=kind, steps=300, graphs=16, hidden=24)
    before = summed_error(untrained(config, 2, ("mass",), 0), rates, 200, 0)
    after = summed_error(trained(config, rates), rates, 200, 0)
    assert after[0] < 0.5 * before[0] and after[1] < 0.5 * before[1]


def test_it_learns_through_the_integrator(rates: ExactRates) -> None:
    config = replace(CONFIG, steps=60, graphs=16, hidden=24, learning_rate=3e-2)
    path = simulate("spring", trajectories=8, bodies=3, dim=2, frames=40, interval=0.02)
    model = untrained(config, 2, ("mass",), 0)
    before = summed_error(model, rates, 200, 0)[0]
    learn(model, ThroughIntegrator(path.to(torch.float32), INTEGRATORS["rk2"]()), config, 0)
    assert summed_error(model, rates, 200, 0)[0] < 0.85 * before


def test_the_published_test_loss_is_a_sum_over_bodies(rates: ExactRates) -> None:
    model = untrained(CONFIG, 2, ("mass",), 0)
    state, wanted = rates.batch(50, torch.Generator().manual_seed(4))
    off = (model.vector_field(state)[1] / state.mass[:, None] - wanted).detach()
    found, _ = summed_error(model, rates, 50, 4)
    assert found == pytest.approx(float(off.reshape(50, -1).abs().sum(1).mean()), rel=1e-6)


def test_a_loss_that_is_not_finite_stops_the_run(rates: ExactRates) -> None:
    model = untrained(CONFIG, 2, ("mass",), 0)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="step 0"):
        learn(model, rates, CONFIG, 0)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model": "l2"}, "'l2' is unknown"),
        ({"loss": "square"}, "loss"),
        ({"node": "linaer"}, "linear"),
        ({"steps": 0}, "steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        SupervisedConfig(**settings)
