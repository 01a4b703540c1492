"""Starts of noisy windows are found again, and a true law leaves nothing but noise."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from gnsim.datasets.systems import dynamics, simulate
from gnsim.dynamics import Dynamics, Split
from gnsim.integrators import KahanLi6
from gnsim.noise import window_noise
from gnsim.starts import Starts, fitted_starts, joined, unexplained
from gnsim.state import State, Trajectory
from gnsim.windows import Windows, WindowSampler

STEPS, BODIES, DIM = 20, 3, 2
SETTINGS = {"bodies": BODIES, "dim": DIM, "softening": 0.2}


@cache
def windows(noise: float = 0.01) -> Windows:
    shape = {"trajectories": 12, "frames": 41, "interval": 0.03}
    return WindowSampler(simulate("r2", **SETTINGS, **shape, noise=noise), STEPS).spread(24)


@cache
def clean() -> torch.Tensor:
    path = windows(0.0).path
    return torch.stack([path.q[0], path.velocity[0]])


def law(softening: float = 0.2) -> Dynamics:
    return dynamics("r2", **{**SETTINGS, "softening": softening})


def noisy() -> Trajectory:
    return windows().path


def starts(softening: float = 0.2) -> Starts:
    with torch.no_grad():
        return fitted_starts(law(softening), KahanLi6(), noisy(), 1)


def test_starts_are_nearer_to_the_truth_than_what_was_measured() -> None:
    measured = torch.stack([noisy().q[0], noisy().velocity[0]]) - clean()
    fitted = starts().phase - clean()
    ratio = fitted.abs().flatten(1).median(1).values / measured.abs().flatten(1).median(1).values
    # two numbers from 21 frames of both kinds: a line through one kind has 4 / 21 of its variance
    assert float(ratio.max()) < (4 / 21) ** 0.5


def test_what_the_true_law_leaves_is_noise_and_what_another_leaves_is_more() -> None:
    left = []
    for softening in (0.2, 0.3):
        found = starts(softening)
        with torch.no_grad():
            missing = unexplained(law(softening), KahanLi6(), noisy(), 1, found)
        # the median of a normal number's size is .674 deviations
        left.append(float((missing / found.noise[:, None]).abs().median()) / 0.674)
    assert left[0] == pytest.approx(1.0, rel=0.2)
    assert left[1] > 1.5 * left[0]


def test_starts_take_out_more_of_the_noise_of_bodies_that_go_round() -> None:
    path = simulate("spring", bodies=3, dim=2, trajectories=20, frames=25, interval=0.1, noise=0.02)
    windows = WindowSampler(path, 24).spread(20)
    with torch.no_grad():
        found = fitted_starts(dynamics("spring", bodies=3, dim=2), KahanLi6(), windows.path, 1)
        left = unexplained(dynamics("spring", bodies=3, dim=2), KahanLi6(), windows.path, 1, found)
    scatter = float((left / found.noise[:, None]).square().mean().sqrt())
    assert scatter == pytest.approx(1.0, rel=0.25)
    free = window_noise(path, 24)[:, 0].repeat(20)
    assert float((found.noise / free).median()) < 0.9


def test_a_start_that_is_known_nearly_is_found_in_a_step() -> None:
    known = starts()
    beside = replace(known, phase=known.phase + 0.003)
    with torch.no_grad():
        again = fitted_starts(law(), KahanLi6(), noisy(), 1, beside)
    off = (again.phase - known.phase).abs().flatten(2).amax((0, 2))
    assert float(off.median()) < 1e-4


def test_a_fit_depends_on_no_origin() -> None:
    path, far = noisy(), 1e5
    moved = replace(path, q=path.q + far)
    with torch.no_grad():
        found = fitted_starts(law(), KahanLi6(), moved, 1).phase
    off = (found - starts().phase - torch.tensor([far, 0.0])[:, None, None]).abs()
    assert float(off.flatten().median()) < 1e-6


def test_parts_are_the_whole() -> None:
    known = starts()
    parts = [known.part(0, 7), known.chosen(torch.arange(7, 24))]
    assert parts[0].phase.shape == (2, 7 * BODIES, DIM)
    assert torch.equal(joined(parts).phase, known.phase)
    assert torch.equal(joined(parts).inverse, known.inverse)
    with torch.no_grad():
        first = fitted_starts(law(), KahanLi6(), windows().part(0, 7).path, 1)
    torch.testing.assert_close(first.phase, parts[0].phase, rtol=0, atol=1e-6)


def test_noise_has_to_be_known() -> None:
    quiet = replace(noisy(), noise=None)
    with pytest.raises(ValueError, match=r"path\.noise: wanted the noise of each node"):
        fitted_starts(law(), KahanLi6(), quiet, 1)


class Torn(Split):
    """A motion that is not finite, or grows until it is not."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def force(self, state: State) -> torch.Tensor:
        return self.rate * state.q.sum(1, keepdim=True).expand_as(state.q)

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        return state.velocity, self.force(state)


@pytest.mark.parametrize("rate", [torch.nan, 1e40, 10 ** (337.5 / 12), 10 ** (339 / 12)])
def test_a_motion_that_is_not_finite_leaves_the_measured_starts(rate: float) -> None:
    """Also where slopes are finite, 1e308, and sums of them are not."""
    with torch.no_grad():
        found = fitted_starts(Torn(rate), KahanLi6(), noisy(), 1)
        left = unexplained(Torn(rate), KahanLi6(), noisy(), 1, found)
    assert torch.equal(found.phase, torch.stack([noisy().q[0], noisy().velocity[0]]))
    assert not left.isfinite().any()
