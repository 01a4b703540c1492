"""Metrics of rollouts whose errors are known."""

from dataclasses import replace

import pytest
import torch

from gnsim.integrators import Euler, Leapfrog
from gnsim.metrics import (
    conservation_error,
    energy_drift,
    energy_error,
    energy_scale,
    position_spread,
    quantile,
    relative_position_error,
    rmse_of_systems,
    rollout_rmse,
    valid_prediction_time,
)
from gnsim.simulator import Simulator
from gnsim.state import Trajectory
from gnsim.testing import HarmonicOscillator, make_state


def still(q: list, mass: list[float], frames: int = 5) -> Trajectory:
    positions = torch.tensor(q, dtype=torch.float64).expand(frames, -1, -1).clone()
    return Trajectory(
        t=torch.arange(frames, dtype=torch.float64),
        q=positions,
        p=torch.zeros_like(positions),
        batch=torch.zeros(len(q), dtype=torch.long),
        attributes={"mass": torch.tensor(mass, dtype=torch.float64)},
    )


def test_rmse_of_a_shift() -> None:
    true = still([[0.0, 0.0], [3.0, 4.0]], [1.0, 1.0])
    error = rollout_rmse(replace(true, q=true.q + 2.0, p=true.p - 3.0), true)
    assert error.q.tolist() == [2.0] * 5
    assert error.p.tolist() == [3.0] * 5


def test_errors_in_a_periodic_box_are_those_of_the_nearest_image() -> None:
    true = replace(still([[0.1], [5.0]], [1.0, 1.0]), box=torch.tensor([10.0], dtype=torch.float64))
    assert rollout_rmse(replace(true, q=true.q + 10.0), true).q.max() < 1e-12


def test_relative_error_is_over_the_distance_from_the_heaviest() -> None:
    true = still([[3.0, 4.0], [0.0, 0.0], [0.0, 20.0]], [1.0, 1000.0, 1.0])
    predicted = replace(true, q=true.q + torch.tensor([0.0, 1.0]))
    expected = [1 / 5, 1 / 5, 1 / 20]
    assert relative_position_error(predicted, true)[0].tolist() == pytest.approx(expected)
    about_first = relative_position_error(predicted, true, centre=0)[0].tolist()
    assert about_first == pytest.approx([1 / 5, 1 / 5, 1 / (9 + 16**2) ** 0.5])


def test_bodies_alike_are_measured_from_their_mean_position() -> None:
    true = still([[3.0, 4.0], [-3.0, -4.0], [0.0, 30.0], [0.0, -30.0]], [2.0] * 4)
    predicted = replace(true, q=true.q + torch.tensor([0.0, 1.0]))
    expected = pytest.approx([1 / 5, 1 / 5, 1 / 30, 1 / 30])
    assert relative_position_error(predicted, true)[0].tolist() == expected
    without = replace(true, attributes={})
    assert relative_position_error(replace(without, q=predicted.q), without)[0].tolist() == expected


@pytest.mark.parametrize("mass", [[1.0, 1000.0], [1.0, 1.0]])
def test_relative_errors_do_not_depend_on_where_a_box_is_cut(mass: list[float]) -> None:
    box = torch.tensor([10.0], dtype=torch.float64)
    true = replace(still([[9.5], [8.5]], mass), box=box)
    cut = replace(true, q=(true.q + 1) % 10)
    open_space = replace(cut, box=None)
    whole, split, broken = (
        relative_position_error(replace(path, q=path.q + 0.01), path)[0]
        for path in (true, cut, open_space)
    )
    assert torch.allclose(split, whole, rtol=1e-9)
    assert not torch.allclose(broken, whole, rtol=0.5)


def test_valid_time_ends_before_the_error_passes_and_at_nan() -> None:
    true = still([[0.0]], [1.0], frames=100)
    true = replace(true, q=torch.sin(true.t)[:, None, None])
    late = true.q.clone()
    late[40:] += 5.0
    assert valid_prediction_time(replace(true, q=late), true).tolist() == [39.0]
    late[20] = torch.nan
    assert valid_prediction_time(replace(true, q=late), true).tolist() == [19.0]
    assert valid_prediction_time(true, true).tolist() == [99.0]


def test_errors_are_over_the_spread_that_is_given() -> None:
    """That of all of the truth, where only its beginning is compared."""
    true = still([[0.0], [1.0]], [1.0, 1.0], frames=100)
    swing = torch.sin(0.1 * true.t)[:, None, None] * torch.tensor([[1.0], [-1.0]])
    true = replace(true, q=true.q + swing)
    off = replace(true, q=true.q + 0.05 * true.t[:, None, None])
    whole = position_spread(true)
    short = [path.frames(slice(12)) for path in (off, true)]
    expected = valid_prediction_time(off, true).tolist()
    assert 0 < expected[0] < 11
    assert valid_prediction_time(*short, spread=whole).tolist() == expected
    assert valid_prediction_time(*short).tolist() != expected
    boxed = torch.full((1,), 1.5, dtype=torch.float64)
    wrapped = replace(true, q=true.q.remainder(1.5), box=boxed)
    assert torch.allclose(position_spread(wrapped), whole)
    assert not torch.allclose(position_spread(replace(wrapped, box=None)), whole)


def test_a_wind_makes_no_prediction_valid() -> None:
    """What flies off together is as large as before: errors are over the same spread."""
    true = still([[0.0], [1.0]], [1.0, 3.0], frames=100)
    true = replace(
        true, q=true.q + torch.sin(true.t)[:, None, None] * torch.tensor([[1.0], [-1 / 3]])
    )
    off = 0.02 * true.t[:, None, None]
    calm = valid_prediction_time(replace(true, q=true.q + off), true)
    carried = replace(true, q=true.q + 5.0 * true.t[:, None, None])
    assert valid_prediction_time(replace(carried, q=carried.q + off), carried).equal(calm)
    assert 1.0 < float(calm) < 50.0


def test_energy_drift_tells_leapfrog_from_euler() -> None:
    start, t = make_state([[1.0]], [[0.0]]), 0.02 * torch.arange(500, dtype=torch.float64)
    system = HarmonicOscillator()
    kept = energy_drift(system, Simulator(system, Leapfrog()).rollout(start, t))
    lost = energy_drift(system, Simulator(system, Euler()).rollout(start, t))
    assert float(kept.largest) < 1.1 * 0.02**2 / 4
    assert abs(float(kept.slope)) < 1e-5
    # Euler multiplies the energy by 1 + dt^2 in each step, a rate of dt
    assert float(lost.slope) == pytest.approx(0.02, rel=0.1)


def test_energy_drift_has_a_scale_where_the_energy_is_zero() -> None:
    trajectory = still([[0.0]], [1.0])
    drift = energy_drift(HarmonicOscillator(), trajectory)
    assert drift.largest.tolist() == [0.0]
    moving = replace(
        trajectory, p=trajectory.p + torch.tensor([0, 1.0, 1.0, 1.0, 1.0])[:, None, None]
    )
    assert energy_drift(HarmonicOscillator(), moving).largest.tolist() == [1.0]


def test_trajectories_that_do_not_match_are_refused() -> None:
    true = still([[0.0]], [1.0])
    with pytest.raises(ValueError, match="one shape"):
        rollout_rmse(true.frames(slice(0, 3)), true)
    with pytest.raises(ValueError, match="same times"):
        rollout_rmse(replace(true, t=true.t + 1), true)


def two_systems() -> Trajectory:
    path = still([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 1.0, 1.0])
    return replace(path, p=path.p + 1.0, batch=torch.tensor([0, 0, 1, 1]))


def test_systems_have_errors_of_their_own() -> None:
    true = two_systems()
    shift = torch.tensor([0.0, 0.0, 3.0, 3.0], dtype=torch.float64)[:, None]
    error = rmse_of_systems(replace(true, q=true.q + shift, p=true.p - 2 * shift), true)
    assert error.q.tolist() == [0.0, 3.0]
    assert error.p.tolist() == [0.0, 6.0]


def turning() -> tuple[Trajectory, Trajectory]:
    """Two systems without momentum, and the same with a push to the first body of each."""
    momenta = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    true = two_systems()
    true = replace(true, p=momenta.expand_as(true.p))
    push = torch.tensor([[0.1, 0.0], [0.0, 0.0]] * 2, dtype=torch.float64)
    return true, replace(true, p=true.p + push)


def test_conserved_quantities_are_over_their_own_size() -> None:
    true, pushed = turning()
    assert conservation_error(true, true).momentum.tolist() == [0.0, 0.0]
    error = conservation_error(pushed, true)
    assert error.momentum.tolist() == pytest.approx([0.1 / 2] * 2)
    # 8/3 and 1/2 above or below the centre of mass; bodies 10/3 and 5/3 from it, or twice 1/sqrt 2
    assert error.angular_momentum.tolist() == pytest.approx([0.8 / 3 / 5, 0.05 / 2**0.5])
    on_a_line = replace(true, q=true.q[..., :1], p=true.p[..., :1] + true.p[..., 1:])
    assert conservation_error(on_a_line, on_a_line).angular_momentum is None
    alone = replace(true, batch=torch.arange(4))
    assert conservation_error(alone, alone) == (None, None)


def test_what_rests_and_is_predicted_to_has_no_error() -> None:
    resting = still([[0.0, 0.0], [0.0, 0.0]], [1.0, 1.0])
    assert conservation_error(resting, resting).momentum.tolist() == [0.0]
    assert energy_error(HarmonicOscillator(), resting, resting).abs().max() == 0
    moved = replace(resting, p=resting.p + 1.0)
    assert conservation_error(moved, resting).momentum.tolist() == [torch.inf]


def test_errors_of_conservation_depend_on_neither_origin_nor_wind() -> None:
    paths = turning()
    shift, wind = torch.tensor([[30.0, -40.0], [2.0, 5.0]], dtype=torch.float64)
    expected, found = (
        conservation_error(pushed, true)
        for true, pushed in (
            paths,
            [
                replace(
                    path,
                    q=path.q + shift + wind * path.t[:, None, None],
                    p=path.p + path.mass[:, None] * wind,
                )
                for path in paths
            ],
        )
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-10)


def test_quantiles_are_those_of_torch_and_know_infinity() -> None:
    values = torch.rand(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for share in (0.0, 0.01, 0.5, 0.99, 1.0):
        assert torch.allclose(quantile(values, share), torch.quantile(values, share, dim=-1))
    some = torch.tensor([3.0, 1.0, torch.nan, 2.0, torch.inf])
    assert quantile(some, 0.5) == 3.0
    assert quantile(some, 0.6) == quantile(some, 0.99) == torch.inf
    assert quantile(some[:4], 0.5) == 2.5


def test_energy_that_is_gained_is_no_scale() -> None:
    start, t = make_state([[1.0]], [[0.0]]), 0.3 * torch.arange(100, dtype=torch.float64)
    system = HarmonicOscillator()
    true, gained = (Simulator(system, by).rollout(start, t) for by in (Leapfrog(), Euler()))
    assert float(energy_drift(system, gained).largest) < 5
    assert float(energy_drift(system, gained, energy_scale(system, true)).largest) > 1000


def test_energies_are_compared_with_the_true_ones_at_each_time() -> None:
    true = two_systems()
    oscillator = HarmonicOscillator()
    assert energy_error(oscillator, true, true).abs().max() == 0
    faster = energy_error(oscillator, replace(true, p=2 * true.p), true)
    assert faster.shape == (5, 2)
    # kinetic energies 1 + 1/2 and 1 + 1 become four times as large; potential ones stay
    assert faster[0].tolist() == pytest.approx([3 * 1.5 / 14.0, 3 * 2.0 / 3.0])
