"""What a training run makes of data that are late, few or large, and of a periodic box."""

from dataclasses import replace

import pytest
import torch

import gnsim.training.step
from gnsim.datasets.systems import simulate
from gnsim.errors import InputError
from gnsim.models.coupled import Structure
from gnsim.state import Trajectory
from gnsim.training.config import TrainingConfig
from gnsim.training.step import Training

CONFIG = TrainingConfig(hidden=8, window=2, pairs_per_batch=60)
LATE = 2.5e6


def springs(bodies: int = 3, frames: int = 20) -> Trajectory:
    return simulate("spring", trajectories=1, bodies=bodies, frames=frames, interval=0.05)


def training(path: Trajectory) -> Training:
    return Training(path, path, CONFIG, Structure("none"), 0)


def test_late_times_have_the_intervals_of_early_ones() -> None:
    path = springs()
    late = replace(path, t=path.t + LATE)
    assert training(late).sampler.interval == pytest.approx(0.05, rel=1e-6)
    uneven = late.t.clone()
    uneven[6:] += 0.01
    with pytest.raises(ValueError, match=r"t\[6\]"):
        training(replace(late, t=uneven))


def test_data_too_few_for_a_search_are_refused_before_training() -> None:
    with pytest.raises(InputError, match=r"6 samples.*more frames"):
        training(springs(frames=3))


def test_windows_at_once_have_a_bounded_number_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    path = springs(frames=60)
    assert len(training(path).held_out.start) == 29  # all there are
    monkeypatch.setattr(gnsim.training.step, "_PAIRS_AT_ONCE", 30)
    assert len(training(path).held_out.start) == 10


def test_scales_of_distances_are_those_of_nearest_images() -> None:
    path = springs()
    boxed = replace(path, box=torch.full((path.dim,), 50.0, dtype=torch.float64))
    cut = replace(boxed, q=(boxed.q - boxed.q[0, 0]) % 50.0)
    found = [training(each).network.reference for each in (boxed, cut)]
    assert found[1] == pytest.approx(found[0], rel=1e-3)
    broken = training(replace(cut, box=None)).network.reference
    assert broken != pytest.approx(found[0], rel=0.1)
