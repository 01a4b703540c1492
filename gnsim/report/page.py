"""The report: one page that needs nothing but itself, and no network."""

import base64
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sympy
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from gnsim.atomic import write_atomic
from gnsim.bodies import body_names, couplings
from gnsim.config import as_mapping
from gnsim.report.mathml import mathml
from gnsim.report.numbers import number, signed, typeset, unit_text, with_error
from gnsim.report.scores import position_errors, versions
from gnsim.state import Trajectory
from gnsim.visualize import draw, rendered

if TYPE_CHECKING:
    from gnsim.discovery import Discovery

_TEMPLATE, _STYLE = "report.html.j2", "report.css"
_DPI = 150

_CAPTIONS: Mapping[str, str] = {
    "message": "Each dot is what the network says one body does to another. The line is the law. "
    "Where messages are one curve, it was sharpened on the trajectories before the search.",
    "message_residual": "What is left of the messages when the law is subtracted: errors of the "
    "network, of the law, or of both.",
    "front": "The equations that no other beats on both size and loss on the messages; "
    "where these were sharpened on the trajectories, on those (but for joined laws).",
    "held_out": "The same equations, constants refitted on the training trajectories, judged on "
    "the validation trajectories; where data are noisy, on both.",
    "rollout": "Lines are paths, marks the last positions: ring truth, cross network, dot law.",
    "rollout_outer": "The bodies farther out, over the same span.",
    "error_law": "Largest error up to each time, relative to the distance from the centre.",
    "error_network": "The network's own rollout, on the same axes.",
    "energy": "The energy of each rollout by its own Hamiltonian, against that at its start.",
    "masses": "Dots left of their bars lie within one standard error of the reference.",
}
_TITLES: Mapping[str, str] = {
    "verified": "Law verified",
    "candidate": "Candidate, not verified",
    "no law found": "No law found",
}
_MEANINGS: Mapping[str, str] = {
    "verified": "Trajectories that were used for nothing else bear it out.",
    "candidate": "It describes much of the motion, but not all checks on held-out data passed. "
    "Read it as a suggestion.",
    "no law found": "What is shown below is the best of the equations that were tried. Held-out "
    "data do not bear it out, so it is no law of this system.",
}


def write_report(discovery: "Discovery", folder: Path, command: str) -> Path:
    """Writes ``report.html`` in `folder`, figures and all; `command` is what repeats the run.

    Names and units come from users' files: everything is escaped, and the page runs no script.
    """
    return write_atomic(folder / "report.html", page(discovery, command))


def page(discovery: "Discovery", command: str) -> str:
    """The page as text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"number": number, "signed": signed, "typeset": typeset}
    files = resources.files("gnsim.report")
    template = environment.from_string((files / _TEMPLATE).read_text(encoding="utf-8"))
    # the style sheet is ours, and < or > in it would be taken for markup if they were escaped
    style = Markup((files / _STYLE).read_text(encoding="utf-8"))
    return template.render(
        style=style,
        command=command,
        figures=_figures(discovery),
        captions=_CAPTIONS,
        **_law(discovery),
        **_candidates(discovery),
        **_motion(discovery),
        **_making(discovery),
    )


def _figures(discovery: "Discovery") -> dict[str, str]:
    return {
        name: "data:image/png;base64,"
        + base64.b64encode(rendered(figure, dpi=_DPI)).decode("ascii")
        for name, figure in draw(discovery).items()
    }


def _law(discovery: "Discovery") -> dict[str, Any]:
    law = discovery.law
    status = law.verdict.status if law.verdict else "candidate"
    energy = law.potential_expr()
    reasons = [reason.partition(": ") for reason in law.verdict.reasons] if law.verdict else []
    return {
        "name": discovery.dataset.name,
        "status": status,
        "headline": _TITLES[status],
        "meaning": _MEANINGS[status],
        "reasons": [(kind, what or kind) for kind, _, what in reasons],
        "force": mathml(law.expr, "F", block=True),
        "potential": None if energy is None else mathml(energy, "V", block=True),
        "force_text": law.text(),
        "terms": [(term.name, term.formula) for term in law.terms],
        "constants": [
            (mathml(sympy.Symbol(name)), with_error(c.value, c.stderr), unit_text(c.unit))
            for name, c in law.constants.items()
        ],
        "true_law": discovery.dataset.law,
        "equal": discovery.equals_truth,
        "hidden": [
            (name, h.unit, [*zip(h.names, map(with_error, h.values, h.stderr), strict=True)])
            for name, h in law.hidden.items()
        ],
        "couplings": couplings(discovery),
        "scored": any(row["reference"] is not None for row in couplings(discovery)),
        "first_grouping": law.metadata.get("couplings", {}).get("first_grouping", "time"),
        "coupling_meaning": law.metadata.get("couplings", {}).get("meaning", ""),
        "coupling_unit": unit_text(_coupling_unit(discovery)),
    }


def _coupling_unit(discovery: "Discovery") -> str:
    """G times mass is the strength times the unit of mass, which the strength's unit divides by."""
    unit = discovery.law.constants["G"].unit if "G" in discovery.law.constants else ""
    mass = discovery.law.hidden["mass"].unit if "mass" in discovery.law.hidden else ""
    return unit.replace(f"({mass})^-1", "").replace(f"{mass}^-1", "").strip() if mass else ""


def _candidates(discovery: "Discovery") -> dict[str, Any]:
    selection = discovery.selection
    rows = [
        {
            "form": mathml(scored.force),
            "complexity": scored.complexity,
            "engine": scored.engine,
            "loss": scored.loss,
            "error": scored.error,
            "chosen": scored is selection.chosen,
        }
        for scored in selection.scored
    ]
    return {"candidates": rows, "selection_reasons": selection.reasons}


def _motion(discovery: "Discovery") -> dict[str, Any]:
    test = discovery.dataset.test
    names = body_names(test)
    errors = {n: position_errors(r, len(names)) for n, r in discovery.rollouts.items()}
    return {
        "rollouts": discovery.rollouts,
        "energy_kept": any(math.isfinite(r.energy_error) for r in discovery.rollouts.values()),
        "position_rows": [
            (body, {n: errors[n][k] for n in discovery.rollouts}) for k, body in enumerate(names)
        ],
        "span": f"{float(test.t[-1] - test.t[0]):g} {test.units.time or 'units of time'}",
        "systems": test.num_systems,
        "time_unit": test.units.time or "unit of time",
        "fitted_start": any(r.fitted_frames for r in discovery.rollouts.values()),
    }


def _making(discovery: "Discovery") -> dict[str, Any]:
    data = discovery.dataset
    parts = {"training": data.train, "validation": data.valid, "test": data.test}
    return {
        "description": data.description,
        "data_hash": data.content_hash,
        "parts": [(name, *_extent(part)) for name, part in parts.items()],
        "seed": discovery.seed,
        "coupling": discovery.model.coupling,
        "pilots": discovery.fitted.pilots,
        "validation_error": discovery.fitted.validation_error,
        "errors": discovery.errors,
        "seconds": discovery.seconds,
        "versions": versions(),
        "config": yaml.safe_dump(as_mapping(discovery.config), sort_keys=False),
    }


def _extent(path: Trajectory) -> tuple[str, ...]:
    bodies = path.num_nodes // path.num_systems
    span = f"{float(path.t[0]):g} to {float(path.t[-1]):g} {path.units.time}".strip()
    velocities = "given" if path.velocity_given else "estimated from positions"
    return str(path.num_systems), str(bodies), str(len(path)), span, velocities
