"""Pairs, displacements and distances."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnsim.graph import all_pairs, directions, displacement, distance, unwrapped


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_all_pairs_of_ragged_batches(counts: list[int]) -> None:
    batch = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    systems = batch.tolist()
    expected = {
        (j, i)
        for i in range(len(systems))
        for j in range(i + 1, len(systems))
        if systems[i] == systems[j]
    }
    pairs = [(int(j), int(i)) for j, i in all_pairs(batch).T]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


def test_displacement_points_from_target_to_source() -> None:
    q = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert displacement(q, torch.tensor([[1], [0]])).tolist() == [[3.0, 4.0]]


def test_displacement_in_a_box_is_to_the_nearest_image() -> None:
    q, box = torch.tensor([[0.5, 1.0], [9.5, 2.0]]), torch.tensor([10.0, 10.0])
    assert displacement(q, torch.tensor([[1], [0]]), box).tolist() == [[-1.0, 1.0]]


def test_distance_at_zero_has_finite_derivatives() -> None:
    d = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(distance(d).sum(), d, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), d)
    assert torch.isfinite(first).all()
    assert torch.isfinite(second).all()


def test_norm_has_not() -> None:
    d = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(torch.linalg.norm(d, dim=-1).sum(), d, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), d)
    assert not torch.isfinite(second).all()


def test_distance_away_from_zero_passes_gradgradcheck() -> None:
    d = torch.tensor([[1.0, -0.5], [0.2, 0.3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(distance, d)
    assert torch.autograd.gradgradcheck(distance, d)


def test_unwrapped_positions_are_those_before_they_were_wrapped() -> None:
    torch.manual_seed(0)
    steps = 0.9 * (torch.rand(40, 7, 2, dtype=torch.float64) - 0.5)
    box = torch.tensor([1.0, 2.0], dtype=torch.float64)
    free = torch.rand(7, 2, dtype=torch.float64) + (steps * box).cumsum(0)
    wrapped = free.remainder(box)
    moved = unwrapped(wrapped, box)
    assert torch.allclose(moved - moved[0], free - free[0], atol=1e-12)
    assert torch.equal(unwrapped(moved, box), moved)
    assert unwrapped(wrapped, None) is wrapped
    assert not torch.allclose(wrapped - wrapped[0], free - free[0], atol=1e-1)


@pytest.mark.parametrize("apart", [0.0, 1e-21, 1e-12, 1e-3, 1.0])
def test_directions_of_what_is_near_have_finite_derivatives(apart: float) -> None:
    d = torch.tensor([[0.6, 0.8]], dtype=torch.float32).mul(apart).requires_grad_()
    found = directions(d)
    (slope,) = torch.autograd.grad(found.sum(), d)
    found = found.detach()
    assert bool(slope.isfinite().all())
    assert float(found.norm()) == pytest.approx(min(1.0, apart / 1e-6), rel=1e-5)
