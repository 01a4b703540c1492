"""Inferred couplings against the reference values, where there are any."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from gnsim.bodies import couplings
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
