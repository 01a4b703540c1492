"""What the command line prints at the end of a discovery: aligned, under 100 columns."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gnsim.bodies import body_names, couplings
from gnsim.report.numbers import relative
from gnsim.report.scores import position_errors
from gnsim.visualize.style import short

if TYPE_CHECKING:
    from gnsim.discovery import Discovery
    from gnsim.symbolic.law import Law

_WIDTH = 92
#: more bodies than this have one row for all of them in the table of errors
_BOTH = ("law", "network")
_MOST_ROWS = 40


def summary(discovery: "Discovery") -> str:
    """The law, its verdict, constants and masses with errors, and how the rollouts fared."""
    parts = [_law(discovery), _verdict(discovery), _masses(discovery), _rollouts(discovery)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Aligned lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for first, *others in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(indent + "  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def _law(discovery: "Discovery") -> list[str]:
    law = discovery.law
    status = law.verdict.status if law.verdict else "candidate"
    called = {
        "verified": "the law",
        "candidate": "a candidate, not a verified law",
        "no law found": "no law found; the best of the equations that were tried",
    }[status]
    lines = textwrap.wrap(f"F(r) = {law.text()}", _WIDTH - 2, subsequent_indent="         ")
    lines += [f"and {term.name}, on body i: {term.formula}" for term in law.terms]
    return [
        f"{short(discovery.dataset.name)}: {called}",
        *("  " + line for line in lines),
        *constants(law),
    ]


def constants(law: "Law") -> Iterator[str]:
    """A line for each constant, with its error and unit."""
    width = max(map(len, law.constants), default=0)
    for name, c in law.constants.items():
        error = "" if c.stderr is None else f" ± {c.stderr:.1e}"
        unit = f" {' '.join(c.unit.split())}" if c.unit else ""
        yield f"  {name:{width}} = {c.value:.10g}{error}{unit}"[:_WIDTH]


def _verdict(discovery: "Discovery") -> list[str]:
    verdict, equal = discovery.law.verdict, discovery.equals_truth
    lines = [f"verified: {str(discovery.law.verified).lower()}"]
    for reason in verdict.reasons if verdict else ():
        lines += textwrap.wrap(reason, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    if equal is not None:
        lines.append(f"form equals the true law ({discovery.dataset.law}): {_yes(equal)}")
    return lines


def _masses(discovery: "Discovery") -> list[str]:
    rows = couplings(discovery)
    if not rows:
        return []
    meaning = discovery.law.metadata["couplings"]["meaning"]
    scored = any(row["reference"] is not None for row in rows)
    header = ["body", "value", "standard error", f"by {rows[0]['first_grouping']} only"]
    body = [
        [
            short(r["body"], 20),
            f"{r['value']:.8e}",
            f"{r['stderr']:.1e}",
            f"{r['stderr_first_grouping']:.1e}",
        ]
        for r in rows
    ]
    if not scored:
        return [f"{meaning}, inferred from motion alone", *table(header, body)]
    header += ["reference GM", "relative error"]
    for cells, row in zip(body, rows, strict=True):
        known = row["reference"] is not None
        cells += [f"{row['reference']:.8e}" if known else "-", relative(row["relative_error"])]
    title = f"{meaning}, inferred from motion alone; references are for scoring only"
    return [title, *table(header, body)]


def _rollouts(discovery: "Discovery") -> list[str]:
    test, rollouts = discovery.dataset.test, discovery.rollouts
    names = body_names(test)
    errors = {name: position_errors(r, len(names)) for name, r in rollouts.items()}
    columns = [(n, k) for n in rollouts for k in ("max", "final") if n in _BOTH or k == "max"]
    titles = (f"{n if n in _BOTH else 'unfitted'}, {k}" for n, k in columns)
    header = ["relative position error", *titles]
    rows = [
        [
            short(body, 20),
            *(_error(errors[n][k][key]) for n, key in columns),
        ]
        for k, body in enumerate(names[:_MOST_ROWS])
    ]
    span = f"{float(test.t[-1] - test.t[0]):g} {short(test.units.time or 'units of time')}"
    systems = f", worst of {test.num_systems} systems" if test.num_systems > 1 else ""
    lines = [f"rollouts over {span} of held-out data{systems}", *table(header, rows)]
    if len(names) > _MOST_ROWS:
        lines.append(f"  and {len(names) - _MOST_ROWS} bodies more, see metrics.json")
    frames = max(r.fitted_frames for r in rollouts.values())
    if frames:
        lines.append(
            f"  start fitted to the first {frames} of {len(test)} frames, for the law; unfitted: "
            "the law from the measured start"
        )
    by = (f"{name} by {rollout.integrator}" for name, rollout in rollouts.items())
    lines += textwrap.wrap(
        f"integrated: {', '.join(by)}", _WIDTH, initial_indent="  ", subsequent_indent="    "
    )
    lines += [
        f"  energy error, {name}: at most {r.energy_error:.1e}, drift {r.energy_slope:.1e} "
        f"per {short(test.units.time or 'unit of time')}"
        for name, r in rollouts.items()
        if math.isfinite(r.energy_error)  # no energy is kept where forces depend on velocities
    ]
    for name, rollout in rollouts.items():
        if rollout.diverged:
            text = f"{name} ended early: {rollout.diverged}"
            lines += textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
