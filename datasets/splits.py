"""Disjoint parts for training, validation and test."""

from dataclasses import replace

import numpy as np
import torch

from gnsim.datasets.raw import from_trajectory, to_trajectory
from gnsim.state import Trajectory

#: shares of training, validation and test
SHARES = (0.6, 0.2, 0.2)

#: with fewer trajectories, time is cut; and how many frames that takes
LEAST_SYSTEMS, LEAST_FRAMES = 3, 6
#: frames without velocities that say anything of an acceleration
LEAST_STILL = 3

Parts = tuple[Trajectory, Trajectory, Trajectory]


def split(trajectory: Trajectory, seed: int = 0) -> Parts:
    """60 / 20 / 20 %: of the systems in an order that `seed` gives, or of the time.

    Fewer than three systems are cut into contiguous blocks of time, in the order train, valid,
    test. Every part has at least one system. Raises ValueError where a block of time would have
    fewer than two frames, or a part fewer than three and no velocities.
    """
    parts = _parts(trajectory, seed)
    fewest = min(map(len, parts))
    if not trajectory.velocity_given and fewest < LEAST_STILL:
        raise ValueError(
            f"t: wanted at least {LEAST_STILL} frames in each part of data without velocities, "
            f"found {fewest}; give longer trajectories, or 'v'"
        )
    return parts


def _parts(trajectory: Trajectory, seed: int) -> Parts:
    if trajectory.num_systems < LEAST_SYSTEMS:
        return split_time(trajectory)
    order = np.random.default_rng(seed).permutation(trajectory.num_systems)
    first, second = cuts(len(order))
    parts = (order[:first], order[first:second], order[second:])
    train, valid, test = (trajectory.systems(torch.from_numpy(np.sort(part))) for part in parts)
    return train, valid, test


def split_time(trajectory: Trajectory) -> Parts:
    """Contiguous blocks of 60 / 20 / 20 % of the frames.

    Velocities that were not given are estimated anew within each block: a stencil across a cut
    would carry held-out positions into the training.
    """
    frames = len(trajectory)
    if frames < LEAST_FRAMES:
        raise ValueError(
            f"splitting in time: wanted at least {LEAST_FRAMES} frames, found {frames}; give a "
            f"longer trajectory or at least {LEAST_SYSTEMS} trajectories"
        )
    first, second = cuts(frames, least=2)
    train, valid, test = (
        _estimated_alone(trajectory.frames(part))
        for part in (slice(first), slice(first, second), slice(second, None))
    )
    return train, valid, test


def _estimated_alone(part: Trajectory) -> Trajectory:
    return part if part.velocity_given else replace(part, p=to_trajectory(from_trajectory(part)).p)


def cuts(count: int, least: int = 1) -> tuple[int, int]:
    """Where validation and test begin among `count` items, with at least `least` items a part."""
    valid, test = (max(least, round(share * count)) for share in SHARES[1:])
    return count - valid - test, count - test
