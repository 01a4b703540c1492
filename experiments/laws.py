"""The published force laws, and more of them, from trajectories by default settings.

``python experiments/laws.py [NAME ...]`` writes results/laws.json: a case for each system, in the
plane and in space, and each seed, of the data and of everything else. ``--noise 0.01`` and
``--positions`` make the same cases of noisy data, and of data without velocities. Of clean data,
law and network are then rolled out where they were not trained: see `out_of_distribution`.
"""

import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
import torch
from record import measuring, record

from gnsim.api import discover
from gnsim.datasets import Dataset, load
from gnsim.datasets.systems import dynamics, simulate
from gnsim.discovery import Discovery, true_law
from gnsim.integrators import DOP853
from gnsim.report import metrics, summary
from gnsim.simulator import DivergedError, Simulator
from gnsim.symbolic.expressions import evaluated, inlined
from gnsim.symbolic.law import Law
from gnsim.symbolic.parser import symbol

PUBLISHED = ("r2", "r1", "spring", "damped", "charge", "discontinuous")
MORE = ("yukawa", "lennard-jones", "morse", "magnetic", "external", "superposition")
#: the published softening, so small that it may be absent from a law
_SOFTENING = sympy.Float(0.01)
_DISTANCES = (0.01, 0.99)
#: bodies, and by how much further apart they start, where nothing was trained; how it is tried
_ELSEWHERE = (("twice the bodies", 8, 1), ("four times the bodies", 16, 1), ("far apart", 4, 3))
_TOLERANCE = 1e-9
_ROLLOUTS, _FRAMES, _NEW_SEED = 2, 31, 1000


def same_structure(found: Law, true: Law) -> bool:
    """Equal; or equal to the truth without its softening, which data need not show."""
    hard = true.expr.subs(symbol("r") + _SOFTENING, symbol("r")).subs(symbol("softening"), 0)
    return found.equals(true) or found.equals(replace(true, force=hard))


def force_error(found: Law, true: Law, data: Dataset) -> float:
    """Median relative error of the pair force over the 1st to 99th percentile of distances.

    Where the true force is zero, relative to its median elsewhere.
    """
    path = data.test
    q = path.q[:: max(1, len(path) // 50)]
    source, target = path[0].pairs
    r = (q[:, source] - q[:, target]).norm(dim=-1).numpy()
    low, high = np.quantile(r, _DISTANCES)
    kept = (r > low) & (r < high)
    columns = {"r": r[kept]}
    for name, values in path.attributes.items():
        for end, nodes in (("i", target), ("j", source)):
            columns[f"{name}_{end}"] = np.broadcast_to(values[nodes].numpy(), r.shape)[kept]
    forces = [evaluated(inlined(law.expr, law.values), columns) for law in (found, true)]
    size = np.abs(forces[1])
    scale = np.where(size > 0, size, np.median(size[size > 0]))
    return float(np.median(np.abs(forces[0] - forces[1]) / scale))


def out_of_distribution(found: Discovery, name: str, dim: int) -> dict[str, dict[str, Any]]:
    """Rollouts from states unlike those of the data: more bodies, and three times as far apart.

    The median over bodies of the error of their places at the end, over the ways they went; None
    where a rollout diverged.
    """
    # what is found among four bodies is rolled out among more: the same drag, not the same share
    terms = {k: v[0] for k, v in found.dataset.terms.items() if k == "drag"}
    moving = {"law": found.law.dynamics(), "network": found.model.double().canonical()}
    errors = {}
    for case, bodies, stretch in _ELSEWHERE:
        settings = {"dim": dim, "bodies": bodies, **terms}
        start = simulate(name, trajectories=_ROLLOUTS, frames=2, seed=_NEW_SEED, **settings)
        times = (start.t[1] - start.t[0]) * torch.arange(_FRAMES, dtype=torch.float64)
        state = start[0].moved(stretch * start[0].q, start[0].p)
        truth = Simulator(dynamics(name, **settings), DOP853(_TOLERANCE)).rollout(state, times)
        gone = (truth.q[-1] - truth.q[0]).norm(dim=-1).clamp_min(1e-12)
        errors[case] = {}
        for what, one in moving.items():
            try:
                end = Simulator(one, DOP853(_TOLERANCE)).rollout(state, times).q[-1]
                errors[case][what] = float(((end - truth.q[-1]).norm(dim=-1) / gone).median())
            except DivergedError:
                errors[case][what] = None
    return errors


def measure(name: str, dim: str, number: str, *settings: str) -> dict[str, Any]:
    seed = int(number)
    given = {"dim": int(dim), "seed": seed}
    for setting in settings:
        key, _, value = setting.partition("=")
        given[key] = value == "true" if value in ("true", "false") else float(value)
    begun = time.monotonic()
    data = load(name, **given)
    found = discover(data, seed=seed)
    seconds = time.monotonic() - begun
    print(summary(found))
    true = true_law(data)
    return {
        **metrics(found),
        "seconds_to_law": round(seconds, 1),
        "same_structure": same_structure(found.law, true),
        "force_error": force_error(found.law, true, data),
        "truth": {"force": str(inlined(true.expr, true.values)), "terms": sorted(data.terms)},
        "out_of_distribution": {} if settings else out_of_distribution(found, name, int(dim)),
    }


def main(arguments: list[str]) -> None:
    settings, kind = [], ""
    if "--noise" in arguments:
        place = arguments.index("--noise")
        kind = f", noise {arguments[place + 1]}"
        settings = [f"noise={arguments[place + 1]}"]
        del arguments[place : place + 2]
    if "--positions" in arguments:
        arguments.remove("--positions")
        kind, settings = kind + ", positions alone", [*settings, "velocities=false"]
    for seed in (0, 1, 2):
        for name in arguments or (*PUBLISHED, *MORE):
            for dim in (2, 3):
                case = f"{name}, {dim}D, seed {seed}{kind}"
                result = record("laws", case, name, str(dim), str(seed), *settings)
                print(case, result["status"], result["force"], result["seconds_in_all"])


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:])
