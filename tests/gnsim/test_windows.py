"""Windows: the right frames are cut, and errors are the accelerations that are missing."""

from dataclasses import replace

import pytest
import torch

from gnsim.accelerations import mean_accelerations
from gnsim.dynamics import Dynamics, Split
from gnsim.integrators import Leapfrog
from gnsim.prediction import between, predict
from gnsim.state import State, Trajectory
from gnsim.windows import (
    Windows,
    WindowSampler,
    mean_acceleration_error,
)

ROUNDING = 1e-12
SYSTEMS, BODIES, DIM, FRAMES, STEPS = 3, 2, 2, 14, 4
INTERVAL = 0.25


class Uniform(Split):
    """Every body has the constant acceleration ``a``: leapfrog is exact."""

    def __init__(self, a: torch.Tensor) -> None:
        super().__init__()
        self.a = a

    def force(self, state: State) -> torch.Tensor:
        return state.mass[:, None] * self.a.expand_as(state.q)

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        return state.velocity, self.force(state)


ACCELERATION = torch.tensor([0.3, -1.1], dtype=torch.float64)


def falling(box: torch.Tensor | None = None, velocity_given: bool = True) -> Trajectory:
    """Bodies of several masses that fall with `ACCELERATION`."""
    generator = torch.Generator().manual_seed(1)
    nodes = SYSTEMS * BODIES
    q, v = (torch.randn(nodes, DIM, generator=generator, dtype=torch.float64) for _ in range(2))
    mass = 0.5 + torch.rand(nodes, generator=generator, dtype=torch.float64)
    t = INTERVAL * torch.arange(FRAMES, dtype=torch.float64)
    time = t[:, None, None]
    path = q + v * time + 0.5 * ACCELERATION * time.square()
    return Trajectory(
        t=t,
        q=path if box is None else path % box,
        p=mass[:, None] * (v + ACCELERATION * time),
        batch=torch.arange(SYSTEMS).repeat_interleave(BODIES),
        attributes={"mass": mass},
        box=box,
        velocity_given=velocity_given,
    )


def errors_of(dynamics: Dynamics, windows: Windows) -> torch.Tensor:
    path = windows.path
    predicted = predict(dynamics, Leapfrog(), path, 1, stride=windows.stride)
    return mean_acceleration_error(path, *predicted)


def same_frames(windows: Windows, source: Trajectory, shift: int = 0) -> bool:
    """Whether each window is what direct indexing cuts, `shift` frames later."""
    for k, (start, system) in enumerate(
        zip(windows.start.tolist(), windows.system.tolist(), strict=True)
    ):
        own = slice(k * BODIES, (k + 1) * BODIES)
        theirs = slice(system * BODIES, (system + 1) * BODIES)
        frames = slice(start + shift, start + shift + STEPS + 1)
        if not torch.equal(windows.path.q[:, own], source.q[frames, theirs]):
            return False
        if not torch.equal(windows.path.p[:, own], source.p[frames, theirs]):
            return False
        if not torch.equal(windows.path.mass[own], source.mass[theirs]):
            return False
    return True


def test_sampled_windows_are_what_direct_indexing_cuts() -> None:
    source = falling()
    sampler = WindowSampler(source, STEPS)
    windows = sampler.sample(400, torch.Generator().manual_seed(0))
    assert same_frames(windows, source)
    starts = set(zip(windows.system.tolist(), windows.start.tolist(), strict=True))
    assert starts == {(s, f) for s in range(SYSTEMS) for f in range(FRAMES - STEPS)}
    assert len(starts) == sampler.total


def test_windows_of_long_steps_have_all_frames() -> None:
    source = falling()
    long, fine = (WindowSampler(source, n, s).spread(1000) for n, s in ((2, 2), (4, 1)))
    assert torch.equal(long.start, fine.start)
    assert torch.equal(long.path.q, fine.path.q)
    torch.testing.assert_close(long.path.t, fine.path.t)
    with pytest.raises(ValueError, match=r"a window of 12 steps needs 13 frames"):
        WindowSampler(source.frames(slice(0, 12)), 3, 4)


def test_a_cut_one_frame_late_is_seen() -> None:
    source = falling()
    early = source.frames(slice(0, FRAMES - 1))
    windows = WindowSampler(early, STEPS).sample(20, torch.Generator().manual_seed(0))
    assert same_frames(windows, source)
    assert not same_frames(windows, source, shift=1)


def test_sampling_is_a_function_of_the_generator() -> None:
    sampler = WindowSampler(falling(), STEPS)
    first, again, other = (
        sampler.sample(9, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first.path.q, again.path.q)
    assert not torch.equal(first.start, other.start)


@pytest.mark.parametrize("count", [1, 2, 5, 9, 1000])
def test_spread_windows_do_not_overlap(count: int) -> None:
    windows = WindowSampler(falling(), STEPS).spread(count)
    taken = [
        (system, start + k)
        for system, start in zip(windows.system.tolist(), windows.start.tolist(), strict=True)
        for k in range(STEPS)
    ]
    assert len(taken) == len(set(taken))
    assert len(windows.start) == min(count, SYSTEMS * ((FRAMES - 1) // STEPS))
    assert same_frames(windows, falling())


def test_spread_reaches_all_systems_and_all_times() -> None:
    windows = WindowSampler(falling(), STEPS).spread(1000)
    for system in range(SYSTEMS):
        assert windows.start[windows.system == system].tolist() == [0, 4, 8]
    assert WindowSampler(falling(), STEPS).spread(3).system.tolist() == [0, 1, 2]


def test_part_is_the_same_as_cutting_less() -> None:
    windows = WindowSampler(falling(), STEPS).spread(1000)
    part = windows.part(2, 5)
    assert part.start.tolist() == windows.start[2:5].tolist()
    assert part.system.tolist() == windows.system[2:5].tolist()
    assert same_frames(part, falling())
    assert part.path.num_systems == 3
    assert torch.equal(part.typical, windows.typical[2 * BODIES : 5 * BODIES])
    assert len(windows.part(7, 99).start) == 2


def test_exact_predictions_have_no_error() -> None:
    errors = errors_of(Uniform(ACCELERATION), WindowSampler(falling(), STEPS).spread(9))
    assert errors.shape == (2, STEPS, 9 * BODIES, DIM)
    assert errors.abs().max() < ROUNDING


def test_what_lies_between_long_steps_is_interpolated() -> None:
    windows = WindowSampler(falling(), 2, 2).spread(9)
    errors = errors_of(Uniform(ACCELERATION), windows)
    assert errors.shape[1] == STEPS
    assert errors.abs().max() < ROUNDING

    def swing(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.sin(t), torch.cos(t)

    off = []
    for steps in (5, 10):
        interval = 2.0 / steps
        ends = interval * torch.arange(steps + 1, dtype=torch.float64)[:, None]
        times = interval / 3 * torch.arange(1, 3 * steps + 1, dtype=torch.float64)[:, None]
        found = between(*swing(ends), 3, interval)
        off.append([float((x - y).abs().max()) for x, y in zip(found, swing(times), strict=True)])
    (of_q, of_v), (finer_q, finer_v) = off
    assert of_q / finer_q == pytest.approx(16, rel=0.2)
    assert of_v / finer_v == pytest.approx(8, rel=0.2)


def test_inertia_misses_just_the_acceleration() -> None:
    windows = WindowSampler(falling(), STEPS).spread(9)
    errors = errors_of(Uniform(torch.zeros(DIM, dtype=torch.float64)), windows)
    assert (errors - ACCELERATION).abs().max() < ROUNDING
    halved = errors_of(Uniform(0.5 * ACCELERATION), windows)
    assert (halved - 0.5 * ACCELERATION).abs().max() < ROUNDING


def test_estimated_velocities_are_not_compared() -> None:
    windows = WindowSampler(falling(velocity_given=False), STEPS).spread(9)
    errors = errors_of(Uniform(torch.zeros(DIM, dtype=torch.float64)), windows)
    assert errors.shape[0] == 1
    assert (errors - ACCELERATION).abs().max() < ROUNDING


def test_errors_in_a_box_are_to_the_nearest_image() -> None:
    box = torch.tensor([2.0, 3.0], dtype=torch.float64)
    windows = WindowSampler(falling(box), STEPS).spread(9)
    crossed = (windows.path.q[1:] - windows.path.q[:-1]).abs().max()
    assert crossed > 1.0  # else the box would not matter here
    assert errors_of(Uniform(ACCELERATION), windows).abs().max() < 10 * ROUNDING
    open_space = replace(windows, path=replace(windows.path, box=None))
    assert errors_of(Uniform(ACCELERATION), open_space).abs().max() > 1.0


def test_typical_acceleration_is_that_of_the_body() -> None:
    windows = WindowSampler(falling(), STEPS).spread(2)
    assert windows.typical.tolist() == pytest.approx([float(ACCELERATION.norm())] * 4)


def test_uneven_times_are_refused_by_index() -> None:
    source = falling()
    t = source.t.clone()
    t[6:] += 0.1
    with pytest.raises(ValueError, match=r"t\[6\].*resample"):
        WindowSampler(replace(source, t=t), STEPS)


def test_too_few_frames_are_refused() -> None:
    short = falling().frames(slice(0, STEPS))
    with pytest.raises(ValueError, match="needs 5 frames, found 4"):
        WindowSampler(short, STEPS)
    assert WindowSampler(falling().frames(slice(0, STEPS + 1)), STEPS).total == SYSTEMS


def test_an_unknown_start_velocity_is_no_error() -> None:
    """A wrong velocity at the start leaves nothing, a missing acceleration all of itself."""
    path = falling(velocity_given=False)
    windows = WindowSampler(path, STEPS).spread(6)
    t = windows.path.t[1:, None, None]
    slope = torch.tensor([0.4, -0.2], dtype=torch.float64)
    shift = (slope * t).expand(-1, windows.path.num_nodes, -1)
    assert mean_accelerations(windows.path, shift, shift).abs().max() < ROUNDING
    missing = (0.5 * ACCELERATION * t.square()).expand_as(shift)
    found = mean_accelerations(windows.path, shift + missing, shift)
    assert found.shape[:2] == (1, STEPS - 1)
    assert torch.allclose(found, ACCELERATION.expand_as(found))
    given = replace(windows.path, velocity_given=True)
    assert mean_accelerations(given, shift, shift).abs().max() > 0.1


def test_systems_of_unlike_sizes_are_refused() -> None:
    """Cut as if they were alike, windows would hold bodies of two systems."""
    path = Trajectory(
        t=torch.arange(5, dtype=torch.float64),
        q=torch.randn(5, 8, 2, dtype=torch.float64),
        p=torch.randn(5, 8, 2, dtype=torch.float64),
        batch=torch.tensor([0] * 3 + [1] * 5),
    )
    with pytest.raises(ValueError, match="wanted as many in every trajectory, found 3 to 5"):
        WindowSampler(path, 2)
    alike = path.systems(torch.tensor([1]))
    assert WindowSampler(alike, 2).bodies == 5
