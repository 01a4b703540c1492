"""The Sinkhorn divergence against assignments, a plain solution of it, and what must not matter."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from gnsim import sinkhorn
from gnsim.graph import nearest_image
from gnsim.sinkhorn import sinkhorn_divergence


def cloud(points: int, dim: int = 2) -> torch.Tensor:
    return torch.rand(points, dim, dtype=torch.float64)


def best_assignment(x: torch.Tensor, y: torch.Tensor, box: torch.Tensor | None = None) -> float:
    """The mean squared distance between the best partners."""
    costs = nearest_image(x[:, None] - y, box).square().sum(-1).numpy()
    return float(costs[linear_sum_assignment(costs)].mean())


def by_logarithms(x: torch.Tensor, y: torch.Tensor, epsilon: float) -> float:
    """The transport cost by plain turns with logarithms, until nothing changes."""
    costs = (x[:, None] - y).square().sum(-1).numpy() / epsilon
    g = 0 * costs[0]
    for _ in range(500):
        f = math.log(len(y)) - logsumexp(g - costs, axis=1)
        g = math.log(len(x)) - logsumexp(f[:, None] - costs, axis=0)
    return epsilon * float(f.mean() + g.mean())


@pytest.mark.parametrize("box", [None, torch.tensor([1.0, 1.5], dtype=torch.float64)])
def test_it_tends_to_the_best_assignment(box) -> None:
    x, y = cloud(30), cloud(30)
    best = best_assignment(x, y, box)
    errors = [abs(sinkhorn_divergence(x, y, box, e) / best - 1) for e in (0.2, 0.01)]
    assert errors[1] < 0.05
    assert errors[1] < 0.3 * errors[0]
    if box is not None:
        assert abs(best_assignment(x, y) / best - 1) > 0.1


def test_it_is_what_plain_turns_converge_to() -> None:
    x, y = cloud(60, 3), 0.3 + cloud(50, 3)
    epsilon = 0.05 * float((x[:, None] - y).square().sum(-1).mean())
    own = by_logarithms(x, x, epsilon) + by_logarithms(y, y, epsilon)
    expected = by_logarithms(x, y, epsilon) - own / 2
    assert sinkhorn_divergence(x, y) == pytest.approx(expected, rel=1e-6)


def test_it_sees_clouds_and_not_who_is_who() -> None:
    x = cloud(200)
    other = x[torch.randperm(200)]
    assert (x - other).square().mean() > 0.1
    assert abs(sinkhorn_divergence(x, other)) < 1e-12
    moved = sinkhorn_divergence(x, other + torch.tensor([0.3, 0.4]))
    assert moved == pytest.approx(0.25, rel=1e-6)  # of a shift it is the square of its length


def test_points_that_are_lost_or_far_away_have_a_value() -> None:
    x = cloud(40)
    far = x.clone()
    far[0], far[1] = 1e6, -1e3
    # two points go as far as they are, and all others hardly move
    assert sinkhorn_divergence(x, far) == pytest.approx(best_assignment(x, far), rel=0.01)
    assert math.isnan(sinkhorn_divergence(x, torch.full_like(x, torch.nan)))
    assert math.isnan(sinkhorn_divergence(x, x[:0]))
    assert sinkhorn_divergence(x[:1], x[:1]) == 0


def test_blocks_change_nothing_and_too_little_regularisation_is_told(monkeypatch) -> None:
    x, y = cloud(40), cloud(40)
    whole = sinkhorn_divergence(x, y)
    monkeypatch.setattr(sinkhorn, "_BLOCK", 100)
    assert sinkhorn_divergence(x, y) == pytest.approx(whole, rel=1e-12)
    monkeypatch.setattr(sinkhorn, "_ROUNDS", 2)
    assert math.isnan(sinkhorn_divergence(x, y, regularisation=1e-5))


def of_two_points(x: torch.Tensor, y: torch.Tensor, epsilon: float) -> float:
    """The transport cost in closed form: plans between two and two have one free number."""
    costs = (x[:, None] - y).square().sum(-1)
    odds = (costs[0, 1] + costs[1, 0] - costs[0, 0] - costs[1, 1]) / (2 * epsilon)
    stay, cross = odds.sigmoid() / 2, (-odds).sigmoid() / 2
    plan = torch.stack([stay, cross, cross, stay])
    entropy = torch.xlogy(plan, 4 * plan).sum()
    return float((plan * costs.flatten()).sum() + epsilon * entropy)


def test_two_points_settle_at_the_exact_value() -> None:
    for seed in range(5):  # of some, weights settle as one over the turns
        x, y = torch.rand(2, 2, 2, generator=torch.Generator().manual_seed(seed)).double()
        scale = float((x[:, None] - y).square().sum(-1).mean())
        own = of_two_points(x, x, 0.05 * scale) + of_two_points(y, y, 0.05 * scale)
        exact = of_two_points(x, y, 0.05 * scale) - own / 2
        assert abs(sinkhorn_divergence(x, y) - exact) < 1e-5 * scale


@pytest.mark.parametrize("points", [3, 4, 5])
def test_few_points_have_a_value(points) -> None:
    for seed in range(2):
        x, y = torch.rand(2, points, 2, generator=torch.Generator().manual_seed(seed))
        assert 0 < sinkhorn_divergence(x, y) < float((x[:, None] - y).square().sum(-1).mean())


def test_squared_distances_that_overflow_are_infinite() -> None:
    x = cloud(5)
    assert sinkhorn_divergence(x, 1e200 * x) == math.inf
    assert math.isnan(sinkhorn_divergence(x, math.inf * x))
