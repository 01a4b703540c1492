"""What the table of simulators says of the published claims, row by row."""

from collections.abc import Iterable
from statistics import median
from typing import Any

from simulators import MODELS, MORE, OWN, PAIRS, SYSTEMS, Case, cases, named

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

MORE_DATA = """## OGN and DeltaGN with more to learn from

`python experiments/simulators.py more`: where OGN is not clearly the better one above, with {times}
times the trajectories and steps of training. Its energy is off by less than that of DeltaGN in
{ogn} of {rows} rows, and drifts less in {ogn_drift}; with the usual data, in {before} and
{before_drift} of the same rows."""

#: errors of held-out windows below which a model has learned its step
LEARNED = 0.1
THREE = ("hogn", "ogn", "delta")


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


def more_data(results: dict[str, Any]) -> tuple[str, list[str]]:
    """What the rows say, and for each case with more data a row, the usual one beside it."""
    rows = [
        "| system, trained in | held-out windows: OGN | DeltaGN | H off: OGN | DeltaGN | "
        "drift of H: OGN | DeltaGN | with the usual data: OGN | DeltaGN | H off: OGN | DeltaGN | "
        "drift of H: OGN | DeltaGN |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found = []
    both: list[Case] = cases("more")
    for delta, ogn in zip(both[::2], both[1::2], strict=True):
        pairs = [
            [named((*one[:3], times, *one[4:])) for one in (ogn, delta)]
            for times in (str(MORE), "1")
        ]
        if any(name not in results for names in pairs for name in names):
            continue
        numbers = [
            row
            for names in pairs
            for row in zip(*(errors(results[n], n) for n in names), strict=True)
        ]
        found.append(numbers)
        cells = " | ".join(number([value]) for two in numbers for value in two)
        system, _, _, steps, seed = pairs[1][0].split(", ")
        rows.append(f"| {system}, {steps}, {seed} | {cells} |")
    if not found:
        return "", []
    _, off, drift, _, off_before, drift_before = (
        sum(numbers[k][0] < numbers[k][1] for numbers in found) for k in range(6)
    )
    said = MORE_DATA.format(
        times=MORE,
        ogn=off,
        rows=len(found),
        ogn_drift=drift,
        before=off_before,
        before_drift=drift_before,
    )
    return said, rows


def errors(found: dict[str, Any], name: str) -> tuple[float, float, float]:
    """Of held-out windows, and of the energy over 1,000 steps, and its drift."""
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
    """Where a case stands: by system, how its steps were drawn, model and seed."""
    system, model, _, steps, seed = case.split(", ")
    kinds, drawn = (*MODELS, PAIRS), not steps.startswith("one step")
    more = steps.endswith("the data")
    places = (more, list(SYSTEMS).index(system), drawn, kinds.index(model))
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
