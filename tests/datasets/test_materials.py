"""Water and sand: where they start; how they fall, spread, and come to rest or do not."""

import numpy as np
import pytest

from gnsim.datasets import load
from gnsim.datasets.sources.materials import (
    SPACING,
    SandSettings,
    WaterSettings,
    column,
    drop,
    sand_column,
    water_drop,
)

START = np.random.default_rng


def nearest(q):
    apart = np.linalg.norm(q[:, None] - q, axis=2)
    return np.sort(apart, axis=1)[:, 1:]


@pytest.mark.parametrize("draw", [drop, column])
@pytest.mark.parametrize("particles", [100, 1000])
def test_spacing_and_neighbours_do_not_depend_on_the_number(draw, particles):
    settings = WaterSettings(particles=particles)
    for seed in range(5):
        q, v = draw(settings, START(seed))
        assert q.shape == v.shape == (particles, 2)
        assert q.min() > 0 and q.max() < settings.side
        apart = nearest(q)
        assert apart[:, 0].min() > 0.8 * SPACING and apart[:, 0].max() < 1.2 * SPACING
        assert 8 < (apart < 2 * SPACING).sum(1).mean() < 11


def test_the_box_grows_with_the_number_of_particles():
    assert WaterSettings().side == 1
    assert SandSettings(particles=4000).side == pytest.approx(10**0.5, abs=SPACING)


def test_starts_differ_in_place_shape_and_speed():
    q, v = zip(*(drop(WaterSettings(), START(seed)) for seed in range(40)), strict=True)
    places, sizes = (np.array([f(x, 0) for x in q]) for f in (np.mean, np.ptp))
    assert (np.ptp(places, axis=0) > 0.4).all()
    assert np.ptp(np.log(sizes[:, 0] / sizes[:, 1])) > 0.5
    assert (np.ptp([x[0] for x in v], axis=0) > 1).all() and not np.ptp(v[0], axis=0).any()
    q, v = zip(*(column(SandSettings(), START(seed)) for seed in range(40)), strict=True)
    slender = [np.ptp(x[:, 1]) / np.ptp(x[:, 0]) for x in q]
    assert 0.9 < min(slender) < 1.5 and 2.5 < max(slender) < 3.3
    assert max(x[:, 1].min() for x in q) < SPACING and not np.any(v)


def test_too_few_particles_are_refused():
    with pytest.raises(ValueError, match="particles: wanted a whole number of at least 100"):
        load("water-drop", particles=99)


@pytest.fixture(scope="module")
def taichi():
    return pytest.importorskip("taichi", reason="taichi is not installed")


@pytest.fixture(scope="module")
def water(taichi):
    """Four seconds: impact, splash, and nearly rest."""
    return water_drop(WaterSettings(trajectories=2, particles=100, frames=401, interval=0.01))


@pytest.fixture(scope="module")
def sand(taichi):
    return sand_column(SandSettings(trajectories=2, particles=100, frames=201, interval=0.01))


def test_before_it_touches_anything_water_falls_with_gravity(water):
    q, v = (x[:8, :100].mean(1) for x in (water.q, water.p))
    fallen = v[0] * water.t[:8, None]
    fallen[:, 1] -= 0.5 * 9.8 * water.t[:8] ** 2
    # each of the steps of 2e-4 takes the velocity at its end
    assert (q - q[0] - fallen).abs().max() < 1e-4
    assert (q - q[0] - fallen * 1.05).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["water", "sand"])
def test_particles_stay_inside(name, request):
    path = request.getfixturevalue(name)
    low, high = path.walls
    assert (path.q > low - 0.1 * SPACING).all() and (path.q < high + 0.1 * SPACING).all()
    assert set(path.attributes["particle_type"].tolist()) == {5.0 if name == "water" else 6.0}
    assert (path.q[0] + path.t[-1] * path.p[5] < low).any()


def surface(path, system, columns=5):
    """The height of the highest particle in each of so many columns of the box."""
    q = path.q[-1, path.batch == system].numpy()
    place = np.minimum((columns * q[:, 0] / float(path.walls[1, 0])).astype(int), columns - 1)
    return np.array([q[place == k, 1].max(initial=0) for k in range(columns)])


def test_water_ends_level_with_its_volume_and_sand_in_a_heap(water, sand):
    """100 particles make a layer of five spacings in their box."""
    layer = 100 * SPACING**2 / float(water.walls[1, 0])
    for system in range(2):
        level, heap = surface(water, system), surface(sand, system)
        assert np.ptp(level) < 2.5 * SPACING < 4 * SPACING < np.ptp(heap)
        assert 0.8 < level.mean() / layer < 1.4


def test_after_two_seconds_sand_rests_and_water_does_not(water, sand):
    assert sand.p.norm(dim=-1).max() > 0.5
    assert sand.p[-1].norm(dim=-1).max() < 0.01
    assert (sand.q[-1] - sand.q[-20]).abs().max() < 0.2 * SPACING
    assert water.p[len(sand) - 1].norm(dim=-1).max() > 0.1


def test_same_seed_same_bits_and_more_systems_extend(taichi):
    settings = {"particles": 100, "frames": 3}
    two = water_drop(WaterSettings(trajectories=2, **settings))
    one = water_drop(WaterSettings(trajectories=1, **settings))
    other = water_drop(WaterSettings(trajectories=1, **settings, seed=1))
    assert (one.q == two.q[:, :100]).all() and (one.p == two.p[:, :100]).all()
    assert (one.q != other.q).any()
