"""Noise is measured as what it is, and windows grow with it and not without."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from gnsim.datasets.systems import simulate
from gnsim.noise import noise, quiet_steps, window_noise
from gnsim.state import Trajectory


@cache
def path(**settings: float) -> Trajectory:
    return simulate("spring", trajectories=20, bodies=3, dim=2, frames=40, **settings)


@pytest.mark.as_users_run_it
def test_white_noise_is_measured() -> None:
    clean, noisy = path(interval=0.05), path(interval=0.05, noise=0.05)
    true = float((noisy.velocity - clean.velocity).std())
    found = noise(noisy.velocity, noisy.num_systems)
    assert found.tolist() == pytest.approx([true] * 3, rel=0.1)
    assert float(noise(clean.velocity, clean.num_systems).max()) < 0.02 * true


@pytest.mark.as_users_run_it
def test_forces_that_break_are_no_noise() -> None:
    broken = simulate("discontinuous", trajectories=20, bodies=4, dim=3, frames=60)
    assert float(noise(broken.q, 20).max()) == 0 == float(noise(broken.velocity, 20).max())
    assert quiet_steps(broken) == 1
    noisy = simulate("discontinuous", trajectories=20, bodies=4, dim=3, frames=60, noise=0.01)
    assert float(noise(noisy.q, 20).min()) > 0


@pytest.mark.as_users_run_it
def test_window_noise_is_the_scatter_of_mean_accelerations() -> None:
    generator = torch.Generator().manual_seed(3)
    still = path()
    shape = still.q.shape
    q, v = (0.3 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    noisy = replace(still, q=q, p=v * still.mass[:, None])
    made = window_noise(noisy, 4)[:, 1]
    T = 4 * float(noisy.t[1] - noisy.t[0])
    scatter = (noisy.velocity[4:] - noisy.velocity[:-4]).std() / T
    assert made.tolist() == pytest.approx([float(scatter)] * 3, rel=0.1)


@pytest.mark.as_users_run_it
def test_windows_grow_with_noise() -> None:
    lengths = [quiet_steps(path(noise=size)) for size in (0.0, 0.01, 0.03)]
    assert lengths[0] == 1
    assert lengths == sorted(lengths)
    assert lengths[-1] > 2


@pytest.mark.as_users_run_it
def test_an_axis_that_is_still_hides_no_noise() -> None:
    noisy = path(interval=0.05, noise=0.05).velocity
    still = torch.cat([noisy, torch.zeros_like(noisy[..., :1])], -1)
    assert torch.equal(noise(still, 20), noise(noisy, 20))
    assert float(noise(torch.zeros_like(noisy), 20).max()) == 0


def test_there_is_nothing_to_wait_for_in_pure_noise() -> None:
    still = path()
    generator = torch.Generator().manual_seed(4)
    p = torch.randn(still.p.shape, generator=generator, dtype=torch.float64)
    assert quiet_steps(replace(still, p=p)) == 1


def test_the_start_velocity_costs_a_step() -> None:
    assert quiet_steps(replace(path(), velocity_given=False)) == 2
