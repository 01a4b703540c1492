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
from gnsim.symbolic.minimise import Minimum, assign, dynamics_of
from gnsim.symbolic.parser import parse
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import adjust, adjust_to_the_step
from gnsim.symbolic.settled_windows import _moved_by_halving, _part, _settled, settle

NONE, NOISE = Structure("none"), 0.003
TRUTH = torch.tensor([0.01, -1.0], dtype=torch.float64)
TEXT = "-1.0*charge_i*charge_j/(r + 0.0101)**2"


@cache
def charges(seed: int = 3, trajectories: int = 24) -> Problem:
    """Charges of both signs, some of which pass each other closely, in one draw of the noise."""
    whole = simulate("charge", trajectories=trajectories, bodies=3, dim=2, frames=17, seed=seed)
    generator = torch.Generator().manual_seed(5)
    q, v = NOISE * torch.randn(2, *whole.p.shape, generator=generator, dtype=torch.float64)
    path = replace(whole, q=whole.q + q, p=whole.p + whole.mass[:, None] * v)
    return Problem.of(path, 16, trajectories, KahanLi6(), 1)


def form() -> Form:
    return form_of(parse(TEXT, ("r", "charge_i", "charge_j")))


def true_model() -> CoupledPairs:
    model = dynamics_of(form(), NONE, 3)
    assign(model, TRUTH)
    return model


def off(fit: Minimum) -> float:
    """How many of its standard errors a constant is off at most."""
    values, errors = fit.estimate(lambda p: p)
    return float(((values - TRUTH) / errors).abs().max())


@pytest.mark.as_users_run_it
def test_errors_of_constants_hold_where_bodies_meet() -> None:
    start = TRUTH[1:]
    assert off(adjust(form(), NONE, charges(), start)) > 4  # the fit that came before
    assert off(adjust_to_the_step(form(), NONE, charges(), start)) < 2.5


@pytest.mark.as_users_run_it
def test_steps_are_halved_where_bodies_meet_and_there_alone() -> None:
    problem, model = replace(charges(seed=5), exact_starts=True), true_model()
    none = torch.zeros_like(problem.windows.start)
    settled, halvings, enough = _settled(model, TRUTH, problem, none, 2)
    q = problem.windows.path.q.view(17, 24, 3, 2)
    closest = (q[:, :, [0, 0, 1]] - q[:, :, [1, 2, 2]]).norm(dim=-1).amin((0, 2))
    assert float(closest[halvings > 0].median()) < 0.5 * float(closest[halvings == 0].median())
    moved = torch.zeros(24, dtype=torch.float64)
    for level in halvings.unique().tolist():
        chosen = (halvings == level).nonzero().squeeze(1)
        moved[chosen] = _moved_by_halving(model, TRUTH, _part(settled, chosen, level))
    assert float(moved[enough].max()) < 0.05
    assert bool((halvings > 0)[enough].any())
    # one step for all is not enough for them
    assert float(_moved_by_halving(model, TRUTH, settled)[enough].max()) > 5


@pytest.mark.as_users_run_it
def test_exact_slopes_settle_starts_before_an_encounter() -> None:
    """With slopes of a quarter of the steps they move on and on."""
    model, problem = true_model(), replace(charges(), substeps=8)
    met = problem.windows.chosen(torch.tensor([3, 13]))
    still_falls = []
    for exact in (True, False):
        problem, before = replace(problem, windows=met, exact_starts=exact), torch.zeros(2)
        for _ in range(8):
            problem = problem.settled(model)
            misfit = problem.misfit()
            assert misfit is not None
            fall, before = before - misfit, misfit
        still_falls.append(fall)
    assert float(still_falls[0].abs().max()) < 1e-3
    assert float(still_falls[1].min()) > 0.3


@pytest.mark.as_users_run_it
def test_too_few_systems_are_left_to_the_usual_fit() -> None:
    problem = charges(trajectories=7)
    assert settle(form(), true_model(), TRUTH, problem) is None


def linear(units: int = 40) -> Normal:
    generator = torch.Generator().manual_seed(0)
    slopes = torch.randn(units, 1, 6, 3, generator=generator, dtype=torch.float64)
    slopes[..., 2] = 0.0  # nothing depends on the third
    errors = torch.randn(units, 1, 6, generator=generator, dtype=torch.float64)
    return Normal(errors, slopes, torch.eye(3, dtype=torch.float64), 1e6)


def test_what_noise_scatters_is_the_inverse_of_the_information() -> None:
    normal = linear()
    every = normal.only(torch.ones(40, 1, dtype=torch.bool))
    root = every.scatter(torch.tensor(4.0, dtype=torch.float64))
    flat = normal.slopes.reshape(-1, 3)[:, :2]
    expected = 4 * torch.linalg.inv(flat.T @ flat)
    covariance = root @ root.T
    torch.testing.assert_close(covariance[:2, :2], expected)
    assert float(covariance[2].abs().max()) == 0


def test_units_that_are_left_out_have_no_say() -> None:
    normal, kept = linear(), torch.arange(40)[:, None] < 30
    damaged = linear()
    damaged.slopes[30:] = 1e9
    steps = [one.only(kept).step(0.0) for one in (normal, damaged)]
    torch.testing.assert_close(*steps, rtol=0, atol=0)
    flat, errors = normal.slopes[:30].reshape(-1, 3)[:, :2], normal.errors[:30].flatten()
    expected = torch.linalg.lstsq(flat, errors[:, None]).solution[:, 0]
    torch.testing.assert_close(steps[0][:2], expected)


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
