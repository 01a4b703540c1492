"""The charged five-body benchmark: a pair force learned from 3,000 pairs of frames, tried on 2,000.

``python experiments/charged_benchmark.py [SEED ...]`` writes results/charged_benchmark.json, for
the seeds 0, 1 and 2. From positions, velocities and charges at frame 30 to positions at frame 40;
the mean squared error is over all coordinates of all test simulations, as published. Beside it, on
the same simulations: what is learned without its limit, and what moves on or stands still. A few
minutes a seed.
"""

import sys
import time
from dataclasses import replace
from typing import Any

import torch
from record import measuring, record
from torch import Tensor

from gnsim.datasets import load
from gnsim.integrators import Leapfrog
from gnsim.models.limited import Limited
from gnsim.state import Trajectory
from gnsim.training.two_frames import TwoFrames, learn_two_frames

#: arXiv:2102.09844 (EGNN), 2110.02905 (SEGNN), 2305.11141 (CGENN), 2406.04052 (multivector neurons)
PUBLISHED = {"EGNN": 0.0071, "SEGNN": 0.0043, "CGENN": 0.0039, "multivector neurons": 0.0035}
SEEDS = ("0", "1", "2")


def scores(predicted: Tensor, truth: Trajectory) -> dict[str, float]:
    """Of the mean squared errors of all systems, the mean and others."""
    squares = (predicted - truth.q[-1]).square().mean(1)
    error = squares.view(truth.num_systems, -1).mean(1)
    return {
        "mean": float(error.mean()),
        "median": float(error.median()),
        "99th percentile": float(error.quantile(0.99)),
        "largest": float(error.max()),
    }


def measure(number: str) -> dict[str, Any]:
    data = load("charged-5")
    begun = time.monotonic()
    found = learn_two_frames(data.train, int(number), print)
    trained = time.monotonic() - begun
    test = data.test
    begun = time.monotonic()
    ends = found.ends(test)
    seconds = time.monotonic() - begun
    span = float(test.t[-1] - test.t[0])
    return {
        "test": scores(ends, test),
        "training_seconds": round(trained, 1),
        "milliseconds_a_sample": round(1e3 * seconds / test.num_systems, 3),
        "threads": torch.get_num_threads(),
        "method": type(found.integrator).__name__,
        "substeps": found.substeps,
        "attribute": found.attribute,
        "limit": found.limit if found.limited else None,
        "limited": found.limited,
        "log errors on training pairs": found.errors,
        "beside it": {
            "without the limit": scores(unlimited(found).ends(test), test),
            "by leapfrog": scores(replace(found, integrator=Leapfrog()).ends(test), test),
            "constant velocity": scores(test.q[0] + span * test.velocity[0], test),
            "standing still": scores(test.q[0], test),
        },
        "published": PUBLISHED,
    }


def unlimited(found: TwoFrames) -> TwoFrames:
    model = found.model
    return replace(found, model=model.dynamics) if isinstance(model, Limited) else found


def main(seeds: list[str]) -> None:
    for seed in seeds:
        result = record("charged_benchmark", f"seed {seed}", seed)
        print(f"seed {seed}", result["test"], result["limit"], result["training_seconds"])


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or list(SEEDS))
