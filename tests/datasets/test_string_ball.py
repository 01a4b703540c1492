"""A string over a ball: its force and its energy, what is held, and what the ball does."""

from dataclasses import replace

import pytest
import torch

from gnsim.datasets import load
from gnsim.datasets.sources import string_ball
from gnsim.datasets.sources.string_ball import StringBallSettings, StringOnBall, potential_energy

#: relative, of the energy at the start
ENERGY = 1e-9
#: of the deepest that a mass goes into the ball
DEEPEST = 0.01


def simulated(frames=45, **settings):
    return string_ball.simulated(StringBallSettings(trajectories=2, frames=frames, **settings))


@pytest.fixture(scope="module")
def path():
    """As long as it takes to fall on the ball."""
    return simulated(bodies=5, interval=0.01)


def test_the_force_is_minus_the_gradient_of_the_energy(path):
    law = StringOnBall()
    pressed = next(state for state in path if law.gaps(state).min() < 0)
    for state in (path[0], pressed):
        q = state.q.clone().requires_grad_()
        (slope,) = torch.autograd.grad(law.potential(state.moved(q, state.p)).sum(), q)
        free = state.attributes["fixed"] == 0
        force = law.force(state)
        torch.testing.assert_close(force[free], -slope[free])
        assert not force[~free].any() and slope[~free].any()


@pytest.mark.parametrize(("bodies", "pinned"), [(5, 0), (15, 1), (30, 2)])
def test_energy_is_kept_and_bodies_that_are_fixed_stay(bodies, pinned):
    path = simulated(12, bodies=bodies, pinned=pinned)
    kinetic = (0.5 * path.velocity.square().sum(-1) * path.mass).unflatten(1, (2, -1)).sum(-1)
    potential = potential_energy(path)
    energy = kinetic + potential
    assert (energy / energy[0] - 1).abs().max() < ENERGY
    assert (potential / potential[0] - 1).abs().max() > 1e-3
    held = path.attributes["fixed"] != 0
    assert held.view(2, -1).sum(1).tolist() == [1 + pinned] * 2
    assert (path.q == path.q[0]).all(-1)[:, held].all()
    assert (path.q != path.q[0]).any(-1)[-1, ~held].all()
    assert path.bonds.shape == (2, 2 * bodies - 1)


def test_the_ball_turns_the_string_back(path):
    gaps = torch.stack([StringOnBall().gaps(state) for state in path])
    assert -DEEPEST < gaps.min() < 0.02
    radius = path.attributes["radius"].clone()
    radius[5::6] = 0.01
    away = replace(path[0], attributes={**path.attributes, "radius": radius})
    without = string_ball.integrate(StringOnBall(), away, len(path), path.interval)
    same_ball = replace(without, attributes=path.attributes)
    inside = torch.stack([StringOnBall().gaps(state) for state in same_ball])
    assert inside.min() < -5 * DEEPEST


def test_a_free_string_falls(path):
    free = simulated(5, bodies=5, pinned=0, interval=0.02)
    string = free.attributes["fixed"] == 0
    height = free.q[:, string, 1].mean(1)
    fallen = free.velocity[0, string, 1].mean() * free.t - 0.5 * string_ball.GRAVITY * free.t**2
    torch.testing.assert_close(height - height[0], fallen)
    pinned = path.q[:, path.attributes["fixed"] == 0, 1].mean(1)
    assert (pinned - pinned[0] + 0.5 * string_ball.GRAVITY * path.t**2)[:5].abs().max() > 1e-3


def test_same_seed_same_bits_and_the_source_splits():
    settings = {"trajectories": 3, "frames": 2, "bodies": 3}
    data, again, other = (load("string-ball", **settings, seed=seed) for seed in (0, 0, 1))
    assert data.content_hash == again.content_hash != other.content_hash
    assert [part.num_systems for part in (data.train, data.valid, data.test)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"pinned": 3}, "pinned: wanted 0, 1 or 2 ends, found 3"),
        ({"bodies": 2}, "bodies: wanted a whole number of at least 3, found 2"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        load("string-ball", **settings)
