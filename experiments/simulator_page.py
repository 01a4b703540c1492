"""The page of what learned simulators do, docs/simulator_results.md, made from results/*.json.

``python experiments/simulator_page.py`` writes it.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, median
from typing import Any

from readme_tables import load
from simulators import OWN

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

`python experiments/simulators.py main` (and `steps`). Springs are without rest length: with one,
the energy has a cusp where bodies meet, which no smooth network has. Gravity is that of the plane,
softened, between equal masses. Held-out windows: the error of a step, a root mean square over the
usual size of a velocity and of a force. Then position errors over the spread of positions, in the
first unit of time (twenty steps of the shortest trained length), by the integrator of the training,
in steps of a quarter to four times that length; and in systems of other sizes. Over 1,000 steps:
the root mean square of what the true energy is off by, and its drift per unit of time, both over
the larger of |H| and the kinetic energy; what 99 in 100 trajectories are off by at most; and for
how long of 50 units of time positions are valid. Medians over trajectories and seeds."""

CLAIMS = """## What the table says of the published claims

Where DeltaGN, OGN and HOGN all learned the step that they were trained for (errors of held-out
windows below {learned}): whether the true energy is off by less for HOGN than for OGN, and for OGN
than for DeltaGN, over 1,000 steps; and the error per unit of time in steps of half and of twice the
trained length, over that at the trained length. One row a seed."""

INTEGRATORS = """## Trained by one integrator, rolled out by another

`python experiments/simulators.py integrators`: springs, one seed; the error of positions in the
first unit of time, in steps of the trained length. Rows are of what a model was trained by."""

#: errors of held-out windows below which a model has learned its step
LEARNED = 0.1
THREE = ("hogn", "ogn", "delta")


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
        "4 bodies | 10 bodies | H off | drift of H | 99 in 100 | valid | training, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case, found in cases.items():
        if is_usual(case):
            kinds[case.rsplit(", seed", 1)[0]].append(found)
    for kind, found in kinds.items():
        system, model, integrator, steps = kind.split(", ")
        short = [one["error per unit of time"][integrator] for one in found]
        long = [one["a thousand steps"] for one in found]
        others = [one["other bodies"] for one in found]
        cells = [
            *(number(one[factor] for one in short) for factor in ("0.25", "0.5", "1", "2", "4")),
            *(of_bodies(others, bodies) for bodies in ("4", "10")),
            number(one["energy_rmse"]["median"] for one in long),
            number(one["energy_drift"]["median"] for one in long),
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


def is_usual(case: str) -> bool:
    """Whether it is of the tables of models, not of that of integrators."""
    _, model, integrator, *_ = case.split(", ")
    return integrator == OWN.get(model, "rk4")


def of_bodies(others: list[dict[str, Any]], bodies: str) -> str:
    """A dash where the model runs for no other number of bodies."""
    return number(one[bodies] for one in others) if all(others) else "–"


def claims(cases: dict[str, Any]) -> list[str]:
    rows = [
        "| system, trained in | HOGN, OGN, DeltaGN: H off | in this order | drift of H | "
        "in this order | OGN, ½ | 2 | HOGN, ½ | 2 | DeltaGN, ½ | 2 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        system, model, _, steps, seed = case.split(", ")
        if model != "ogn" or not is_usual(case):
            continue
        names = [f"{system}, {m}, {OWN.get(m, 'rk4')}, {steps}, {seed}" for m in THREE]
        three = [cases[name] for name in names if name in cases]
        if len(three) < len(THREE) or any(one["held-out windows"] > LEARNED for one in three):
            continue
        cells = []
        for measure in ("energy_rmse", "energy_drift"):
            found = [or_infinite(one["a thousand steps"][measure]["median"]) for one in three]
            cells.append(", ".join(number([value]) for value in found))
            cells.append("yes" if found == sorted(found) else "no")
        hogn, ogn, delta = three
        for one, integrator in ((ogn, "rk4"), (hogn, "rk4"), (delta, "jumps")):
            errors = one["error per unit of time"][integrator]
            ratios = (or_infinite(errors[k]) / or_infinite(errors["1"]) for k in ("0.5", "2"))
            cells += [number([ratio]) for ratio in ratios]
        rows.append(f"| {system}, {steps}, {seed} | {' | '.join(cells)} |")
    return rows


def integrators(cases: dict[str, Any]) -> list[str]:
    """For each model a row for each integrator it was trained by."""
    found = {
        (model, integrator): one["error per unit of time"]
        for case, one in cases.items()
        for system, model, integrator, steps, seed in [case.split(", ")]
        if (system, steps, seed) == ("spring", "one step", "seed 0")
        and model in ("ogn", "hogn", "hogn-separable")
    }
    if all(integrator == OWN.get(model, "rk4") for model, integrator in found):
        return []
    tested = list(dict.fromkeys(by for errors in found.values() for by in errors))
    rows = [
        f"| model | trained by | {' | '.join(tested)} |",
        "|---|---|" + "---|" * len(tested),
    ]
    for (model, integrator), errors in found.items():
        cells = (number([errors[by]["1"]]) if by in errors else "–" for by in tested)
        rows.append(f"| {model} | {integrator} | {' | '.join(cells)} |")
    return rows


def or_infinite(value: float | None) -> float:
    """JSON has no infinity."""
    return float("inf") if value is None else value


def number(values: Iterable[float | None]) -> str:
    """The median; lost where a motion is not finite."""
    found = median(map(or_infinite, values))
    return f"{found:.2g}" if found < float("inf") else "lost"


def page() -> str:
    zero, kept, simulated = (load(x) for x in ("zero_shot", "learned_energy", "simulators"))
    parts = [[INTRODUCTION]]
    if simulated:
        parts += [[TABLE], table(simulated)]
        parts += [[CLAIMS.format(learned=LEARNED)], claims(simulated)]
        if crossed := integrators(simulated):
            parts += [[INTEGRATORS], crossed]
    if zero:
        parts += [[ZERO_SHOT], zero_shot(zero), times(zero)]
    if kept:
        parts += [[ENERGY], energy(kept)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


if __name__ == "__main__":
    write_atomic(PAGE, page())
