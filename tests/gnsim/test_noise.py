"""Noise is measured as what it is, and windows grow with it and not without."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from gnsim.accelerations import noisy_weights
from gnsim.datasets.systems import simulate
from gnsim.dynamics import Dynamics
from gnsim.integrators import RK4
from gnsim.noise import as_noisy_as, measured_noise, noise, quiet_steps, window_noise
from gnsim.prediction import predict
from gnsim.state import State, Trajectory
from gnsim.windows import WindowSampler, mean_acceleration_error


@cache
def path(**settings: float) -> Trajectory:
    return simulate("spring", trajectories=20, bodies=3, dim=2, frames=40, **settings)


def test_white_noise_is_measured() -> None:
    clean, noisy = path(interval=0.05), path(interval=0.05, noise=0.05)
    true = float((noisy.velocity - clean.velocity).std())
    found = noise(noisy.velocity, noisy.num_systems)
    assert found.tolist() == pytest.approx([true] * 3, rel=0.1)
    assert float(noise(clean.velocity, clean.num_systems).max()) < 0.02 * true


def test_forces_that_break_are_no_noise() -> None:
    broken = simulate("discontinuous", trajectories=8, bodies=4, dim=3, frames=40)
    assert float(noise(broken.q, 8).max()) == 0 == float(noise(broken.velocity, 8).max())
    assert quiet_steps(broken) == 1
    noisy = simulate("discontinuous", trajectories=8, bodies=4, dim=3, frames=40, noise=0.01)
    assert float(noise(noisy.q, 8).min()) > 0


class Free(Dynamics):
    """Nothing moves but by its velocity."""

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        return state.velocity, torch.zeros_like(state.p)


def shaken(of_q: float, of_v: float, given: bool = True) -> Trajectory:
    """Bodies at rest, measured with noise."""
    generator = torch.Generator().manual_seed(3)
    shape = path().q.shape
    q, v = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    p = of_v * v * path().mass[:, None]
    return replace(path(), q=of_q * q, p=p, velocity_given=given)


def missed(noisy: Trajectory, steps: int) -> torch.Tensor:
    """The mean accelerations that windows of free flight seem to miss."""
    windows = WindowSampler(noisy, steps).spread(10_000).path
    return mean_acceleration_error(windows, *predict(Free(), RK4(), windows, 1))


@pytest.mark.parametrize("sizes", [(0.3, 0.3), (0.3, 0.03), (0.03, 0.3)])
@pytest.mark.parametrize("steps", [4, 8])
def test_window_noise_is_the_scatter_of_mean_accelerations(sizes, steps: int) -> None:
    noisy = shaken(*sizes)
    errors = missed(noisy, steps)
    assert errors.shape[:2] == (1, 1)
    scatter = errors.view(-1, 3, 2).transpose(0, 1).flatten(1).std(1)
    made = window_noise(noisy, steps)[:, 0]
    assert made.tolist() == pytest.approx(scatter.tolist(), rel=0.15)
    # the ends of the windows alone tell less
    T = steps * float(noisy.t[1] - noisy.t[0])
    by_velocities = 2**0.5 * sizes[1] / T
    by_positions = 2 * (2 * sizes[0] ** 2 + (sizes[1] * T) ** 2) ** 0.5 / T**2
    assert float(made.max()) < min(by_positions, by_velocities)


def test_a_constant_acceleration_is_found_whatever_is_noisy() -> None:
    t = torch.linspace(0, 0.7, 8, dtype=torch.float64)
    for given in (True, False):
        for sizes in ((0.1, 0.1), (0.0, 0.2), (0.2, 0.0)):
            of_q, of_v = noisy_weights(t, torch.tensor([sizes], dtype=torch.float64), given)
            for motion in ((0.0, 0.0, 1.3), (2.0, -5.0, 0.0)):
                start, rate, a = motion
                q, v = start + rate * t + a * t**2 / 2, rate + a * t
                found = of_q[..., 0] @ q + of_v[..., 0] @ v
                assert found.tolist() == pytest.approx(motion, abs=1e-5)


def test_windows_grow_with_noise() -> None:
    lengths = [quiet_steps(path(noise=size)) for size in (0.0, 0.01, 0.03)]
    assert lengths[0] == 1
    assert lengths == sorted(lengths)
    assert lengths[-1] > 2


def test_an_axis_that_is_still_hides_no_noise() -> None:
    noisy = path(interval=0.05, noise=0.05).velocity
    still = torch.cat([noisy, torch.zeros_like(noisy[..., :1])], -1)
    assert torch.equal(noise(still, 20), noise(noisy, 20))
    assert float(noise(torch.zeros_like(noisy), 20).max()) == 0


def test_there_is_nothing_to_wait_for_in_pure_noise() -> None:
    assert quiet_steps(shaken(1.0, 1.0)) == 1


def test_the_start_velocity_costs_a_step() -> None:
    assert quiet_steps(replace(path(), velocity_given=False)) == 2


def test_parts_have_the_noise_of_the_one_that_tells_it() -> None:
    noisy, short = path(noise=0.03), path(noise=0.03).frames(slice(0, 6))
    assert measured_noise(short) is None
    told = measured_noise(as_noisy_as(noisy, short))
    assert told is not None
    torch.testing.assert_close(told, measured_noise(noisy))
    # nor is a part noisy by itself where the whole is not
    assert measured_noise(as_noisy_as(path(), noisy)) is None
    assert float(window_noise(as_noisy_as(path(), noisy), 2).max()) == 0
