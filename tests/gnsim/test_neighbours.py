"""Pairs within a radius are those of all pairs: none is dropped, in any cloud, box and batch."""

import numpy as np
import pytest
import torch

from gnsim import neighbours
from gnsim.cell_list import candidates
from gnsim.graph import all_pairs, displacement, distance
from gnsim.neighbours import NeighbourList, radius_pairs

CLOUDS = 1000


@pytest.fixture(params=["tree", "cells"])
def way(request, monkeypatch):
    """Both ways of looking, on the same device."""
    if request.param == "cells":
        monkeypatch.setattr(neighbours, "_of_tree", candidates)
    return request.param


def cloud(number: int):
    """Positions, batch, radius and box: gases, lumps and lattices, with few and many neighbours."""
    rng = np.random.default_rng(number)
    dim = 2 + number % 2
    sizes = rng.integers(1, 60, size=rng.integers(1, 4))
    nodes, side = sizes.sum(), rng.uniform(0.5, 5.0, size=dim)
    q = rng.uniform(-1.0, 2.0, size=(nodes, dim)) * side
    if number % 5 == 1:
        q = q[0] + rng.normal(size=q.shape) * rng.choice([1e-3, 0.1, 10.0])
    if number % 5 == 2:  # at distances that are the radius itself
        q = side.min() / 8 * rng.integers(-8, 9, size=q.shape)
    dtype = torch.float32 if number % 3 == 0 else torch.float64
    box = torch.tensor(side, dtype=dtype) if number % 4 < 2 else None
    radius = side.min() * rng.choice([0.01, 0.125, 0.3, 0.5])
    batch = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    if box is not None:
        radius = min(radius, float(box.min()) / 2)
    return torch.tensor(q, dtype=dtype), batch, float(radius), box


def within(q, batch, radius, box):
    pairs = all_pairs(batch)
    return pairs[:, distance(displacement(q, pairs, box)) <= radius]


def test_the_same_as_all_pairs_in_a_thousand_clouds(way):
    found = 0
    for number in range(CLOUDS):
        q, batch, radius, box = cloud(number)
        pairs = radius_pairs(q, batch, radius, box)
        assert torch.equal(pairs, within(q, batch, radius, box)), number
        found += pairs.shape[1]
    assert found > 20 * CLOUDS


def test_without_images_or_with_few_neighbours_pairs_are_missed(way):
    """What the other tests would not tell apart, if clouds were all alike."""
    missed, cut = 0, 0
    for number in range(100):
        q, batch, radius, box = cloud(number)
        true = within(q, batch, radius, box)
        missed += not torch.equal(radius_pairs(q, batch, radius, None), true)
        cut += int(true.flatten().bincount(minlength=1).max()) > 32
    assert missed > 20
    assert cut > 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("systems", "dim", "far"), [(1, 3, 1e12), (200, 3, 1e12), (2, 4, 1e6)])
def test_bodies_far_away_join_no_systems(way, systems, dim, far, dtype):
    q = torch.rand(400, dim, dtype=dtype)
    q[7] = far
    batch = torch.arange(systems).repeat_interleave(400 // systems)
    assert torch.equal(radius_pairs(q, batch, 0.2), within(q, batch, 0.2, None))


def test_cells_offer_few_pairs_beside_the_near_ones_wherever_bodies_are():
    q = torch.rand(3000, 3, dtype=torch.float64)
    batch = torch.zeros(len(q), dtype=torch.long)
    near = radius_pairs(q, batch, 0.1).shape[1]
    for far in (1.0, 1e6, 1e12):
        q[7] = far
        offered = sum(part.shape[1] for part in candidates(q, batch, 0.1, None))
        assert near < offered < 8 * near


@pytest.mark.parametrize("side", [100.0, 10_000.0])
def test_pairs_at_the_radius_through_the_side_of_a_large_box(way, side):
    """Where the rounding of positions is more than a share of the radius."""
    random, box = torch.Generator().manual_seed(1), torch.full((2,), side)
    middle = torch.rand(500, 2, generator=random)
    away = torch.randn(500, 2, generator=random)
    away = (1 + 1e-4 * torch.randn(500, 1, generator=random)) * away / away.norm(dim=1)[:, None]
    q = torch.remainder(torch.cat([middle, middle + away]), side)
    systems = torch.zeros(1000, dtype=torch.long)
    assert torch.equal(radius_pairs(q, systems, 1.0, box), within(q, systems, 1.0, box))


def test_a_long_row_of_bodies_in_single_precision(way):
    q = torch.zeros(30_000, 2)
    q[:, 0] = torch.arange(30_000)
    assert radius_pairs(q, torch.zeros(len(q), dtype=torch.long), 1.0).shape == (2, 29_999)


def test_a_body_at_the_very_edge_of_the_box(way):
    """Just below zero, its image is rounded to the other side itself."""
    box = torch.ones(2, dtype=torch.float64)
    q = torch.tensor([[-1e-18, 0.5], [0.999, 0.5], [0.001, 0.5], [1.0, 0.5]], dtype=torch.float64)
    batch = torch.zeros(4, dtype=torch.long)
    assert torch.equal(radius_pairs(q, batch, 0.1, box), all_pairs(batch))


def test_a_list_is_right_at_every_step_and_seldom_made_anew():
    generator = torch.Generator().manual_seed(0)
    box = torch.full((2,), 5.0, dtype=torch.float64)
    batch = torch.arange(2).repeat_interleave(60)
    q = 5 * torch.rand(120, 2, dtype=torch.float64, generator=generator)
    velocity = torch.randn(120, 2, dtype=torch.float64, generator=generator)
    near = NeighbourList(0.6, skin=0.3)
    for step in range(200):
        assert torch.equal(near.pairs(q, batch, box), within(q, batch, 0.6, box)), step
        q = q + 0.005 * velocity
    assert 5 < near.searches < 60


def test_a_list_that_is_kept_too_long_is_wrong(monkeypatch):
    batch = torch.zeros(2, dtype=torch.long)
    apart = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    together = 0.1 * apart
    near = NeighbourList(0.5, skin=0.2)
    assert near.pairs(apart, batch).shape == (2, 0)
    monkeypatch.setattr(NeighbourList, "_holds", lambda *_: True)
    assert near.pairs(together, batch).shape == (2, 0)
    monkeypatch.undo()
    assert near.pairs(together, batch).shape == (2, 1)


@pytest.mark.parametrize("change", ["batch", "box", "bodies", "batch in place", "box in place"])
def test_a_list_is_made_anew_for_other_systems(change):
    q = torch.tensor([[0.1, 0.5], [0.9, 0.5], [0.2, 0.5]], dtype=torch.float64)
    batch, box = torch.zeros(3, dtype=torch.long), None
    near = NeighbourList(0.3, skin=0.1)
    assert near.pairs(q, batch, box).tolist() == [[2], [0]]
    if change == "batch":
        batch = torch.tensor([0, 1, 1])
    elif change == "batch in place":
        batch[2:] = 1
    elif change == "box":
        box = torch.ones(2, dtype=torch.float64)
    elif change == "box in place":
        box = torch.full((2,), 9.0, dtype=torch.float64)
        near.pairs(q, batch, box)
        box.fill_(1.0)
    else:
        q, batch = q[:2], batch[:2]
    assert torch.equal(near.pairs(q, batch, box), within(q, batch, 0.3, box))
    assert near.searches == (3 if change == "box in place" else 2)


def test_a_list_and_a_search_agree_to_the_last_bit():
    """The pair is further apart than radius and skin, by less than they are rounded."""
    batch, near = torch.zeros(2, dtype=torch.long), NeighbourList(0.6, skin=0.3)
    assert near.pairs(torch.tensor([[0.0], [0.90000004]]), batch).shape == (2, 0)
    together = torch.tensor([[0.15000001], [0.75000006]])
    assert torch.equal(near.pairs(together, batch), radius_pairs(together, batch, 0.6))
    assert radius_pairs(together, batch, 0.6).shape == (2, 1)


@pytest.mark.parametrize(
    ("q", "radius", "box", "words"),
    [
        ([[0.0, 0.0]], 0.0, None, "radius: wanted a length above 0"),
        ([[0.0, 0.0]], float("nan"), None, "radius: wanted a length above 0"),
        ([[0.0, 0.0]], 0.6, [1.0, 2.0], "at most half of the smallest side of the box, 0.5"),
        ([[0.0, 0.0], [0.0, float("nan")]], 0.5, None, "that of body 1 is not finite"),
        ([[0.0, 0.0]], float("inf"), None, "radius: wanted a length above 0"),
        ([[0.0, 0.0], [3e7, 0.0]], 0.5, [1.0, 2.0], "bring them into the box"),
    ],
)
def test_what_cannot_be_looked_for_is_said(q, radius, box, words):
    q, box = torch.tensor(q), None if box is None else torch.tensor(box)
    with pytest.raises(ValueError, match=words):
        radius_pairs(q, torch.zeros(len(q), dtype=torch.long), radius, box)
    with pytest.raises(ValueError, match=words):
        NeighbourList(radius, 0.0).pairs(q, torch.zeros(len(q), dtype=torch.long), box)


def test_a_skin_is_no_negative_length():
    with pytest.raises(ValueError, match="skin: wanted a length of at least 0"):
        NeighbourList(1.0, skin=-0.1)


@pytest.mark.parametrize("radius", [0.4, 0.5])
def test_a_skin_that_a_small_box_has_no_room_for_is_thinner(radius):
    generator, box = torch.Generator().manual_seed(0), torch.ones(2, dtype=torch.float64)
    q, v = torch.randn(2, 40, 2, dtype=torch.float64, generator=generator)
    batch, near = torch.zeros(40, dtype=torch.long), NeighbourList(radius, skin=0.2)
    for _ in range(40):
        assert torch.equal(near.pairs(q, batch, box), within(q, batch, radius, box))
        q = q + 0.004 * v
    assert near.searches > 5
