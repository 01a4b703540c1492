"""The page of what learned simulators do, docs/simulator_results.md, made from results/*.json.

``python experiments/simulator_page.py`` writes it.
"""

import math
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from readme_tables import load
from simulator_claims import claims, is_usual, number, order, unclear
from simulators import MODELS, PARTS, SEEDS, TESTED, cases, named
from throughput import SIZES as BODIES
from throughput_table import throughput
from zero_shot import SIZES
from zero_shot_table import zero_shot

from gnsim.atomic import write_atomic
from gnsim.training.simulator_config import SimulatorConfig

PAGE = Path(__file__).parents[1] / "docs" / "simulator_results.md"

INTRODUCTION = """# What learned simulators do

Made by `python experiments/simulator_page.py` from `experiments/results`, where each case has its
commit, versions and settings. The models are those of [simulators.md](simulators.md). Cases without
a row are not measured yet: {missing}."""

ENERGY = """## A million steps

`python experiments/learned_energy.py`: the network of pairs learns chains of six equal bodies on
springs, and moves ten others by leapfrog in double precision. Of its own H, the change of the mean
from the first tenth of the steps to the last, the fluctuation about the means of tenths, and the
largest change since the start; the same of the true H; by how much the fluctuation of its own H
falls when the step is halved; by how much the momenta change. Energies are over the larger of the
kinetic energy at the start and its |H|, that of the dynamics which moves the bodies; each is that
of the worst of the ten, the fluctuation that of all."""

BROKEN = """What is not symplectic, or not smooth, fails the same measures: in {steps} steps of
Euler's method its own H grows to more than 1e{euler} times its size; and where springs have a
rest length and their bodies pass through each other, so that the energy has a cusp, the true H
drifts by {cusp:.1e} in as many steps of leapfrog, where the H of the networks, of chains, drifts
by at most {smooth:.1e}."""

TABLE = """## Across integrators and time steps

`python experiments/simulators.py`: five bodies in the plane, learned from a hundred trajectories.
Springs are without rest length, a linear system, between bodies of many masses: with a rest length,
the energy has a cusp where bodies meet, which no smooth network has. Gravity (`r1`) is that of the
plane, softened by .3, from which nothing escapes, between equal masses: of unequal ones few make
nearly all of the force, and a hundred systems hardly show the heaviest. `pairs` is the network of
`gnsim discover`, told that nothing is hidden and no terms act; it keeps the weights that predict
held-out windows best, where the others choose nothing by them.

Held-out windows: the error of a step, a root mean square over the usual size of a velocity and of a
force. Then errors of positions over their spread, in the first unit of time (twenty steps of the
shortest trained length), by the integrator of the training, in steps of a quarter to four times
that length; and for systems of other sizes. Over 1,000 steps: the root mean square of what the true
energy is off by, its drift per unit of time, and that root mean square in the worst but one in a
hundred trajectories (interpolated, of 50); by how much the simulator's own energy changes, which is
the error of its steps; and for how long, of 50 units of time, positions are valid. Energies are
over the larger of |H| and the kinetic energy. Medians over trajectories and seeds; training beside
other work, of {steps:,} steps of {graphs} windows but for `pairs`, which ends where it learns no
more.

Energies of `pairs` and `hogn-separable` are off by what their integrators make of steps of this
length where bodies meet, as their own H shows; that of `hogn` is smoother and taken by RK4. A
network that summed over five bodies has learned their number too: DeltaGN, OGN and HOGN are up to
50 times as far off with four, `pairs` no further; with ten all are further off. An
energy that is off by more than it holds says that most rollouts were lost, and how far says
nothing."""

INTEGRATORS = """## Trained by one integrator, rolled out by another

`python experiments/simulators.py integrators`: springs, one seed; the error of positions in the
first unit of time: by the integrator of the training, in steps of a quarter to four times the
trained length; and by each other, in steps of the trained length.

OGN learns to make up for what Euler does in a step: its error is {ogn_own} by Euler in the trained
step, and {ogn_rk4} by RK4, which does what the model says. No Hamiltonian can make up for that, as
steps of Euler let volumes in phase space grow: HOGN trained by Euler is off by {hogn_own} by it, as
every H here, and by {hogn_rk4} by RK4. A separable H that was trained by RK4 or by Yoshida's method
of fourth order is as good by the other in the trained step."""


def energy(results: dict[str, Any]) -> list[str]:
    rows = [
        "| | steps | drift of its own H | fluctuation | largest | falls | drift of the true H | "
        "fluctuation | largest | momentum | angular momentum |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case, found in sorted(results.items()):
        run = found.get("leapfrog")
        if run is None:
            continue
        own, true = run["its own H"], run["the true H"]
        rows.append(
            f"| {case} | {run['steps']:,} | {own['drift']:.1e} | {own['fluctuation']:.1e} | "
            f"{own['largest error']:.1e} | {found['fluctuation falls']:.2f}-fold | "
            f"{true['drift']:.1e} | {true['fluctuation']:.1e} | {true['largest error']:.1e} | "
            f"{run['momentum changes by']:.0e} | "
            f"{run['angular momentum changes by']:.0e} |"
        )
    return rows


def broken(results: dict[str, Any]) -> list[str]:
    """What becomes of the same measures where leapfrog, or a smooth force, is left out."""
    by_euler = [found["Euler"] for found in results.values() if "Euler" in found]
    if not by_euler or "cusp" not in results:
        return []
    least = min(run["its own H"]["largest error"] for run in by_euler)
    smooth = (found["leapfrog, again"] for found in results.values() if "Euler" in found)
    told = BROKEN.format(
        steps=f"{by_euler[0]['steps']:,}",
        euler=math.floor(math.log10(least)),
        cusp=results["cusp"]["the true H"]["drift"],
        smooth=max(run["its own H"]["drift"] for run in smooth),
    )
    return told.split("\n")


def table(results: dict[str, Any]) -> list[str]:
    rows = [
        "| system | model | trained by, in | seeds | held-out windows | ¼ | ½ | 1 | 2 | 4 | "
        "4 bodies | 10 bodies | H off | drift of H | 99 in 100 | own H | valid | training, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case, found in sorted(results.items(), key=lambda item: order(item[0])):
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
            own_energy(long),
            number(one["valid_prediction_time"]["median"] for one in long),
            f"{median(one['seconds of training'] for one in found):.0f}",
        ]
        learned = number(one["held-out windows"] for one in found)
        rows.append(
            f"| {system} | {model} | {integrator}, {steps} | {len(found)} | {learned} | "
            f"{' | '.join(cells)} |"
        )
    return rows


def own_energy(long: list[dict[str, Any]]) -> str:
    """A dash where a model has none."""
    name = "own_energy_change"
    return number(one[name]["median"] for one in long) if name in long[0] else "–"


def of_bodies(others: list[dict[str, Any]], bodies: str) -> str:
    """A dash where the model runs for no other number of bodies."""
    return number(one[bodies] for one in others) if all(others) else "–"


def integrators(results: dict[str, Any]) -> tuple[str, list[str]]:
    """What the table says, and for each model a row for each integrator it was trained by."""
    found = {
        (model, integrator): one["error per unit of time"]
        for case, one in results.items()
        for system, model, integrator, steps, seed in [case.split(", ")]
        if (system, steps, seed) == ("spring", "one step", "seed 0")
        and model in ("ogn", "hogn", "hogn-separable")
    }
    tested = list(dict.fromkeys(by for errors in found.values() for by in errors))
    rows = [
        f"| model | trained by | ¼ | ½ | 1 | 2 | 4 | {' | '.join(f'by {by}' for by in tested)} |",
        "|---|---|---|---|---|---|---|" + "---|" * len(tested),
    ]
    for (model, own), errors in sorted(found.items(), key=lambda item: place(*item[0])):
        steps = (number([error]) for error in errors[own].values())
        others = (number([errors[by]["1"]]) if by in errors else "–" for by in tested)
        rows.append(f"| {model} | {own} | {' | '.join((*steps, *others))} |")
    by_euler = {model: found.get((model, "euler")) for model in ("ogn", "hogn")}
    told = {
        f"{model}_{name}": number([errors[by]["1"]])
        for model, errors in by_euler.items()
        if errors is not None
        for name, by in (("own", "euler"), ("rk4", "rk4"))
    }
    return (INTEGRATORS.format(**told), rows) if len(told) == 4 else ("", [])


def place(model: str, integrator: str) -> tuple[int, int]:
    """Where a row stands: by model, and by the order in which its integrators are tested."""
    return MODELS.index(model), TESTED[model].index(integrator)


def missing(
    simulated: dict[str, Any], zero: dict[str, Any], kept: dict[str, Any], trained: dict[str, Any]
) -> str:
    """How many cases of each experiment have no result."""
    wanted = {
        **{f"simulators.py {part}": ([*map(named, cases(part))], simulated) for part in PARTS},
        "zero_shot.py": (
            [
                f"{shape}, {n} bodies, seed {k}"
                for k in SEEDS
                for shape in SIZES
                for n in SIZES[shape]
            ]
            + ["time"],
            zero,
        ),
        "learned_energy.py": ([f"seed {k}" for k in SEEDS], kept),
        "throughput.py": ([*BODIES, "beside"], trained),
    }
    counts = {
        part: (sum(name not in found for name in names), len(names))
        for part, (names, found) in wanted.items()
    }
    told = [f"{absent} of {whole} of {part}" for part, (absent, whole) in counts.items() if absent]
    return ", ".join(told) or "none"


def page() -> str:
    names = ("simulators", "zero_shot", "learned_energy", "throughput")
    simulated, zero, kept, trained = (load(name) for name in names)
    parts = [[INTRODUCTION.format(missing=missing(simulated, zero, kept, trained))]]
    if simulated:
        usual = SimulatorConfig()
        said = TABLE.format(steps=usual.steps, graphs=usual.graphs)
        parts += [[said], table(simulated)]
        for said, rows in (claims(simulated), unclear(simulated), integrators(simulated)):
            parts += [[said], rows] if said else []
    if zero:
        parts += zero_shot(zero)
    if kept:
        parts += [[ENERGY], energy(kept), broken(kept)]
    if trained:
        parts += throughput(trained)
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


if __name__ == "__main__":
    write_atomic(PAGE, page())
