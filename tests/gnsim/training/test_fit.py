"""Training ends in weights that are finite and right, stops where it must, and says why."""

import os
import signal
import time

import pytest
import torch

from gnsim.datasets import load
from gnsim.errors import InputError, NonFiniteError
from gnsim.models.coupled import Structure
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import Fitted, fit
from gnsim.training.record import Standing
from gnsim.training.step import Training
from gnsim.training.structure import choose_structure

SMALL = {
    "hidden": 8,
    "steps": 30,
    "pilot_steps": 10,
    "validate_every": 10,
    "pairs_per_batch": 60,
    "coupling": "none",
    "terms": "none",
}
#: one part in a thousand of the error, between the precisions
SINGLE = 1e-3


def small(**other):
    return TrainingConfig(**{**SMALL, **other})


@pytest.fixture(scope="module")
def spring():
    return load("spring", trajectories=6, frames=40)


@pytest.fixture(scope="module")
def whole(spring):
    """The run that nothing interrupts."""
    return fit(spring.train, spring.valid, small(), 0)


def silent(*told):
    pass


def weights(fitted):
    return torch.cat([value.double().flatten() for value in fitted.model.state_dict().values()])


def test_both_precisions_train_to_the_same_error(spring):
    single, double = (
        fit(spring.train, spring.valid, small(precision=name), 0) for name in ("float32", "float64")
    )
    assert single.model.x.dtype == torch.float32
    assert double.model.x.dtype == torch.float64
    assert single.validation_error == pytest.approx(double.validation_error, rel=SINGLE)


def test_training_brings_the_error_down(spring):
    short, longer = (fit(spring.train, spring.valid, small(steps=n), 0) for n in (1, 60))
    assert longer.validation_error < 0.8 * short.validation_error


def test_the_same_seed_gives_the_same_bits_and_another_does_not(spring, whole):
    again, other = (fit(spring.train, spring.valid, small(), seed) for seed in (0, 1))
    assert torch.equal(weights(whole), weights(again))
    assert not torch.equal(weights(whole), weights(other))


def test_pilots_are_deterministic_and_only_run_where_masses_are_hidden(spring):
    hidden = load("spring", trajectories=6, frames=40, equal_masses=True)
    config = small(coupling="auto", pilot_steps=4)
    given = choose_structure(spring.train, spring.valid, config, 0, silent)
    assert given == (Structure("none"), {})
    train, valid = (without_mass(part) for part in (hidden.train, hidden.valid))
    tries = [choose_structure(train, valid, config, 0, silent) for _ in range(2)]
    assert tries[0] == tries[1]
    assert set(tries[0][1]) == {"none", "response", "source"}


def without_mass(trajectory):
    from dataclasses import replace

    return replace(trajectory, attributes={}, p=trajectory.velocity)


def test_a_loss_that_is_not_finite_stops_with_its_cause_and_writes_nothing(spring, tmp_path):
    run = Training(spring.train, spring.valid, small(), Structure("none"), 0)
    with torch.no_grad():
        run.network.linear.weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match=r"training step 0: the loss is nan.*learning_rate"):
        run.advance(10)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"integrator": "leapfog"}, "training.integrator: 'leapfog'.*did you mean 'leapfrog'"),
        ({"coupling": "sorce"}, "training.coupling: 'sorce'.*did you mean 'source'"),
        ({"precision": "float16"}, "training.precision: 'float16'"),
        ({"steps": 0}, "training.steps: wanted 1 or more, found 0"),
        ({"validate_every": 0}, "training.validate_every"),
        ({"learning_rate": -1.0}, "training.learning_rate: wanted a number above 0, found -1"),
        ({"window": 60}, "a window of 60 steps needs 61 frames, found 40"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(setting, words, spring):
    with pytest.raises(ValueError, match=words):
        fit(spring.train, spring.valid, small(**setting), 0)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"data_hash": "other"}, "another data"),
        ({"seed": 1}, "another seed"),
        ({"config": small(hidden=4)}, "another config"),
    ],
)
def test_resuming_refuses_what_is_not_the_same_run(other, words, spring, tmp_path):
    given = {"config": small(steps=10), "seed": 0, "data_hash": "this"}
    fit(spring.train, spring.valid, folder=tmp_path, **given)
    before = (tmp_path / "training.csv").read_bytes()
    with pytest.raises(InputError, match=words):
        fit(spring.train, spring.valid, folder=tmp_path, **{**given, **other})
    assert (tmp_path / "training.csv").read_bytes() == before


def test_patience_ends_a_run_that_gets_no_better(spring):
    seen = []

    def tell(phase, step, total, error):
        seen.append(step)

    config = small(steps=200, validate_every=1, patience=2, learning_rate=1e-12)
    fit(spring.train, spring.valid, config, 0, progress=tell)
    assert seen[-1] < 200


def test_the_best_weights_travel_in_every_checkpoint(spring):
    """A kill between validation and the best checkpoint loses nothing: there is one file."""
    run = Training(spring.train, spring.valid, small(), Structure("none"), 0)
    best = Standing.initial(run).after(0.5, run)
    run.advance(10)
    worse = best.after(0.7, run)
    assert (worse.best, worse.stale) == (0.5, 1)
    assert all(torch.equal(worse.weights[name], value) for name, value in best.weights.items())
    changed = run.model.state_dict()
    assert any(not torch.equal(worse.weights[name], value) for name, value in changed.items())
    assert worse.after(float("nan"), run).stale == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_within_one_step(number, spring, whole, tmp_path):
    class LeftError(Exception):
        pass

    def leave(*details):
        raise LeftError

    def tell(phase, step, total, error):
        if step == 3:
            os.kill(os.getpid(), number)

    previous = signal.signal(number, leave)
    try:
        with pytest.raises(LeftError):
            fit(spring.train, spring.valid, small(), 0, tmp_path, progress=tell)
    finally:
        signal.signal(number, previous)
    assert (tmp_path / "checkpoints" / "step-000000004.ckpt").exists()
    assert not (tmp_path / "checkpoints" / "best.ckpt").exists()
    resumed = fit(spring.train, spring.valid, small(), 0, tmp_path)
    assert torch.equal(weights(resumed), weights(whole))


def test_a_deadline_stops_and_the_next_run_goes_on(spring, whole, tmp_path):
    late = fit(spring.train, spring.valid, small(), 0, tmp_path, deadline=time.monotonic() - 1)
    assert (tmp_path / "checkpoints" / "step-000000001.ckpt").exists()
    assert torch.isfinite(weights(late)).all()
    resumed = fit(spring.train, spring.valid, small(), 0, tmp_path)
    assert torch.equal(weights(resumed), weights(whole))


def test_a_fitted_model_comes_back_from_its_file(spring, tmp_path):
    fitted = fit(spring.train, spring.valid, small(steps=10), 0)
    fitted.save(tmp_path / "model.ckpt", "hash")
    back = Fitted.load(tmp_path / "model.ckpt", "hash")
    assert torch.equal(weights(back), weights(fitted))
    assert back.validation_error == fitted.validation_error
    with pytest.raises(InputError, match="trained on other data"):
        Fitted.load(tmp_path / "model.ckpt", "another")
