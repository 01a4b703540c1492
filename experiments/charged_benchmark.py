"""The charged five-body benchmark: a pair force learned from 3,000 pairs of frames, tried on 2,000.

``python experiments/charged_benchmark.py [SEED ...]`` writes results/charged_benchmark.json, for
the seeds 0, 1 and 2. From positions, velocities and charges at frame 30 to positions at frame 40;
the mean squared error is over all coordinates of all test simulations, as published. Beside it:

- another draw of 2,000 simulations by the same recipe, which nobody looked at before;
- what is learned, without its cut-off, and in leapfrogs; moving on, and standing still;
- Coulomb's law with the steps and the cut-off of the recipe, from starts in single precision: what
  a test set in that precision lets anyone reach.

Five to ten minutes a seed, on one core.
"""

import sys
import time
from dataclasses import replace
from typing import Any

import torch
from record import measuring, record
from torch import Tensor

from gnsim.datasets import load
from gnsim.datasets.sources import charged
from gnsim.integrators import Leapfrog, SymplecticEuler
from gnsim.models.limited import Limited
from gnsim.models.spline import SplinePair
from gnsim.state import Trajectory
from gnsim.training.cut_off import CutOff
from gnsim.training.fitted_spline import FittedSpline
from gnsim.training.steps_of_data import Steps
from gnsim.training.two_frames import TwoFrames, learn_two_frames

#: arXiv:2102.09844 (EGNN), 2110.02905 (SEGNN), 2305.11141 (CGENN), 2406.04052 (multivector neurons)
PUBLISHED = {"EGNN": 0.0071, "SEGNN": 0.0043, "CGENN": 0.0039, "multivector neurons": 0.0035}
SEEDS = ("0", "1", "2")
#: of the other draw
_ANOTHER = 44
_STEPS = 1000


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
    another = load("charged-5", train=1, valid=1, seed=_ANOTHER).test
    return {
        "test": scores(ends, test),
        "another draw": scores(found.ends(another), another),
        "training_seconds": round(trained, 1),
        "milliseconds_a_sample": round(1e3 * seconds / test.num_systems, 3),
        "threads": torch.get_num_threads(),
        "method": type(found.steps.method).__name__,
        "substeps": found.steps.substeps,
        "steps told": found.steps.told,
        "attribute": found.attribute,
        "limit": found.cut_off.limit if found.cut_off.kind else None,
        "limited": found.cut_off.kind,
        "explained by the cut-off": found.cut_off.explained,
        "log errors on training pairs": {
            "attributes": found.tried,
            "steps": found.steps.errors,
            "cut-offs": found.cut_off.errors,
        },
        "beside it": {
            "without the cut-off": scores(unlimited(found).ends(test), test),
            "the same force, in leapfrogs": scores(in_leapfrogs(found).ends(test), test),
            "the recipe, from single precision": scores(recipe().ends(rounded(test)), test),
            "constant velocity": scores(moved_on(test), test),
            "standing still": scores(test.q[0], test),
        },
        "published": PUBLISHED,
    }


def unlimited(found: TwoFrames) -> TwoFrames:
    model = found.model
    return replace(found, model=model.dynamics) if isinstance(model, Limited) else found


def in_leapfrogs(found: TwoFrames) -> TwoFrames:
    return replace(found, steps=found.steps._replace(method=Leapfrog()))


def recipe() -> TwoFrames:
    """Coulomb's law, with the steps and the cut-off that made the data."""
    coulomb = FittedSpline(SplinePair(0.1, 1.0, 1, 1e-9), "charge")
    coulomb.spline.start(-1.0, -2.0)
    model = Limited(coulomb.dynamics, charged.LARGEST_FORCE, "component")
    steps = Steps(SymplecticEuler(), _STEPS, True, {})
    return TwoFrames(
        model, "charge", steps, CutOff(charged.LARGEST_FORCE, "component", {}, 1.0), {}
    )


def rounded(path: Trajectory) -> Trajectory:
    return path.to(torch.float32).to(torch.float64)


def moved_on(path: Trajectory) -> Tensor:
    return path.q[0] + float(path.t[-1] - path.t[0]) * path.velocity[0]


def main(seeds: list[str]) -> None:
    for seed in seeds:
        result = record("charged_benchmark", f"seed {seed}", seed)
        print(f"seed {seed}", result["test"], result["limit"], result["training_seconds"])


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or list(SEEDS))
