"""The page of what learned simulators do, docs/simulator_results.md, made from results/*.json.

``python experiments/simulator_page.py`` writes it.
"""

from collections import defaultdict
from pathlib import Path
from statistics import mean, median
from typing import Any

from readme_tables import load

from gnsim.atomic import write_atomic

PAGE = Path(__file__).parents[1] / "docs" / "simulator_results.md"

INTRODUCTION = """# What learned simulators do

Made by `python experiments/simulator_page.py` from `experiments/results`, where each case has its
commit, versions and settings. The models are those of [simulators.md](simulators.md)."""

ENERGY = """## A million steps

`python experiments/learned_energy.py`: the network of pairs learns chains of six equal bodies on
springs, and moves ten others by leapfrog in double precision. Of its own H, the change of the mean
from the first tenth of the steps to the last, and the fluctuation about the mean; by how much this
falls when the step is halved; by how much the momenta change."""

ZERO_SHOT = """## More bodies than it was trained with

`python experiments/zero_shot.py`: networks of pairs, trained on eight bodies, over five units of
time. The error is the root mean square over bodies and times of what positions are off by; beside
it that of the median body, and how far bodies move. Means over the seeds. In large systems few
bodies are at an end, and those at the ends of chains are thrown about most, so that errors of all
bodies fall with the size; those of the median body need not."""

TABLE = """## Across integrators and time steps

`python experiments/simulators.py`. Springs are without rest length: with one, the energy has a
cusp where bodies meet, which no smooth network has. Position errors over the spread of positions,
in the first unit of time (twenty steps of the training), by the integrator of the training, for
steps of a quarter to four times the trained one. `H` is the root mean square of the error of the
true energy over 1,000 steps. Medians over trajectories and seeds."""


def energy(cases: dict[str, Any]) -> list[str]:
    rows = [
        "| | steps | drift of its own H | fluctuation | falls | momentum | angular momentum |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, found in sorted(cases.items()):
        run = found.get("leapfrog")
        if run is None:
            continue
        own = run["its own H"]
        rows.append(
            f"| {case} | {run['steps']:,} | {own['drift']:.1e} | {own['fluctuation']:.1e} | "
            f"{found['fluctuation falls']:.2f}-fold | {run['momentum changes by']:.0e} | "
            f"{run['angular momentum changes by']:.0e} |"
        )
    return rows


def zero_shot(cases: dict[str, Any]) -> list[str]:
    rows = [
        "| | bodies | seeds | edges in all | error | over that of 8 | median body | over that of 8 "
        "| way | ms a step | GB at most |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    by_size: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for case, found in cases.items():
        shape, *rest = case.split(", ")
        if rest:
            by_size[shape, int(rest[0].split()[0])].append(found)
    for (shape, bodies), found in by_size.items():
        few = by_size[shape, 8]
        error, off = (mean(one[name] for one in found) for name in ("error", "median body"))
        rows.append(
            f"| {shape} | {bodies:,} | {len(found)} | {found[0]['edges']:,} | {error:.3f} | "
            f"{error / mean(one['error'] for one in few):.2f} | {off:.4f} | "
            f"{off / mean(one['median body'] for one in few):.2f} | "
            f"{mean(one['way'] for one in found):.2f} | "
            f"{1e3 * median(one['seconds a step'] for one in found):.1f} | "
            f"{max(one['peak_memory_gb'] for one in found):.2f} |"
        )
    return rows


def times(cases: dict[str, Any]) -> list[str]:
    if "time" not in cases:
        return []
    parts = [
        f"{edges}: {1e3 * seconds:.2f} ms, {1e6 * seconds / int(edges.split()[0]):.2f} us an edge"
        for edges, seconds in cases["time"]["seconds a step"].items()
    ]
    return ["Of one lattice, a step, on one thread: " + "; ".join(parts) + "."]


def table(cases: dict[str, Any]) -> list[str]:
    rows = [
        "| system | model | trained by, in | seeds | held-out windows | ¼ | ½ | 1 | 2 | 4 | "
        "4 bodies | 10 bodies | H | H, 99 in 100 | valid time of 50 | training, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case, found in cases.items():
        kinds[case.rsplit(", seed", 1)[0]].append(found)
    for kind, found in kinds.items():
        system, model, integrator, steps = kind.split(", ")
        short = [one["error per unit of time"][integrator] for one in found]
        long = [one["a thousand steps"] for one in found]
        others = [one["other bodies"] for one in found]
        cells = [
            *(number(one[factor] for one in short) for factor in ("0.25", "0.5", "1", "2", "4")),
            *(number(one.get(bodies) for one in others) for bodies in ("4", "10")),
            number(one["energy_rmse"]["median"] for one in long),
            number(one["energy_rmse"]["p99"] for one in long),
            number(one["valid_prediction_time"]["median"] for one in long),
            f"{median(one['seconds of training'] for one in found):.0f}",
        ]
        learned = number(one["held-out windows"] for one in found)
        rows.append(
            f"| {system} | {model} | {integrator}, {steps} | {len(found)} | {learned} | "
            f"{' | '.join(cells)} |"
        )
    return rows


def number(values: Any) -> str:
    """The median; a dash where nothing was measured, and lost where a motion is not finite."""
    known = list(values)
    if all(value is None for value in known):
        return "–"
    found = median(float("inf") if value is None else value for value in known)
    return "lost" if found == float("inf") else f"{found:.2g}"


def page() -> str:
    zero, kept, simulated = (load(x) for x in ("zero_shot", "learned_energy", "simulators"))
    parts = [[INTRODUCTION]]
    if simulated:
        parts += [[TABLE], table(simulated)]
    if zero:
        parts += [[ZERO_SHOT], zero_shot(zero), times(zero)]
    if kept:
        parts += [[ENERGY], energy(kept)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


if __name__ == "__main__":
    write_atomic(PAGE, page())
