"""The page of what learned simulators do, docs/simulator_results.md, made from results/*.json.

``python experiments/simulator_page.py`` writes it.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from readme_tables import load
from simulators import MODELS, OWN, PAIRS, PARTS, SEEDS, SYSTEMS, TESTED, cases, named
from throughput import SIZES as BODIES
from throughput_table import throughput
from zero_shot import SIZES
from zero_shot_table import zero_shot

from gnsim.atomic import write_atomic

PAGE = Path(__file__).parents[1] / "docs" / "simulator_results.md"

INTRODUCTION = """# What learned simulators do

Made by `python experiments/simulator_page.py` from `experiments/results`, where each case has its
commit, versions and settings. The models are those of [simulators.md](simulators.md). Cases without
a row are not measured yet: {missing}."""

ENERGY = """## A million steps

`python experiments/learned_energy.py`: the network of pairs learns chains of six equal bodies on
springs, and moves ten others by leapfrog in double precision. Of its own H, the change of the mean
from the first tenth of the steps to the last, and the fluctuation about the mean; the same of the
true H; by how much the fluctuation of its own H falls when the step is halved; by how much the
momenta change."""

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
other work.

Energies of `pairs` and `hogn-separable` are off by what their integrators make of steps of this
length where bodies meet, as their own H shows; that of `hogn` is smoother and taken by RK4. A
network that summed over five bodies has learned their number too: DeltaGN, OGN and HOGN are up to
50 times as far off with four, `pairs` no further; with ten all are further off. An
energy that is off by more than it holds says that most rollouts were lost, and how far says
nothing."""

CLAIMS = """## What the table says of the published claims

A. Sanchez-Gonzalez et al. (arXiv:1909.12790) claim that HOGN keeps energy better than OGN, and OGN
better than DeltaGN; and that models with an integrator run in other time steps than the trained
one, where DeltaGN does not. One row a seed, where all three learned their step (errors of held-out
windows below {learned}; {left_out} left out): the true energy over 1,000 steps, and the error per
unit of time in steps of half and of twice the trained length, over that at the trained length.

- HOGN keeps energy better than OGN: its energy is off by less in {hogn} of {rows} rows, and drifts
  less in {hogn_drift}.
- OGN keeps energy better than DeltaGN: its energy is off by less in {ogn} of {rows} rows, and
  drifts less in {ogn_drift}. Neither has an energy to keep: what they are off by is what they have
  learned wrong. On gravity in one step both have learned as much (held-out windows), and either
  may be the better; in steps of 1 to 4 frames DeltaGN has learned half as much, and is the worse.
  On springs OGN has learned more throughout, and its energy is off by less, but for steps of 1 to 4
  frames: there rollouts of both leave what was learned, and nothing bounds an energy then.
- In half and twice the trained step, errors of OGN and HOGN are at most {most:.2f} times those in
  the trained one; in four times it, the error of RK4 itself shows on springs. Those of
  DeltaGN, where it knows one step alone, are {least:.0f} times as large or more: it has not been
  shown how the change goes
  with the step."""

INTEGRATORS = """## Trained by one integrator, rolled out by another

`python experiments/simulators.py integrators`: springs, one seed; the error of positions in the
first unit of time: by the integrator of the training, in steps of a quarter to four times the
trained length; and by each other, in steps of the trained length.

OGN learns to make up for what Euler does in a step: its error is {ogn_own} by Euler in the trained
step, and {ogn_rk4} by RK4, which does what the model says. No Hamiltonian can make up for that, as
steps of Euler let volumes in phase space grow: HOGN trained by Euler is off by {hogn_own} by it, as
every H here, and by {hogn_rk4} by RK4. A separable H that was trained by RK4 or by Yoshida's method
of fourth order is as good by the other in the trained step."""

#: errors of held-out windows below which a model has learned its step
LEARNED = 0.1
THREE = ("hogn", "ogn", "delta")


def energy(results: dict[str, Any]) -> list[str]:
    rows = [
        "| | steps | drift of its own H | fluctuation | falls | drift of the true H | "
        "fluctuation | momentum | angular momentum |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, found in sorted(results.items()):
        run = found.get("leapfrog")
        if run is None:
            continue
        own, true = run["its own H"], run["the true H"]
        rows.append(
            f"| {case} | {run['steps']:,} | {own['drift']:.1e} | {own['fluctuation']:.1e} | "
            f"{found['fluctuation falls']:.2f}-fold | {true['drift']:.1e} | "
            f"{true['fluctuation']:.1e} | {run['momentum changes by']:.0e} | "
            f"{run['angular momentum changes by']:.0e} |"
        )
    return rows


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


def order(case: str) -> tuple[int, ...]:
    """Where a case stands: by system, how its steps were drawn, model and seed."""
    system, model, _, steps, seed = case.split(", ")
    kinds, drawn = (*MODELS, PAIRS), not steps.startswith("one step")
    more = steps.endswith("the data")
    places = (more, list(SYSTEMS).index(system), drawn, kinds.index(model))
    return (*places, int(seed.split()[1]))


def own_energy(long: list[dict[str, Any]]) -> str:
    """A dash where a model has none."""
    name = "own_energy_change"
    return number(one[name]["median"] for one in long) if name in long[0] else "–"


def is_usual(case: str) -> bool:
    """Whether it is of the tables of models, not of that of integrators."""
    _, model, integrator, *_ = case.split(", ")
    return integrator == OWN.get(model, "rk4")


def of_bodies(others: list[dict[str, Any]], bodies: str) -> str:
    """A dash where the model runs for no other number of bodies."""
    return number(one[bodies] for one in others) if all(others) else "–"


def claims(results: dict[str, Any]) -> tuple[str, list[str]]:
    """What the rows say, and the rows."""
    rows = [
        "| system, trained in | held-out windows: HOGN | OGN | DeltaGN | "
        "H off: HOGN | OGN | DeltaGN | drift of H: HOGN | OGN | DeltaGN | "
        "error in ½: HOGN | OGN | DeltaGN | in 2: HOGN | OGN | DeltaGN |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found, left_out = [], 0
    for case in sorted(filter(is_usual, results), key=order):
        system, model, _, steps, seed = case.split(", ")
        names = [f"{system}, {m}, {OWN.get(m, 'rk4')}, {steps}, {seed}" for m in THREE]
        if model != "ogn" or not all(name in results for name in names):
            continue
        if max(results[name]["held-out windows"] for name in names) > LEARNED:
            left_out += 1
            continue
        numbers = list(zip(*(compared(results[name], name) for name in names), strict=True))
        found.append((steps, numbers))
        learned = tuple(results[name]["held-out windows"] for name in names)
        cells = " | ".join(number([value]) for three in (learned, *numbers) for value in three)
        rows.append(f"| {system}, {steps}, {seed} | {cells} |")
    if not found:
        return "", []
    off, drift = ([numbers[k] for _, numbers in found] for k in (0, 1))
    ratios = [three for _, numbers in found for three in numbers[2:]]
    alone = [three for steps, numbers in found if steps == "one step" for three in numbers[2:]]
    said = CLAIMS.format(
        learned=LEARNED,
        left_out=left_out or "none",
        rows=len(found),
        hogn=sum(hogn < ogn for hogn, ogn, _ in off),
        hogn_drift=sum(hogn < ogn for hogn, ogn, _ in drift),
        ogn=sum(ogn < delta for _, ogn, delta in off),
        ogn_drift=sum(ogn < delta for _, ogn, delta in drift),
        most=max(max(hogn, ogn) for hogn, ogn, _ in ratios),
        least=min(delta for *_, delta in alone),
    )
    return said, rows


def compared(found: dict[str, Any], name: str) -> list[float]:
    """Energy error and drift over 1,000 steps, and ratios of errors in half and twice the step."""
    long, integrator = found["a thousand steps"], name.split(", ")[2]
    errors = found["error per unit of time"][integrator]
    half, one, twice = (or_infinite(errors[k]) for k in ("0.5", "1", "2"))
    energies = (or_infinite(long[k]["median"]) for k in ("energy_rmse", "energy_drift"))
    return [*energies, half / one, twice / one]


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


def or_infinite(value: float | None) -> float:
    """JSON has no infinity."""
    return float("inf") if value is None else value


def number(values: Iterable[float | None]) -> str:
    """The median; lost where a motion is not finite."""
    found = median(map(or_infinite, values))
    return f"{found:.2g}" if found < float("inf") else "lost"


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
        parts += [[TABLE], table(simulated)]
        for said, rows in (claims(simulated), integrators(simulated)):
            parts += [[said], rows] if said else []
    if zero:
        parts += zero_shot(zero)
    if kept:
        parts += [[ENERGY], energy(kept)]
    if trained:
        parts += throughput(trained)
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


if __name__ == "__main__":
    write_atomic(PAGE, page())
