"""Errors of a learned simulator over a rollout: panels for positions and for each energy."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gnsim.metrics import quantile
from gnsim.state import Units
from gnsim.visualize.style import (
    LAW,
    MINUS,
    NETWORK,
    TRUTH,
    canvas,
    canvases,
    elapsed,
    label_axes,
    short,
    styled,
    with_unit,
)

if TYPE_CHECKING:
    from gnsim.simulators import Evaluation


@styled
def evaluation_figure(found: "Evaluation", data: str) -> Figure:
    """Median over trajectories, and the 99th percentile, of each curve over time; one is itself.

    `data` is the name of what was rolled out. A cross is where a trajectory ended, for its numbers
    were not finite from there on.
    """
    figure, panels = _panels(len(found.curves), _title(found, data))
    t, label = elapsed(found.truth)
    labels = _labels(found.truth.units)
    for axes, (name, curve) in zip(panels, found.curves.items(), strict=True):
        _draw(axes, t, curve)
        axes.set_ylabel(labels[name], parse_math=False)
    threshold = found.settings["valid_threshold"]
    panels[0].axhline(threshold, color=TRUTH, lw=0.8, ls="--", label="valid below")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    label_axes(panels[-1], label, panels[-1].get_ylabel())
    return figure


def _title(found: "Evaluation", data: str) -> str:
    said, unit = found.settings, found.truth.units.time
    step = f"{said['tested_step']:g} {short(unit)}" if unit else f"{said['tested_step']:g}"
    how = f"{said['model']} by {said['tested_integrator']} in steps of {step}"
    return f"{short(data)}, {found.systems}\n{how}"


def _labels(units: Units) -> dict[str, str]:
    """What each curve is of, by its name; but for the squared error all are ratios."""
    return {
        "position": "position error over spread",
        "position MSE": with_unit("position MSE", units.area),
        "energy": f"|H {MINUS} H true| over max(|H|, T)",
        "own energy": f"own |H(t) {MINUS} H(0)| over max T",
    }


def _panels(count: int, title: str) -> tuple[Figure, list[Axes]]:
    if count > 1:
        return canvases(count, title)
    figure, axes = canvas(title)
    return figure, [axes]


def _draw(axes: Axes, t: np.ndarray, curve: Float[Tensor, "time systems"]) -> None:
    """Both quantiles, from the first step on; nothing is drawn where it is zero or infinite."""
    shares = ((0.5, LAW, "median"), (0.99, NETWORK, "99 in 100 below"))
    for share, colour, name in shares if curve.shape[1] > 1 else ((0.5, LAW, "error"),):
        line = quantile(curve, share).numpy()
        drawn = np.where((line > 0) & np.isfinite(line), line, np.nan)
        axes.plot(t[1:], drawn[1:], color=colour, label=name)
    ends = curve.isfinite().long().cumprod(0).sum(0) - 1
    ended = [(t[k], curve[k, system]) for system, k in enumerate(ends.tolist()) if k < len(t) - 1]
    if ended:
        axes.plot(*zip(*ended, strict=True), "x", color=NETWORK, label="ended")
    axes.set_yscale("log")
    axes.margins(x=0.02)
