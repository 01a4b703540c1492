"""Measures of many particles where the answer is known: gases, lattices, flight and diffusion."""

import math
from dataclasses import replace

import pytest
import torch

from gnsim.invariants import kinetic_energy
from gnsim.particle_metrics import (
    beyond_walls,
    kinetic_energy_mse,
    kinetic_energy_of_positions,
    mean_square_displacement,
    position_mse,
    radial_distribution,
    sinkhorn_distance,
)
from gnsim.state import Trajectory


def path(q: torch.Tensor, counts: list[int] | None = None, side: float | None = None) -> Trajectory:
    """Positions [time, nodes, dim] at steps of 0.1."""
    systems = torch.tensor(counts or [q.shape[1]])
    return Trajectory(
        t=0.1 * torch.arange(len(q), dtype=torch.float64),
        q=q,
        p=torch.zeros_like(q),
        batch=torch.arange(len(systems)).repeat_interleave(systems),
        box=None if side is None else torch.full((q.shape[2],), side, dtype=torch.float64),
    )


def uniform(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def flight(dim: int = 2, side: float | None = None) -> tuple[Trajectory, torch.Tensor]:
    """Five free bodies, and their velocities."""
    v = torch.randn(5, dim, dtype=torch.float64)
    t = 0.1 * torch.arange(30, dtype=torch.float64)[:, None, None]
    q = uniform(5, dim) + v * t
    return path(q if side is None else q.remainder(side), side=side), v


def held(trajectory: Trajectory, *nodes: int) -> Trajectory:
    fixed = torch.zeros(trajectory.num_nodes, dtype=torch.float64)
    fixed[list(nodes)] = 1.0
    return replace(trajectory, attributes={**trajectory.attributes, "fixed": fixed})


def test_mse_is_of_each_system_to_the_nearest_image_of_bodies_that_move() -> None:
    true = path(uniform(4, 5, 2), [2, 3], side=1.0)
    shift = torch.tensor([0.1, 0.1, 0.2, 0.2, 0.2], dtype=torch.float64)[:, None]
    predicted = replace(true, q=true.q + shift + 1.0)
    expected = torch.tensor([0.01, 0.04], dtype=torch.float64).expand(4, 2)
    assert torch.allclose(position_mse(predicted, true), expected)
    assert not torch.allclose(position_mse(predicted, replace(true, box=None)), expected)
    wall = predicted.q.clone()
    wall[:, 4] += 0.4
    predicted = replace(predicted, q=wall)
    assert torch.allclose(position_mse(predicted, held(true, 4)), expected)
    assert not torch.allclose(position_mse(predicted, true), expected)
    assert position_mse(true, held(true, 0, 1))[0].isnan().tolist() == [True, False]
    with pytest.raises(ValueError, match="one shape"):
        position_mse(true.frames(slice(2)), true)


def test_sinkhorn_distance_is_of_each_system_without_walls() -> None:
    true = path(uniform(1, 60, 2), [30, 30], side=1.0)
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(29), 30 + torch.randperm(30)])
    predicted = replace(true, q=true.q[:, order] + torch.tensor([0.0, 1.0]))
    predicted.q[:, 0] += 0.3
    predicted.q[:, 30:] += 0.1
    apart = sinkhorn_distance(predicted[0], held(true, 0)[0])
    assert abs(apart[0]) < 1e-9
    assert 0.001 < apart[1] < 0.03
    assert sinkhorn_distance(predicted[0], true[0])[0] > 1e-5


def test_kinetic_energy_of_free_flight_is_that_of_its_momenta() -> None:
    true, v = flight(side=1.5)
    mass = 1.0 + uniform(5)
    true = replace(true, attributes={"mass": mass}, p=(v * mass[:, None]).expand(30, 5, 2))
    energies = kinetic_energy_of_positions(true)
    assert torch.allclose(energies, kinetic_energy(true)[1:])
    assert not torch.allclose(kinetic_energy_of_positions(replace(true, box=None)), energies)
    without = kinetic_energy_of_positions(held(true, 0))
    assert torch.allclose(energies - without, 0.5 * mass[0] * v[0].square().sum())


def test_error_of_the_kinetic_energy_is_that_of_speeds() -> None:
    true, v = flight()
    slow = replace(true, q=0.5 * true.q)
    off = 0.75 * 0.5 * float(v.square().sum())
    assert kinetic_energy_mse(slow, true).tolist() == pytest.approx([off**2])
    assert kinetic_energy_mse(true, true).tolist() == [0.0]


def test_how_far_a_free_body_gets_beyond_a_wall() -> None:
    q = 0.1 + 0.8 * uniform(4, 6, 2)
    walls = torch.tensor([[0.0, 0.0], [1.0, math.inf]], dtype=torch.float64)
    true = replace(path(q, [2, 2, 2]), walls=walls)
    assert beyond_walls(true).tolist() == [0.0, 0.0, 0.0]
    q[2, 1, 0], q[1, 0, 1], q[3, 2, 1] = 1.25, -0.125, 7.0
    assert beyond_walls(true).tolist() == [0.25, 0.0, 0.0]
    assert beyond_walls(held(true, 1)).tolist() == [0.125, 0.0, 0.0]
    with pytest.raises(ValueError, match="walls: wanted"):
        beyond_walls(path(q))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_an_ideal_gas_has_no_structure(dim: int) -> None:
    gas = path(uniform(20, 150, dim), [100, 50], side=1.0)
    g = radial_distribution(gas, bins=10).g
    share = torch.linspace(0, 0.5, 11, dtype=torch.float64).pow(dim).diff()
    share *= math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    pairs = 20 * torch.tensor([[4950.0], [1225.0]]) * share
    assert bool(((g - 1).abs() < 5 / pairs.sqrt()).all())
    # squeezed to half of one side, it has
    squeezed = replace(gas, q=gas.q * torch.tensor([0.5] + [1.0] * (dim - 1)))
    assert bool((radial_distribution(squeezed, bins=10).g[:, 1] > 1.2).all())


def test_a_square_lattice_has_its_neighbours() -> None:
    side, ticks = 8, torch.arange(8, dtype=torch.float64)
    lattice = torch.cartesian_prod(ticks, ticks)
    found = radial_distribution(path(lattice[None], side=side), bins=40, radius=2.0)
    apart = {1.0: 4, math.sqrt(2): 4, 2.0: 4}
    width = 2.0 / 40
    for distance, neighbours in apart.items():
        place = min(int(distance / width), 39)
        ring = math.pi * ((place + 1) ** 2 - place**2) * width**2
        expected = neighbours / (63 / side**2 * ring)
        assert float(found.g[0, place]) == pytest.approx(expected, rel=1e-9)
    assert int((found.g > 0).sum()) == 3
    assert found.r[0] == pytest.approx(width / 2)


def test_walls_have_no_part_in_g_and_open_space_is_refused() -> None:
    gas = path(uniform(5, 60, 2), side=1.0)
    gas.q[:, 40:] = 0.001 * uniform(20, 2)
    assert radial_distribution(gas, bins=5).g[0, 0] > 3
    assert radial_distribution(held(gas, *range(40, 60)), bins=5).g[0, 0] < 1.5
    with pytest.raises(ValueError, match="wanted a periodic box"):
        radial_distribution(replace(gas, box=None))


def test_free_flight_goes_as_the_square_of_time() -> None:
    wrapped, v = flight(dim=3, side=2.0)
    expected = v.square().sum(-1).mean() * wrapped.t.square()
    assert torch.allclose(mean_square_displacement(wrapped)[:, 0], expected)
    assert not torch.allclose(
        mean_square_displacement(replace(wrapped, box=None))[:, 0], expected, rtol=0.5
    )
    alone = mean_square_displacement(held(wrapped, 1, 2, 3, 4))[:, 0]
    assert torch.allclose(alone, v[0].square().sum() * wrapped.t.square())


def test_a_random_walk_diffuses_with_its_steps() -> None:
    steps = 0.05 * torch.randn(400, 300, 2, dtype=torch.float64)
    walk = path(steps.cumsum(0).remainder(1.0), [150, 150], side=1.0)
    displacement = mean_square_displacement(walk)[:40]
    slope = (displacement / walk.t[:40, None])[1:]
    # 2 d D, where each coordinate goes 0.05 in 0.1
    assert torch.allclose(slope, torch.tensor(2 * 0.05**2 / 0.1, dtype=torch.float64), rtol=0.05)
