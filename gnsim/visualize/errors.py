"""Relative error of each position over a rollout: a panel for the law, one for the network."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from gnsim.bodies import body_names
from gnsim.visualize.energy import thinned
from gnsim.visualize.style import (
    PALETTE,
    canvas,
    elapsed,
    label_axes,
    label_ends,
    styled,
)

if TYPE_CHECKING:
    from gnsim.discovery import Discovery

_ROUNDING = 1e-17
_DASHES = ((), (5, 2), (1.5, 1.5))


@styled
def law_error_figure(discovery: "Discovery") -> Figure:
    """Of the law; both panels have the same axes."""
    return _drawn(discovery, "law")


@styled
def network_error_figure(discovery: "Discovery") -> Figure:
    """Of the network."""
    return _drawn(discovery, "network")


def largest_so_far(discovery: "Discovery", name: str) -> np.ndarray:
    """Largest relative position error up to each frame, [time, bodies], of the worst system."""
    bodies = len(body_names(discovery.dataset.test))
    error = discovery.rollouts[name].position_error.double().numpy()
    by_place = error.reshape(len(error), -1, bodies).max(1)
    return np.maximum.accumulate(by_place, axis=0)


def _drawn(discovery: "Discovery", name: str) -> Figure:
    truth = discovery.dataset.test
    names = body_names(truth)
    figure, axes = canvas(f"Position error of the {name}'s rollout", height=4.6)
    path = thinned(discovery.rollouts[name].trajectory)
    errors = thinned_like(largest_so_far(discovery, name), len(path))
    t, label = elapsed(path)
    colours = [PALETTE[k % len(PALETTE)] for k in range(len(names))]
    for k, colour in enumerate(colours):
        line = np.maximum(errors[1:, k], _ROUNDING)
        axes.plot(t[1:], line, color=colour, dashes=_DASHES[k // len(PALETTE) % len(_DASHES)])
    axes.set_yscale("log")
    axes.set_ylim(*_limits(discovery))
    if len(path) > 1:
        axes.set_xlim(0, t[-1])
        label_ends(axes, names, np.maximum(errors[-1], _ROUNDING).tolist(), colours)
    of = f", worst of {truth.num_systems} systems" if truth.num_systems > 1 else ""
    label_axes(axes, label, f"largest relative error so far{of}")
    return figure


def thinned_like(values: np.ndarray, frames: int) -> np.ndarray:
    """`values` at the frames that `thinned` keeps."""
    step = max(1, -(-len(values) // frames)) if frames else 1
    return values[::step]


def _limits(discovery: "Discovery") -> tuple[float, float]:
    values = np.concatenate([largest_so_far(discovery, n)[1:].ravel() for n in ("law", "network")])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 1e-12, 1.0
    # the first frames say little; they may leave the panel below
    return float(max(np.quantile(values, 0.01) / 2, _ROUNDING)), float(values.max() * 2)
