"""What a search beyond a law found, for the terminal and as numbers."""

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
    parts = [_left(found), list(_correction(found)), _verdict(found), list(_symmetry(found))]
    return "\n\n".join("\n".join(part) for part in parts if part)


def beyond_metrics(found: "Beyond") -> dict[str, Any]:
    """Everything that was measured; a number that is not finite is None."""
    law, rest = found.law, found.residuals
    return plain(
        {
            "data": found.dataset.name,
            "data_hash": found.dataset.content_hash,
            "seed": found.seed,
            "found": law is not None,
            "verified": law is not None and law.verified,
            "reasons": law.verdict.reasons if law is not None and law.verdict else (),
            "force": found.alone.text(),
            "beside": {} if law is None else law.beside(),
            "constants": constant_numbers(found.best.constants),
            "hidden": {
                name: {"values": h.values, "stderr": h.stderr, "names": h.names}
                for name, h in found.best.hidden.items()
            },
            "bodies": found.bodies,
            "left": found.left,
            "residuals": {
                "t": rest.t,
                "size": rest.size,
                "noise": rest.noise,
                "beyond_noise": rest.beyond_noise.tolist(),
            },
            "still": {"size": found.still.left, "beyond_noise": found.still.beyond_noise.tolist()},
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
            "seconds": found.seconds,
            "versions": versions(),
        }
    )


def _left(found: "Beyond") -> list[str]:
    rest = found.residuals
    name, more = short(found.dataset.name), _beyond_noise(found, rest)
    what = "nothing beyond the noise" if not more else f"more than noise for {_listed(more)}"
    law = textwrap.wrap(f"F(r) = {found.alone.text()}", _WIDTH - 2, subsequent_indent="    ")
    header = ["share of the acceleration", "left by the law", "noise of that", "held out"]
    columns = [rest.left, rest.noise_of_bodies, found.left["law"]]
    if "corrected" in found.left:
        header.append("with the correction")
        columns.append(found.left["corrected"])
    rows = [
        [short(body, 20), *(f"{float(column[k]):.1e}" for column in columns)]
        for k, body in enumerate(found.bodies[:_MOST_ROWS])
    ]
    return [f"{name}: the law leaves {what}", *("  " + line for line in law), *table(header, rows)]


def _listed(names: list[str], most: int = 6) -> str:
    shown = ", ".join(short(name, 20) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _correction(found: "Beyond") -> Iterator[str]:
    law = found.law
    if law is None:
        yield "no correction found: none that was tried is determined and lowers the held-out error"
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
    more = _beyond_noise(found, found.still)
    what = "nothing beyond the noise" if not more else f"more than noise for {_listed(more)}"
    rest = f"with it, {what} is left of the training data"
    if more:
        rest = f"with it, there is still {what}; no pair force that was tried explains more of it"
    lines += textwrap.wrap(rest, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _beyond_noise(found: "Beyond", rest: "Residuals") -> list[str]:
    telling = rest.beyond_noise.tolist()
    return [name for name, more in zip(found.bodies, telling, strict=True) if more]


def _symmetry(found: "Beyond") -> Iterator[str]:
    """What every such force has by construction, so that nobody takes it for a finding."""
    if found.law is None:
        return
    yield "by construction: the same for all observers at constant speed, in any direction and in a"
    yield "mirror; equal and opposite on both bodies (v_r, v_t: relative speeds along and across)"
