"""Elastic discs: energy, walls and overlaps; and settings that no box can hold."""

import numpy as np
import pytest
import torch

from gnsim.datasets import load
from gnsim.datasets.sources.balls import RADII, BallsSettings, placed, simulated

#: relative, of kinetic energy
ENERGY = 1e-12
#: of radii: what discs approach in a step of the engine is .005
OVERLAP = 0.005


@pytest.fixture(scope="module", params=[3, 9])
def path(request):
    pytest.importorskip("pymunk", reason="pymunk is not installed")
    return simulated(BallsSettings(trajectories=3, bodies=request.param))


def of_systems(path, values):
    return values.unflatten(1, (path.num_systems, -1))


def kinetic(path, mass):
    return of_systems(path, 0.5 * path.velocity.square().sum(-1) * mass).sum(-1)


def test_collisions_keep_the_energy_of_discs_of_these_masses(path):
    energy = kinetic(path, path.mass)
    assert (energy / energy[0] - 1).abs().max() < ENERGY
    others = kinetic(path, torch.ones_like(path.mass))
    assert (others / others[0] - 1).abs().max() > 0.01


def test_discs_stay_in_the_box_and_out_of_each_other(path):
    radius = path.attributes["radius"]
    low, high = path.walls
    sides = torch.minimum(path.q - low, high - path.q).amin(-1) - radius
    assert sides.min() > -OVERLAP
    q, r = of_systems(path, path.q), radius.view(path.num_systems, -1)
    pairs = torch.triu_indices(q.shape[2], q.shape[2], 1)
    gaps = (q[:, :, pairs[0]] - q[:, :, pairs[1]]).norm(dim=-1) - r[:, pairs].sum(1)
    assert gaps.min() > -OVERLAP
    free = path.q[0] + path.t[:, None, None] * path.velocity[0]  # without walls and others
    assert torch.minimum(free - low, high - free).min() < -1


def test_discs_move_straight_between_collisions_a_fifth_of_a_radius_a_frame(path):
    steps = path.q.diff(dim=0)
    free = path.velocity.diff(dim=0).abs().amax(-1) == 0
    assert 0.7 < free.double().mean() < 0.99
    off = steps - path.interval * path.velocity[:-1]
    assert off[free].abs().max() < OVERLAP
    assert off[~free].abs().max() > 0.1
    assert 0.15 < (steps.norm(dim=-1) / path.attributes["radius"]).mean() < 0.25


def test_same_seed_same_bits_and_more_systems_extend(path):
    n = path.num_nodes // 3
    again, other = (simulated(BallsSettings(trajectories=1, bodies=n, seed=s)) for s in (0, 1))
    assert torch.equal(again.q, path.q[:, :n]) and torch.equal(again.p, path.p[:, :n])
    assert not torch.equal(other.q, again.q)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"bodies": 13}, "side: wanted a box of at least 10.1 for 13 discs of radius 1, found 10"),
        ({"bodies": 1}, "bodies: wanted a whole number of at least 2"),
        ({"interval": 0.0}, "interval: wanted a finite number above zero"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        load("balls", **settings)
    assert RADII[1] == 1 and BallsSettings(bodies=12).side == 10


@pytest.mark.parametrize(("bodies", "side"), [(2, 3.97), (5, 6.27), (12, 9.71)])
def test_the_largest_discs_are_apart_in_the_smallest_boxes(bodies, side):
    BallsSettings(bodies=bodies, side=side)
    radius = np.full(bodies, RADII[1])
    for seed in range(40):
        q = placed(radius, side, np.random.default_rng(seed))
        gaps = np.linalg.norm(q[:, None] - q, axis=2) - 2 * RADII[1]
        assert gaps[~np.eye(bodies, dtype=bool)].min() > 0
        assert q.min() >= RADII[1] and q.max() <= side - RADII[1]


def test_discs_without_room_are_told():
    with pytest.raises(ValueError, match=r"side: wanted a box with room for 2 discs.*side larger"):
        placed(np.ones(2), 3.0, np.random.default_rng(0))
