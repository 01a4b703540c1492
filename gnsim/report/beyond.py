"""What a search beyond a law found, for the terminal and as numbers."""

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gnsim.report.scores import constant_numbers, plain, versions
from gnsim.report.text import constants, table
from gnsim.visualize.style import short

if TYPE_CHECKING:
    from gnsim.discovery.beyond import Beyond
    from gnsim.symbolic.corrections.residuals import Residuals

_WIDTH = 92
_MOST_ROWS = 40


def beyond_summary(found: "Beyond") -> str:
    """What the law leaves, the correction with its constants, and what that leaves."""
    parts = [
        _left(found),
        list(_correction(found)),
        _verdict(found),
        list(_elsewhere(found)),
        list(_symmetry(found)),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def beyond_metrics(found: "Beyond") -> dict[str, Any]:
    """Everything that was measured; a number that is not finite is None."""
    law, rest, given = found.law, found.residuals, found.given
    verdict = None if law is None else law.verdict
    return plain(
        {
            "data": found.dataset.name,
            "data_hash": found.dataset.content_hash,
            "seed": found.seed,
            "given": {
                "force": given.text(),
                "beside": given.beside(),
                "status": given.verdict.status if given.verdict else None,
            },
            "found": law is not None,
            "verified": law is not None and law.verified,
            "reasons": verdict.reasons if verdict else (),
            "force": found.alone.text(),
            "beside": {} if law is None else law.beside(),
            "constants": constant_numbers((law or found.alone).constants),
            "hidden": {
                name: {"values": h.values, "stderr": h.stderr, "names": h.names}
                for name, h in (law or found.alone).hidden.items()
            },
            "bodies": found.bodies,
            "left": found.left,
            "positions_off": found.off,
            "residuals": {
                "system": rest.system,
                "t": rest.t,
                "size": rest.size,
                "noise": rest.noise,
                "correlation": rest.correlation,
                "beyond_noise": rest.beyond_noise.tolist(),
            },
            "still": {"size": found.still.left, "beyond_noise": found.still.beyond_noise.tolist()},
            "frame": _frame(found),
            "tried": [
                {
                    "radial, transverse": one.text,
                    "constants": constant_numbers(one.constants),
                    "determined": one.determined,
                    "log_error": one.cost,
                    "held_out_log_error": one.held_out,
                }
                for one in found.searched.tried
            ],
            "alone_log_error": found.searched.alone,
            "further": None
            if (more := found.further) is None
            else {"term": str(more.term), "body": found.bodies[more.body], "share": more.share},
            "on_each_body": {term.name: e for term, e in found.searched.rivals.items()},
            "seconds": found.seconds,
            "versions": versions(),
        }
    )


def _frame(found: "Beyond") -> dict[str, Any]:
    """How what is left of the most telling body lies to its partner."""
    body = found.most_telling
    seen = found.projected(body)
    sizes = seen.left.square().mean(0).sqrt().tolist()
    axes = ("along the line", "across it", "out of the plane")
    return {
        "body": found.bodies[body],
        "partner": found.bodies[seen.partner],
        "left": dict(zip(axes, sizes, strict=False)),
    }


def _left(found: "Beyond") -> list[str]:
    rest = found.residuals
    name = short(found.dataset.name)
    law = textwrap.wrap(f"F(r) = {found.alone.text()}", _WIDTH - 2, subsequent_indent="    ")
    law += [f"and {where}: {part}" for where, part in found.given.beside().items()]
    law += [f"and {term.name}: {term.formula}" for term in found.given.terms]
    if found.given.verdict is None:
        law.append("(the law was given without a verdict)")
    elif not found.given.verified:
        law.append("(the law itself is not verified)")
    header = ["share of the acceleration", "left by the law", "noise of that", "held out"]
    columns = [rest.left, rest.noise_of_bodies, found.left["law"]]
    if "corrected" in found.left:
        header.append("with the correction")
        columns.append(found.left["corrected"])
    rows = [
        [short(body, 20), *(_size(float(column[k])) for column in columns)]
        for k, body in enumerate(found.bodies[:_MOST_ROWS])
    ]
    frame = _frame(found)
    sizes = frame["left"].values()
    total = sum(size**2 for size in sizes) ** 0.5 or 1.0
    shares = ", ".join(f"{size / total:.1%} {axis}" for axis, size in frame["left"].items())
    seen = f"of what is left of {frame['body']}, from {frame['partner']}: {shares}"
    return [
        f"{name}: the law leaves {_beyond_noise(found, rest)}",
        *("  " + line for line in law),
        *table(header, rows),
        *textwrap.wrap(seen, _WIDTH, initial_indent="  ", subsequent_indent="    "),
    ]


def _size(value: float) -> str:
    return f"{value:.1e}" if math.isfinite(value) else "unknown"


def _listed(names: list[str], most: int = 6) -> str:
    shown = ", ".join(short(name, 20) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _correction(found: "Beyond") -> Iterator[str]:
    law = found.law
    if law is None:
        yield "no correction found: none that was tried is determined and lowers the held-out error"
        if rival := found.searched.rival:
            yield (
                f"but {rival.name}, a force on each body by itself, does: search with it, "
                f"training.terms='{rival.name}'"
            )
        yield from constants(found.alone)
        return
    yield "beside it, on body i of a pair, from j"
    for where, part in law.beside().items():
        lines = textwrap.wrap(
            f"{where}: {part}",
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
        yield from lines
    yield from constants(law)


def _verdict(found: "Beyond") -> list[str]:
    if found.law is None:
        return []
    lines = [f"correction verified: {str(found.law.verified).lower()}"]
    for reason in found.law.verdict.reasons if found.law.verdict else ():
        lines += textwrap.wrap(reason, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    rest = f"with it, the law leaves {_beyond_noise(found, found.still)}"
    if bool(found.still.beyond_noise.any()):
        rest += "; no pair force that was tried explains enough of that"
    lines += textwrap.wrap(rest, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _elsewhere(found: "Beyond") -> Iterator[str]:
    """Rollouts over the held-out data."""
    span = found.dataset.test.t[-1] - found.dataset.test.t[0]
    unit = found.dataset.test.units.time
    header = ["relative position error", *found.off]
    yield f"rolled out over {float(span):.4g}{f' {unit}' if unit else ''} of held-out data"
    rows = [
        [short(body, 20), *(_size(float(off[k])) for off in found.off.values())]
        for k, body in enumerate(found.bodies[:_MOST_ROWS])
    ]
    yield from table(header, rows)


def _beyond_noise(found: "Beyond", rest: "Residuals") -> str:
    """What is left, in words."""
    if bool(rest.noise.isnan().all()):
        return "what too short data cannot tell from noise"
    telling = rest.beyond_noise.tolist()
    more = [name for name, yes in zip(found.bodies, telling, strict=True) if yes]
    return f"more than noise for {_listed(more)}" if more else "nothing beyond the noise"


def _symmetry(found: "Beyond") -> Iterator[str]:
    """What every such force has by construction, so that nobody takes it for a finding."""
    if found.law is None:
        return
    yield "by construction: the same for all observers at constant speed, in any direction and in a"
    yield "mirror; equal and opposite on both bodies. Positive along the line attracts; across it,"
    yield "positive is where the other goes, seen from this one; v_r: its speed away, v_t: across"
