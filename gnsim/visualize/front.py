"""The candidates: how well each describes the messages, and the motion that was held out."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gnsim.visualize.style import CHOSEN, INK, LAW, NETWORK, canvas, label_axes, styled

if TYPE_CHECKING:
    from gnsim.discovery import Discovery

_SMALLEST = 1e-18


@styled
def front_figure(discovery: "Discovery") -> Figure:
    """Loss on the messages against complexity: what the engines of regression offered."""
    front = discovery.front
    figure, axes = canvas("Pareto front on the messages")
    sizes = [c.complexity for c in front]
    losses = np.clip([c.loss for c in front], _SMALLEST, None)
    axes.step(sizes, losses, where="post", color=NETWORK, lw=1, alpha=0.6)
    axes.plot(sizes, losses, "o", color=NETWORK, ms=6, label="candidate")
    chosen = discovery.selection.chosen
    # rounding of exponents gives a candidate of another size, but its parent's loss and engine
    for c in front:
        if (c.loss, c.engine) == (chosen.loss, chosen.engine):
            _ring(axes, c.complexity, max(c.loss, _SMALLEST))
    _finish(axes, "loss on the messages")
    return figure


@styled
def held_out_figure(discovery: "Discovery") -> Figure:
    """Error of each refitted candidate against its size: what the choice rests on.

    In held-out windows; in noise, in all.
    """
    selection = discovery.selection
    of = "held-out motion" if selection.chosen.misfit is None else "all motion"
    figure, axes = canvas(f"The same forms, refitted, on {of}")
    sizes = [s.complexity for s in selection.scored]
    errors = np.clip([s.error for s in selection.scored], _SMALLEST, None)
    axes.plot(sizes, errors, "o", color=LAW, ms=6, label="candidate")
    _ring(axes, selection.chosen.complexity, max(selection.chosen.error, _SMALLEST))
    _finish(axes, f"error on {of}, relative to acceleration")
    return figure


def _ring(axes: Axes, x: int, y: float) -> None:
    ring: dict[str, Any] = {
        "marker": "o",
        "mfc": "none",
        "mec": CHOSEN,
        "mew": 2.4,
        "ms": 15,
        "ls": "",
    }
    axes.plot([x], [y], label="chosen", zorder=4, **ring)
    axes.annotate(
        "chosen",
        (x, y),
        xytext=(0, -18),
        textcoords="offset points",
        ha="center",
        color=CHOSEN,
        weight="bold",
    )


def _finish(axes: Axes, y: str) -> None:
    axes.set_yscale("log")
    axes.margins(x=0.08, y=0.16)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(colors=INK)
    label_axes(axes, "complexity (nodes of the expression)", y)
