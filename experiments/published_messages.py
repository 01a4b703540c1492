"""Figures of Cranmer et al. 2020 (arXiv:2006.11287), and the table in which they stand by ours.

By system and dimension, a column a model.
"""

from collections.abc import Iterable
from itertools import product
from typing import Any

PUBLISHED_MODELS = ("standard", "bottleneck", "l1", "kl", "flat hamiltonian")
NONE = "–"
SYSTEMS = ("charge", "damped", "discontinuous", "r1", "r2", "spring")

#: R² between the strongest message components and the force; as many columns as were published
R2 = {
    ("charge", 2): (0.016, 0.947, 0.004, 0.185),
    ("charge", 3): (0.013, 0.980, 0.002, 0.425),
    ("r1", 2): (0.000, 1.000, 1.000, 0.796),
    ("r1", 3): (0.000, 1.000, 1.000, 0.332),
    ("r2", 2): (0.004, 0.993, 0.990, 0.770),
    ("r2", 3): (0.002, 0.994, 0.977, 0.214),
    ("spring", 2): (0.032, 1.000, 1.000, 0.883),
    ("spring", 3): (0.036, 0.995, 1.000, 0.214),
}
#: whether symbolic regression found the force
LAW_FOUND = {
    ("charge", 2): ("no", "yes", "no", "no"),
    ("charge", 3): ("no", "yes", "no", "no"),
    ("r1", 2): ("no", "yes", "yes", "yes"),
    ("r1", 3): ("no", "yes", "yes", "yes"),
    ("r2", 2): ("no", "yes", "yes", "no"),
    ("r2", 3): ("no", "yes", "yes", "no"),
    ("spring", 2): ("no", "yes", "yes", "yes"),
    ("spring", 3): ("no", "yes", "yes", "yes"),
}
#: sum over bodies of the absolute error of the acceleration
TEST_LOSS = {
    ("charge", 2): (48.688, 50.012, 51.906, 59.927, 54.962),
    ("charge", 3): (1.174, 0.986, 0.940, 4.201, 3.538),
    ("damped", 2): (0.299, 0.328, 0.300, 1.466, 0.346),
    ("damped", 3): (0.415, 0.449, 0.400, 3.297, 0.474),
    ("discontinuous", 2): (0.064, 0.074, 0.044, 1.804, 0.075),
    ("discontinuous", 3): (0.199, 0.177, 0.126, 4.191, 0.139),
    ("r1", 2): (0.077, 0.069, 0.079, 3.463, 0.050),
    ("r1", 3): (0.051, 0.050, 0.055, 3.523, 0.017),
    ("r2", 2): (1.613, 1.640, 1.184, 9.252, 1.284),
    ("r2", 3): (3.976, 3.591, 3.366, 9.788, 2.476),
    ("spring", 2): (0.047, 0.046, 0.045, 1.659, 0.016),
    ("spring", 3): (0.111, 0.110, 0.090, 3.797, 0.010),
}


#: differences from what was published that are none
_AS_GOOD_R2, _AS_GOOD_LOSS = 0.02, 1.05
#: share of a force that is all of it, and of one that is more of it than another
_ALL, _MORE = 0.95, 0.1


def rows(cases: dict[str, Any], models: Iterable[str]) -> list[str]:
    """A row for each case that was measured, by system and model, the published in brackets.

    R² as published is that of a component, explained by the force; `robust` that of the force
    without its largest tenth, explained by components, and by directions in message space.
    """
    table = [
        "| system | model | R² of messages (published) | robust | rotated, robust | "
        "rotated, robust, of force over mass | live | test loss (published) | median error | "
        "law found (published) | minutes | where worse than published, why |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, dim, model in product(SYSTEMS, (2, 3), tuple(models)):
        found = cases.get(case_name(name, dim, model))
        if found is None:
            continue
        known_r2, known_law, known_loss = _published(name, dim, model)
        table.append(
            f"| {name} {dim}D | {model} | {found['strongest']['published']:.3f} ({known_r2}) | "
            f"{found['strongest']['robust']:.3f} | {found['rotated']['robust']:.3f} | "
            f"{found['per_mass']['robust']:.3f} | "
            f"{found['live']} | {found['test_loss']:.3g} ({known_loss}) | "
            f"{found['median_relative_error']:.1%} | "
            f"{verdict(found)} ({known_law}) | "
            f"{found['seconds_of_training'] / 60:.1f} | {why_worse(found, name, dim, model)} |"
        )
    return table


def counts(cases: dict[str, Any]) -> list[str]:
    """Of each published model, how many of its cases were found and are as good."""
    lines = []
    for model in PUBLISHED_MODELS:
        each = [
            (cases[case], _published(name, dim, model))
            for name, dim in product(SYSTEMS, (2, 3))
            if (case := case_name(name, dim, model)) in cases
        ]
        if not each:
            continue
        both = [(found, known) for found, known in each if known[1] != NONE]
        laws = [verdict(found) for found, _ in both]
        lines.append(
            f"| {model} | {laws.count('yes')}, {laws.count('over mass')} over mass, of "
            f"{len(laws)} ({sum(known[1] == 'yes' for _, known in both)}) | "
            f"{sum(not r2_is_worse(f, k[0]) for f, k in both)} of {len(both)} | "
            f"{sum(not loss_is_worse(f, k[2]) for f, k in each)} of {len(each)} |"
        )
    return [
        "| model | force found, where one was published (published) | R² as high as published | "
        "test loss as low as published |",
        "|---|---|---|---|",
        *lines,
    ]


def r2_is_worse(found: dict[str, Any], known: str) -> bool:
    return known != NONE and found["strongest"]["published"] < float(known) - _AS_GOOD_R2


def loss_is_worse(found: dict[str, Any], known: str) -> bool:
    return known != NONE and found["test_loss"] > _AS_GOOD_LOSS * float(known)


def why_worse(found: dict[str, Any], name: str, dim: int, model: str) -> str:
    """What the measurements themselves say of the reason, where something published is better."""
    known_r2, known_law, known_loss = _published(name, dim, model)
    reasons = []
    law_is_worse = known_law == "yes" and verdict(found) != "yes"
    if law_is_worse or r2_is_worse(found, known_r2):
        reasons.append(_of_messages(found, dim))
    if loss_is_worse(found, known_loss):
        reasons.append(f"loss: {found['config']['steps'] / 1e6:.2g} of the published steps")
    return "; ".join(reasons)


def _of_messages(found: dict[str, Any], dim: int) -> str:
    strongest, rotated = (found[kind]["robust"] for kind in ("strongest", "rotated"))
    over_mass = found["per_mass"]["robust"]
    if over_mass > max(_ALL, rotated):
        return "messages are accelerations, the force over the mass of the receiver"
    if rotated > strongest + _MORE:
        return "the force lies between the axes of the messages"
    if found["live"] > dim:
        return f"not sparse yet: {found['live']} live components"
    if rotated > _ALL:
        return "messages hold the force, and the equation is not its form"
    return "messages mix the force with what the node network undoes"


def verdict(found: dict[str, Any]) -> str:
    """Whether the law is the force; the force over the receiver's mass is told apart."""
    if found["law"]["found"]:
        return "yes"
    return "over mass" if found["law_per_mass"]["found"] else "no"


def _published(name: str, dim: int, model: str) -> tuple[str, str, str]:
    """R², whether the force was found, and test loss, as published; dashes where nothing was."""
    r2, law, loss = (beside(known, name, dim, model) for known in (R2, LAW_FOUND, TEST_LOSS))
    return r2, law, loss


def beside(published: dict[Any, tuple[Any, ...]], name: str, dim: int, model: str) -> str:
    """A published figure, or a dash."""
    known = dict(zip(PUBLISHED_MODELS, published.get((name, dim), ()), strict=False))
    return str(known.get(model, NONE))


def case_name(name: str, dim: int, model: str) -> str:
    return f"{name} {dim}D, {model}"
