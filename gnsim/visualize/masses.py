"""Inferred couplings against the reference values, where there are any."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from gnsim.visualize.style import LAW, MINUS, NETWORK, canvas, label_axes, short, styled

if TYPE_CHECKING:
    from gnsim.discovery import Discovery

_NOTHING = 1e-12


@styled
def mass_figure(discovery: "Discovery") -> Figure | None:
    """Relative error of each body's coupling beside its standard error; None without references."""
    rows = [row for row in couplings(discovery) if row["reference"]]
    if not rows:
        return None
    figure, axes = canvas("Inferred G m against the reference", height=0.9 + 0.34 * len(rows))
    places = np.arange(len(rows))[::-1]
    errors = [max(abs(row["relative_error"]), _NOTHING) for row in rows]
    sigmas = [max(row["stderr"] / abs(row["reference"]), _NOTHING) for row in rows]
    axes.hlines(places, np.minimum(errors, sigmas), np.maximum(errors, sigmas), color="#cccccc")
    axes.plot(sigmas, places, "|", color=NETWORK, ms=13, mew=2.2, label="standard error")
    axes.plot(errors, places, "o", color=LAW, ms=6, label=f"|value / reference {MINUS} 1|")
    axes.set_xscale("log")
    axes.set_yticks(places, [short(row["body"]) for row in rows], parse_math=False)
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.14), ncols=2)
    label_axes(axes, "relative to the reference value", "")
    return figure


def couplings(discovery: "Discovery") -> list[dict]:
    """One row per body: value, standard errors, and the reference with the relative error or None.

    References are compared only with what they are references for: G times mass.
    """
    found = discovery.law.metadata.get("couplings")
    if not found:
        return []
    names = found["names"]
    known = discovery.dataset.reference.get("GM")
    references: list[float | None] = [None] * len(names)
    if known is not None and found["meaning"] == "strength times mass" and len(known) == len(names):
        references = known.tolist()
    columns = (found[key] for key in ("names", "values", "stderr", "stderr_first_grouping"))
    return [
        {
            "body": name,
            "value": value,
            "stderr": stderr,
            "stderr_by_time": by_time,
            "reference": reference,
            "relative_error": value / reference - 1 if reference else None,
        }
        for name, value, stderr, by_time, reference in zip(*columns, references, strict=True)
    ]
