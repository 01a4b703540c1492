"""Three ways to what a law leaves of the planets' accelerations, and the error of each.

``python experiments/residual_methods.py RUN`` writes results/residual_methods.json for a folder of
``gnsim discover solar-system --beyond newton/law.json --out RUN``. What each way leaves beside
``law_alone.json`` is the residual; beside ``law.json``, with the correction, the error of the way
and of the ephemeris. Both are relative to the acceleration.

* interpolation: the slope of the ephemeris' own velocities, over a few minutes;
* differences: of positions half a day apart, of eighth order;
* windows: the law is integrated over a day from a state of the data, as gnsim does it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import measuring, record

from gnsim.datasets.sources import jpl
from gnsim.discovery.rollouts import with_hidden
from gnsim.integrators import DOP853
from gnsim.symbolic.law import Law
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import signed_errors
from gnsim.windows import WindowSampler

YEARS, STEP, DATES, MOMENT = (1950, 2000), 0.5, 1500, 2e-3
#: weights of positions 0, 1, ..., 4 steps away; B. Fornberg (1988), doi:10.2307/2008770
EIGHTH = (-205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560)
BODIES = ("Mercury", "Venus", "Earth", "Mars", "Jupiter")


def dates() -> np.ndarray:
    first, last = (jpl.new_year(year) for year in YEARS)
    return np.sort(np.random.default_rng(0).uniform(first, last, DATES))


def by_interpolation(t: np.ndarray) -> np.ndarray:
    """Accelerations [dates, bodies, 3]."""
    (_, before), (_, after) = jpl.ephemeris(t - MOMENT), jpl.ephemeris(t + MOMENT)
    return (after - before) / (2 * MOMENT)


def by_differences(t: np.ndarray) -> np.ndarray:
    """Accelerations [dates, bodies, 3]."""
    total = EIGHTH[0] * jpl.ephemeris(t)[0]
    for k, weight in enumerate(EIGHTH[1:], start=1):
        total += weight * (jpl.ephemeris(t - k * STEP)[0] + jpl.ephemeris(t + k * STEP)[0])
    return total / STEP**2


def left_of(accelerations: Callable[[np.ndarray], np.ndarray], law: Law) -> np.ndarray:
    """What a law leaves of measured accelerations, over their size, [dates, bodies]."""
    t = dates()
    measured = accelerations(t)
    by_law = np.stack([law.acceleration(*state) for state in zip(*jpl.ephemeris(t), strict=True)])
    return np.linalg.norm(measured - by_law, axis=2) / np.linalg.norm(measured, axis=2)


def left_in_windows(law: Law) -> np.ndarray:
    """The same, of the mean over a day, [windows, bodies]."""
    path = with_hidden(jpl.trajectory(YEARS, STEP), law.dynamics())
    sampler = WindowSampler(path, 2)
    problem = Problem.cut(sampler, sampler.spread(DATES), DOP853(1e-13), 1)
    errors = signed_errors(law.dynamics(), problem)[:, -1]
    return errors.norm(dim=-1).view(-1, problem.bodies).numpy()


def measure(run: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    laws = {
        n: Law.load(Path(run) / f) for n, f in (("alone", "law_alone.json"), ("joined", "law.json"))
    }
    ways: dict[str, Callable[[Law], np.ndarray]] = {
        "interpolation": lambda law: left_of(by_interpolation, law),
        "differences": lambda law: left_of(by_differences, law),
        "windows": left_in_windows,
    }
    found: dict[str, Any] = {}
    for way, left in ways.items():
        usual = {name: np.median(left(law), axis=0) for name, law in laws.items()}
        found[way] = {
            body: {
                "residual": float(usual["alone"][jpl.NAMES.index(body)]),
                "error": float(usual["joined"][jpl.NAMES.index(body)]),
            }
            for body in BODIES
        }
        print(way, found[way], flush=True)
    return found


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    record("residual_methods", "DE421", sys.argv[1])
