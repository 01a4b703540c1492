"""Rows of the README about laws, from results/laws.json, sampling.json and false_laws.json."""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
from false_laws import CASES_OF_A_KIND
from laws import MORE, PUBLISHED
from sampling import INTERVALS, NAMES, NOISES, case_name
from scipy.optimize import least_squares

from gnsim.datasets.systems import SYSTEMS
from gnsim.symbolic.expressions import breaks_of, evaluated, inlined, read
from gnsim.symbolic.parser import symbol

#: what a law may err by, and still be the right one
_FORCE_ERROR = 0.01
_NOISY, _STILL = ", noise 0.01", ", positions alone"
#: distances, and attributes of the two bodies, at which laws are compared
_POINTS = {
    "r": np.geomspace(0.05, 5.0, 40),
    "mass_i": np.linspace(0.5, 2.0, 40),
    "mass_j": np.linspace(1.5, 0.3, 40) ** 2,
    "charge_i": np.resize([1.0, -1.0], 40),
    "charge_j": np.resize([1.0, 1.0, -1.0], 40),
}
#: a law that differs by less from the truth at its true constants has the true form
_SAME = 1e-6


def right(found: dict[str, Any]) -> bool:
    """The true form and force, and called verified."""
    near = found["same_structure"] and found["force_error"] < _FORCE_ERROR
    return bool(near and found["status"] == "verified")


def laws(cases: dict[str, Any]) -> list[str]:
    """A row for each system and dimension."""
    if not cases:
        return []
    table = [
        "| data | right and verified | worst force error | seconds, GB at most | 1 % noise | "
        "positions alone | 8 bodies | 16 bodies | far apart |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, dim in product((*PUBLISHED, *MORE), (2, 3)):
        of = f"{name}, {dim}D, seed "
        clean = [case for key, case in cases.items() if key in {f"{of}{s}" for s in range(3)}]
        if not clean:
            continue
        one = [_single(cases.get(f"{of}0{kind}")) for kind in (_NOISY, _STILL)]
        table.append(
            f"| {name}, {dim}D | {sum(map(right, clean))} of {len(clean)} | "
            f"{max(case['force_error'] for case in clean):.1e} | "
            f"{max(case['seconds_to_law'] for case in clean):.0f}, "
            f"{max(case['peak_memory_gb'] for case in clean):.1f} | {one[0]} | {one[1]} | "
            f"{' | '.join(_elsewhere(clean))} |"
        )
    return table


def _single(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    return f"{found['force_error']:.1e}" if right(found) else f"{found['status']}, wrong or unsure"


def _elsewhere(clean: Sequence[dict[str, Any]]) -> list[str]:
    """Median errors of law and network where nothing was trained."""
    return [
        " / ".join(_median(c["out_of_distribution"][where][who] for c in clean) for who in _WHO)
        for where in ("twice the bodies", "four times the bodies", "far apart")
    ]


_WHO = ("law", "network")


def _median(errors: Iterable[float | None]) -> str:
    middle = float(np.median([np.inf if error is None else error for error in errors]))
    return f"{middle:.0e}" if np.isfinite(middle) else "diverged"


def counts(cases: dict[str, Any]) -> list[str]:
    """Counts over all cases, in a sentence each."""
    published = {k: v for k, v in cases.items() if k.split(",")[0] in PUBLISHED}
    clean, noisy, still = (
        [v for k, v in published.items() if _kind(k) == kind] for kind in ("", _NOISY, _STILL)
    )
    if not published:
        return []
    wrong = [k for k, v in cases.items() if v["status"] == "verified" and not right(v)]
    shares = [
        f"{what}: {sum(map(right, found))} of {len(found)}"
        for what, found in (("clean", clean), ("1 % noise", noisy), ("positions alone", still))
        if found
    ]
    named = f" ({'; '.join(wrong)})" if wrong else ""
    return [
        f"The six published laws in the plane and in space, found and verified: "
        f"{'; '.join(shares)}. Wrong laws called verified among all in this table: "
        f"{len(wrong)}{named}."
    ]


def _kind(case: str) -> str:
    """What is said of a case after its seed: nothing of clean data."""
    return re.sub("^.*seed [0-9]+", "", case)


def grid(cases: dict[str, Any]) -> list[str]:
    """A row for each system and interval, a column for each noise."""
    if not cases:
        return []
    table = [
        "| force error where the law is right and verified, else the verdict; frames apart by | "
        + " | ".join(f"noise {noise:g}" for noise in NOISES)
        + " |",
        "|---|" + "---|" * len(NOISES),
    ]
    for name, interval in product(NAMES, INTERVALS):
        each = [cases.get(case_name(name, noise, interval)) for noise in NOISES]
        cells = " | ".join("–" if c is None else _cell(c) for c in each)
        table.append(f"| {name}, {interval} published steps | {cells} |")
    return table


def _cell(found: dict[str, Any]) -> str:
    if right(found):
        return f"{found['force_error']:.1e}"
    return "verified in another form" if found["status"] == "verified" else str(found["status"])


def false(cases: dict[str, Any]) -> list[str]:
    """How many of the data without a law were given one."""
    if not cases:
        return []
    said = [found["status"] for found in cases.values()]
    counts = ", ".join(f"{said.count(s)} {s}" for s in ("verified", "candidate", "no law found"))
    kinds = ", ".join(kind.replace("_", " ") for kind in CASES_OF_A_KIND)
    return [f"{len(said)} data sets without a law of the searched family ({kinds}): {counts}."]


def coverage(*results: dict[str, Any]) -> list[str]:
    """How many 68 % intervals of constants from noisy data hold the truth, of right laws."""
    held = [
        inside
        for cases in results
        for case, found in cases.items()
        if "noise" in case and "noise 0," not in case and right(found)
        for inside in _held(case.split(",")[0].split()[0], found)
    ]
    if not held:
        return []
    share = sum(held) / len(held)
    return [
        f"Of {len(held)} intervals of one standard error for constants from noisy data, "
        f"{share:.0%} hold the true value (68 % would be right)."
    ]


def _held(name: str, found: dict[str, Any]) -> list[bool]:
    true = true_constants(name, found)
    return [
        abs(c["value"] - true[key]) <= c["stderr"]
        for key, c in found["constants"].items()
        if key in true
    ]


def true_constants(name: str, found: dict[str, Any]) -> dict[str, float]:
    """The values at which a law of the true form is the truth, its terms' included.

    Nothing where there are none, as for a law without the softening of the truth.
    """
    force, truth = read(found["force"]), read(found["truth"]["force"])
    known = dict(zip(map(str, breaks_of(force)), map(float, breaks_of(truth)), strict=True))
    names = [
        key for key in found["constants"] if symbol(key) in force.free_symbols and key not in known
    ]
    wanted = evaluated(truth, _POINTS)

    def off(values: np.ndarray) -> np.ndarray:
        numbers = known | dict(zip(names, values.tolist(), strict=True))
        return (evaluated(inlined(force, numbers), _POINTS) - wanted) / np.abs(wanted).mean()

    start = [found["constants"][key]["value"] for key in names]
    solved = least_squares(off, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    if np.abs(solved.fun).max() > _SAME:
        return {}
    system = SYSTEMS[name]
    terms = system.terms(system.settings())
    drag = {"gamma": terms["drag"][0]} if "drag" in terms else {}
    return known | dict(zip(names, solved.x.tolist(), strict=True)) | drag
