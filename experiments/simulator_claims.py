"""What the table of simulators says of the published claims, row by row."""

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from statistics import median
from typing import Any

from simulators import (
    DIFFERS,
    MODELS,
    MORE_DATA,
    OWN,
    PAIRS,
    SEEDS,
    SUBSTEPS,
    SYSTEMS,
    UNCLEAR,
    USUAL,
    cases,
    named,
)

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
  frames.
- In half and twice the trained step, errors of OGN and HOGN are at most {most:.2f} times those in
  the trained one; in four times it, the error of RK4 itself shows on springs. Those of
  DeltaGN, where it knows one step alone, are {least} times as large or more: it has not been
  shown how the change goes with the step."""

UNCLEAR_ROWS = """## Where OGN is not clearly better than DeltaGN

`python experiments/simulators.py more`: the kinds of rows in which OGN is not the better one
with every seed. On gravity in one step, with four times the trajectories and steps of training
for both, its energy is off by less than that of DeltaGN in {off} of {rows} rows and drifts less
in {drift}; with the usual ones in {usual_off} and {usual_drift}. On springs in steps of 1 to 4
frames, rollouts of OGN in steps of one frame leave what was learned, with the usual data and
with more: its energy is off by {one} and {one_more}. In steps of four frames, the longest of its
training, the same network is off by {four}. RK4 makes errors of its own in steps so long;
trained with four substeps in each step, OGN is off by {substeps} in steps of one frame. DeltaGN,
which has no substeps, is off by {delta}, and with four times the data by {delta_more}."""

#: errors of held-out windows below which a model has learned its step
LEARNED = 0.1
THREE = ("hogn", "ogn", "delta")

#: of held-out windows, of the energy over 1,000 steps, and its drift
Errors = tuple[float, float, float]


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
        most=math.ceil(100 * max(max(hogn, ogn) for hogn, ogn, _ in ratios)) / 100,
        least=math.floor(min(delta for *_, delta in alone)),
    )
    return said, rows


def unclear(results: dict[str, Any]) -> tuple[str, list[str]]:
    """What the rows say, and a row for each way of training in each of the unclear ones."""
    long_steps = named(("ogn", "rk4", "4", USUAL, "spring", SEEDS[0]))
    if any(name not in results for name in (*map(named, cases("more")), long_steps)):
        return "", []
    longest_steps = results[long_steps]["as long, in the longest step"]
    rows = [
        "| system, trained in | held-out windows: OGN | DeltaGN | H off: OGN | DeltaGN | "
        "drift of H: OGN | DeltaGN |",
        "|---|---|---|---|---|---|---|",
    ]
    found: dict[tuple[str, str], list[dict[str, Errors]]] = defaultdict(list)
    for (system, longest, seeds), how in product(UNCLEAR, DIFFERS):
        for seed in seeds:
            names = {
                model: named((model, OWN.get(model, "rk4"), longest, how, system, seed))
                for model in ("ogn", "delta")
            }
            both = {m: errors(results[n], n) for m, n in names.items() if n in results}
            if not both:
                continue
            found[system, how].append(both)
            cells = [both[m][k] if m in both else "–" for k in range(3) for m in names]
            told = (c if isinstance(c, str) else number([c]) for c in cells)
            steps = names["ogn"].split(", ")[3]
            rows.append(f"| {system}, {steps}, seed {seed} | {' | '.join(told)} |")
    more, usual = found["r1", MORE_DATA], found["r1", USUAL]
    springs = {how: found["spring", how][0] for how in DIFFERS}
    said = UNCLEAR_ROWS.format(
        rows=len(more),
        off=sum(both["ogn"][1] < both["delta"][1] for both in more),
        drift=sum(both["ogn"][2] < both["delta"][2] for both in more),
        usual_off=sum(both["ogn"][1] < both["delta"][1] for both in usual),
        usual_drift=sum(both["ogn"][2] < both["delta"][2] for both in usual),
        one=number([springs[USUAL]["ogn"][1]]),
        one_more=number([springs[MORE_DATA]["ogn"][1]]),
        four=number([longest_steps["energy_rmse"]["median"]]),
        substeps=number([springs[SUBSTEPS]["ogn"][1]]),
        delta=number([springs[USUAL]["delta"][1]]),
        delta_more=number([springs[MORE_DATA]["delta"][1]]),
    )
    return said, rows


def errors(found: dict[str, Any], name: str) -> Errors:
    off, drift, *_ = compared(found, name)
    return found["held-out windows"], off, drift


def compared(found: dict[str, Any], name: str) -> list[float]:
    """Energy error and drift over 1,000 steps, and ratios of errors in half and twice the step."""
    long, integrator = found["a thousand steps"], name.split(", ")[2]
    errors = found["error per unit of time"][integrator]
    half, one, twice = (or_infinite(errors[k]) for k in ("0.5", "1", "2"))
    energies = (or_infinite(long[k]["median"]) for k in ("energy_rmse", "energy_drift"))
    return [*energies, half / one, twice / one]


def order(case: str) -> tuple[int, ...]:
    """Where a case stands: by how it differs from the usual, system, steps, model and seed."""
    system, model, _, steps, seed = case.split(", ")
    kinds, drawn = (*MODELS, PAIRS), not steps.startswith("one step")
    how = max(k for k, (*_, ending) in enumerate(DIFFERS.values()) if steps.endswith(ending))
    places = (how, list(SYSTEMS).index(system), drawn, kinds.index(model))
    return (*places, int(seed.split()[1]))


def is_usual(case: str) -> bool:
    """Whether it is of the tables of models, not of that of integrators."""
    _, model, integrator, *_ = case.split(", ")
    return integrator == OWN.get(model, "rk4")


def or_infinite(value: float | None) -> float:
    """JSON has no infinity."""
    return float("inf") if value is None else value


def number(values: Iterable[float | None]) -> str:
    """The median; lost where a motion is not finite."""
    found = median(map(or_infinite, values))
    return f"{found:.2g}" if found < float("inf") else "lost"
