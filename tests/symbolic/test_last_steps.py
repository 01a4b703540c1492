"""In noise constants have the errors that their scatter bears out, where bodies meet too."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from gnsim.datasets.systems import simulate
from gnsim.integrators import KahanLi6
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.normal_equations import Normal
from gnsim.symbolic.forms import Form, form_of
from gnsim.symbolic.last_steps import _HALVINGS, LastSteps, _left, _Level, _settled, last_steps
from gnsim.symbolic.minimise import Minimum, assign, dynamics_of
from gnsim.symbolic.parser import parse
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import adjust, adjust_to_the_step

NONE, NOISE, WINDOWS = Structure("none"), 0.003, 24
TRUTH = torch.tensor([0.01, -1.0], dtype=torch.float64)
BESIDE = TRUTH + torch.tensor([0.008, -0.018], dtype=torch.float64)
TEXT = "-1.0*charge_i*charge_j/(r + 0.0101)**2"


@cache
def charges(seed: int = 3, draw: int = 5, bodies: int = 3) -> Problem:
    """Charges of both signs, some of which pass each other closely, in one draw of the noise."""
    settings = {"trajectories": WINDOWS, "dim": 2, "frames": 17}
    whole = simulate("charge", bodies=bodies, seed=seed, **settings)
    generator = torch.Generator().manual_seed(draw)
    q, v = NOISE * torch.randn(2, *whole.p.shape, generator=generator, dtype=torch.float64)
    path = replace(whole, q=whole.q + q, p=whole.p + whole.mass[:, None] * v)
    return Problem.of(path, 16, WINDOWS, KahanLi6(), 1)


def form() -> Form:
    return form_of(parse(TEXT, ("r", "charge_i", "charge_j")))


def true_model(bodies: int = 3) -> CoupledPairs:
    model = dynamics_of(form(), NONE, bodies)
    assign(model, TRUTH)
    return model


def over_errors(fit: Minimum) -> torch.Tensor:
    """How many of its standard errors each constant is off."""
    values, errors = fit.estimate(lambda p: p)
    return (values - TRUTH) / errors


def test_errors_of_constants_hold_where_bodies_meet() -> None:
    """In the worst of fifteen draws for the fit that came before."""
    start = TRUTH[1:]
    assert float(over_errors(adjust(form(), NONE, charges(), start)).abs().max()) > 4
    fit = adjust_to_the_step(form(), NONE, charges(), start)
    assert fit.noise is not None
    assert float(over_errors(fit).abs().max()) < 2.5


def found(theta: torch.Tensor, draw: int) -> Minimum:
    last = last_steps(form(), true_model(2), theta, charges(draw=draw, bodies=2))
    assert last is not None
    return Minimum(last.parameters, last.replicates, noise=last.noise)


@cache
def scatter() -> torch.Tensor:
    """Of eight draws, from starts five errors off."""
    return torch.stack([over_errors(found(BESIDE, draw)) for draw in range(8)])


@pytest.mark.parametrize(("times", "right"), [(1.0, True), (0.5, False), (2.0, False)])
def test_constants_scatter_by_their_errors(times: float, right: bool) -> None:
    """And not by errors that are half, or twice, as large."""
    size = (scatter() / times).square().mean().sqrt()
    assert (0.6 < float(size) < 1.4) == right


def levels_of(problem: Problem) -> list[_Level]:
    every = torch.arange(len(problem.windows.start))
    return [_Level(every)] + [_Level(every[:0])] * _HALVINGS


def test_steps_are_halved_where_bodies_meet_and_there_alone() -> None:
    problem, model = replace(charges(seed=5), fine_slopes=True), true_model()
    levels, left = _settled(model, TRUTH, problem, levels_of(problem), 0.05, 2)
    numbers = torch.cat([level.windows for level in levels])
    assert numbers.sort().values.tolist() == list(range(WINDOWS))
    q = problem.windows.path.q.view(17, WINDOWS, 3, 2)
    closest = (q[:, :, [0, 0, 1]] - q[:, :, [1, 2, 2]]).norm(dim=-1).amin((0, 2))
    halved = torch.cat([level.windows for level in levels[1:]])
    assert float(closest[halved].median()) < 0.5 * float(closest[levels[0].windows].median())
    assert all(bool(one.exact.all()) for one in left)
    # one step a frame is not enough for them
    once = replace(left[-1].problem, substeps=problem.substeps)
    missed = _left(model, TRUTH, once, 0.05)
    assert not bool(missed.exact.any())
    change = (missed.errors - missed.finer).norm(dim=2)
    assert float(change.min()) > 5


def test_fine_slopes_settle_starts_before_an_encounter() -> None:
    """With slopes in a quarter of the steps they move on and on."""
    model, problem = true_model(), replace(charges(), substeps=8)
    met = problem.windows.chosen(torch.tensor([13]))
    still_falls = []
    for fine in (True, False):
        problem, before = replace(problem, windows=met, fine_slopes=fine), 0.0
        for _ in range(3):
            problem = problem.settled(model)
            misfit = problem.misfit()
            assert misfit is not None
            fall, before = before - float(misfit), float(misfit)
        still_falls.append(fall)
    assert abs(still_falls[0]) < 1e-3
    assert still_falls[1] > 0.3


def some(count: int) -> Problem:
    problem = charges(bodies=2)
    return replace(problem, windows=problem.windows.chosen(torch.arange(count)))


def test_too_few_systems_are_left_to_the_usual_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert last_steps(form(), true_model(2), TRUTH, some(8)) is not None
    assert last_steps(form(), true_model(2), TRUTH, some(7)) is None
    monkeypatch.setattr("gnsim.symbolic.last_steps._UNSETTLED", -1.0)  # nor if none is settled
    assert last_steps(form(), true_model(2), TRUTH, some(8)) is None
    fit = adjust_to_the_step(form(), NONE, some(8), TRUTH[1:])
    assert fit.noise is None
    assert bool(fit.parameters.isfinite().all())


def test_steps_that_come_to_no_end_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnsim.symbolic.last_steps._ROUNDS", 1)
    assert last_steps(form(), true_model(2), BESIDE, charges(bodies=2)) is None
    monkeypatch.setattr("gnsim.symbolic.last_steps._ROUNDS", 6)
    assert isinstance(last_steps(form(), true_model(2), BESIDE, charges(bodies=2)), LastSteps)


def test_the_last_step_is_one_that_finer_steps_would_not_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None is, where halving the time steps moves constants by more than is allowed."""
    monkeypatch.setattr("gnsim.symbolic.last_steps._OF_THE_TIME_STEP", -1.0)
    assert last_steps(form(), true_model(2), TRUTH, some(8)) is None


def linear(units: int = 40) -> Normal:
    generator = torch.Generator().manual_seed(0)
    slopes = torch.randn(units, 1, 6, 3, generator=generator, dtype=torch.float64)
    slopes[..., 2] = 0.0  # nothing depends on the third
    errors = 3.0 * torch.randn(units, 1, 6, generator=generator, dtype=torch.float64)
    return Normal(errors, slopes, torch.zeros(3, 0, dtype=torch.float64), 1e8)


def test_what_noise_scatters_is_the_inverse_of_the_information() -> None:
    normal = linear()
    root = normal.scatter(200.0)
    flat = normal.slopes.reshape(-1, 3)[:, :2]
    variance = normal.errors.square().sum() / (200 - 2)  # two are taken by the parameters
    covariance = root @ root.T
    torch.testing.assert_close(covariance[:2, :2], variance * torch.linalg.inv(flat.T @ flat))
    assert float(covariance[2].abs().max()) == 0


def test_without_directions_all_errors_weigh_the_same() -> None:
    normal = linear()
    flat, errors = normal.slopes.reshape(-1, 3)[:, :2], normal.errors.flatten()
    expected = torch.linalg.lstsq(flat, errors[:, None]).solution[:, 0]
    torch.testing.assert_close(normal.step(0.0)[:2], expected)
    weighed = Normal(normal.errors, normal.slopes, torch.eye(3, dtype=torch.float64), 1.0)
    assert float((weighed.step(0.0)[:2] - expected).abs().max()) > 1e-3


def test_errors_are_no_smaller_than_noise_makes_them() -> None:
    """Leaving out one group of few tells nothing where one holds all that is known."""
    values = torch.tensor([1.0, 2.0], dtype=torch.float64)
    agreeing = (values.expand(8, 2).clone(),)
    root = torch.tensor([[0.3, 0.0], [0.1, 0.2]], dtype=torch.float64)
    assert float(Minimum(values, agreeing).estimate(lambda p: p)[1].max()) == 0
    noise = Minimum(values, agreeing, noise=root)
    expected = (root @ root.T).diagonal().sqrt()
    torch.testing.assert_close(noise.estimate(lambda p: p)[1], expected)
    product = float(noise.estimate(lambda p: p.prod()[None])[1])
    slope = torch.tensor([2.0, 1.0], dtype=torch.float64)
    assert product == pytest.approx(float((slope @ root).norm()))
    scattered = (values + torch.tensor([[1.0], [-1.0]]).double().repeat(4, 2),)
    jackknife = [Minimum(values, scattered, noise=n).estimate(lambda p: p)[1] for n in (None, root)]
    torch.testing.assert_close(*jackknife)
