"""The projected loss: its floor, the couplings it finds, its gradient, and what outliers do."""

from dataclasses import replace
from functools import cache

import pytest
import torch

import gnsim.response as response_module
import gnsim.training.loss as loss_module
from gnsim.datasets.systems import simulate
from gnsim.integrators import KahanLi6, Leapfrog
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.pairwise import Attributes, PairPotential
from gnsim.models.radial import RadialNetwork
from gnsim.state import Trajectory
from gnsim.training.loss import ProjectedLoss
from gnsim.windows import Windows, WindowSampler

WRONG = 0.5
FOUND = 1e-5
ROUNDS = 6


class Power(PairPotential):
    """``r^n``, shifted by a length."""

    def __init__(self, power: float, shift: float = 0.0, rest: float = 0.0) -> None:
        super().__init__()
        self.power, self.shift, self.rest = power, shift, rest

    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return (r + self.shift) ** self.power - self.rest


@cache
def _motion(name: str, settings: tuple) -> tuple[Trajectory, torch.Tensor]:
    """A motion of three bodies without its masses, and these."""
    whole = simulate(name, trajectories=1, bodies=3, dim=2, **dict(settings))
    return replace(whole, attributes={}, p=whole.velocity), whole.mass


GRAVITY = (
    "r2",
    {"softening": 0.5, "frames": 81, "interval": 0.05},
    lambda: Power(-2, 0.5),
    "source",
)
SPRINGS = ("spring", {"frames": 81, "interval": 0.05}, lambda: Power(1, rest=1.0), "response")
cases = pytest.mark.parametrize("case", [GRAVITY, SPRINGS], ids=["gravity", "springs"])


def setting(case: tuple) -> tuple[Windows, torch.Tensor, CoupledPairs]:
    """Windows, the true couplings, and the model that holds them."""
    name, settings, pair, coupling = case
    bare, mass = _motion(name, tuple(settings.items()))
    truth = mass if coupling == "source" else 2.0 / mass  # the stiffness of a spring is 2
    model = CoupledPairs(pair(), Structure(coupling), 3).double()
    model.x = truth.clone()
    return WindowSampler(bare, 4).spread(20), truth, model


def value(loss: ProjectedLoss, windows: Windows) -> float:
    with torch.no_grad():
        return float(loss(windows).exp())


@cases
def test_the_truth_is_at_the_floor_of_the_integrator(case: tuple) -> None:
    windows, _, model = setting(case)
    coarse, fine = (value(ProjectedLoss(model, Leapfrog(), n), windows) for n in (1, 2))
    # a squared error of second order falls by 16 when the steps are halved
    assert coarse / fine == pytest.approx(16, rel=0.3)
    assert value(ProjectedLoss(model, KahanLi6(), 2), windows) < 1e-14


@cases
def test_wrong_couplings_are_corrected_in_a_few_rounds(case: tuple) -> None:
    windows, truth, model = setting(case)
    loss = ProjectedLoss(model, KahanLi6(), 1)
    model.x = truth * (1 + WRONG * torch.tensor([1.0, -1.0, 0.7], dtype=torch.float64))
    off = []
    for _ in range(ROUNDS):
        value(loss, windows)
        loss.accept_correction()
        off.append(float((model.x / truth - 1).abs().max()))
    assert off[-1] < FOUND
    assert off[0] < 0.2 * WRONG


@cases
def test_a_wrong_force_leaves_the_floor(case: tuple) -> None:
    windows, _, model = setting(case)
    model.pair.power = model.pair.power + 0.5
    loss = ProjectedLoss(model, KahanLi6(), 1)
    for _ in range(ROUNDS):
        value(loss, windows)
        loss.accept_correction()
    assert value(loss, windows) > 1e-5


def test_estimated_velocities_take_no_part() -> None:
    windows, _, model = setting(GRAVITY)
    p = windows.path.p.clone()
    p[1:] += 100.0
    path = replace(windows.path, p=p, velocity_given=False)
    errors, _ = ProjectedLoss(model, KahanLi6(), 1).errors(replace(windows, path=path))
    assert errors.shape[0] == 1
    assert errors.abs().max() < 1e-4  # 1 without this


def network() -> CoupledPairs:
    pair = RadialNetwork((), 4, torch.Generator().manual_seed(1)).double()
    model = CoupledPairs(pair, Structure("source"), 3).double()
    model.x = torch.ones(3, dtype=torch.float64)
    return model


def slope_defect(windows: Windows, monkeypatch: pytest.MonkeyPatch, rounds: int) -> float:
    """Of the gradient of the loss against difference quotients, the projection taken along."""
    model = network()
    loss = ProjectedLoss(model, KahanLi6(), 1)
    for _ in range(rounds):
        value(loss, windows)
        loss.accept_correction()
    with torch.no_grad():
        errors, _ = loss.errors(windows)
        width = response_module._cauchy_width(errors)
    # the width and the weights are held in the gradient, as in reweighted least squares
    monkeypatch.setattr(response_module, "_cauchy_width", lambda errors: width)
    loss(windows).backward()
    parameters = (model.pair.linear.weight, model.pair.body[0].weight, model.pair.body[4].weight)
    return max(_defect(loss, windows, parameter) for parameter in parameters)


def _defect(loss: ProjectedLoss, windows: Windows, parameter: torch.Tensor) -> float:
    step, values = 1e-5, []
    for sign in (1, -1):
        parameter.data.view(-1)[0] += sign * step
        with torch.no_grad():
            values.append(float(loss(windows)))
        parameter.data.view(-1)[0] -= sign * step
    quotient = (values[0] - values[1]) / (2 * step)
    return abs(float(parameter.grad.view(-1)[0]) / quotient - 1)


def test_gradient_agrees_with_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    windows, _, _ = setting(GRAVITY)
    assert slope_defect(windows, monkeypatch, rounds=30) < 1e-4


def test_a_gradient_without_the_projection_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken on purpose: couplings far from solved, and no correction of them in the loss."""
    windows, _, _ = setting(GRAVITY)
    solved = loss_module.least_squares
    monkeypatch.setattr(
        loss_module, "least_squares", lambda *parts: solved(*(p.detach() for p in parts))
    )
    assert slope_defect(windows, monkeypatch, rounds=0) > 1e-2


def spoilt(windows: Windows) -> Windows:
    """One window ends somewhere else altogether."""
    q = windows.path.q.clone()
    q[-1, 3:6] += torch.tensor([[30.0, 0.0], [0.0, -50.0], [10.0, 10.0]], dtype=torch.float64)
    return replace(windows, path=replace(windows.path, q=q))


def shift_by_outlier() -> float:
    """How far one wild window moves the couplings, relative to their size."""
    windows, truth, model = setting(GRAVITY)
    # noise of a thousandth, so that the median error is not the integrator's
    noise = torch.randn(windows.path.q.shape, generator=torch.Generator().manual_seed(0)).double()
    noisy = replace(windows, path=replace(windows.path, q=windows.path.q + 1e-5 * noise))
    found = []
    for data in (noisy, spoilt(noisy)):
        model.x = truth.clone()
        loss = ProjectedLoss(model, KahanLi6(), 1)
        for _ in range(ROUNDS):
            value(loss, data)
            loss.accept_correction()
        found.append(model.x)
    return float(((found[1] - found[0]) / truth).abs().max())


def test_an_outlier_hardly_moves_the_couplings() -> None:
    assert shift_by_outlier() < 0.01


def test_least_squares_alone_would_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "cauchy_weight", torch.ones_like)
    assert not shift_by_outlier() < 1.0
