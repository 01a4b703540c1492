"""What the network sends along its edges, against the law that was read out of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnsim.visualize.style import (
    CURVE,
    INK,
    LAW,
    MINUS,
    NETWORK,
    canvas,
    label_axes,
    styled,
    with_unit,
)

if TYPE_CHECKING:
    from gnsim.discovery import Discovery
    from gnsim.symbolic.messages import MessageTable

_CURVE = "sharpened on trajectories"
#: least ratio of large to small messages that asks for logarithmic axes
_DECADES = 30.0
#: residuals beyond so many times the 99th percentile leave the panel
_WILD = 3.0
_POINTS: Mapping[str, Any] = {
    "ls": "",
    "marker": ".",
    "ms": 5,
    "mew": 0,
    "alpha": 0.45,
    "rasterized": True,
    "zorder": 4,
}


@styled
def message_figure(discovery: "Discovery") -> Figure:
    """Messages against distance with the law's curve through them.

    Where the force also depends on attributes of the bodies there is no single curve; messages
    then stand against the law's value for the same two bodies.
    """
    figure, axes = canvas("Messages of the network and the law")
    if not _attributes_in_law(discovery):
        _against_distance(axes, discovery)
    else:
        _against_law(axes, discovery)
    axes.legend(markerscale=2)
    return figure


@styled
def residual_figure(discovery: "Discovery") -> Figure:
    """How far the messages are from the law, over the law itself or over its typical size."""
    table = discovery.messages
    predicted = law_values(discovery)
    logarithmic = spans_decades(table.y)
    size = np.abs(predicted) if logarithmic else np.sqrt(np.mean(predicted**2))
    with np.errstate(all="ignore"):
        residual = (table.y - predicted) / size
    figure, axes = canvas("Messages minus the law")
    axes.axhline(0, color=LAW, lw=1.4)
    axes.plot(table.X[:, 0], residual, color=NETWORK, **_POINTS)
    beyond = _limit(axes, np.abs(residual[np.isfinite(residual)]))
    axes.set_xscale("log" if logarithmic else "linear")
    of = "law" if logarithmic else "rms of law"
    unit = discovery.law.units.length
    label_axes(axes, with_unit("distance r", unit), f"(message {MINUS} law) / {of}{beyond}")
    return figure


def law_values(
    discovery: "Discovery", r: np.ndarray | None = None, table: "MessageTable | None" = None
) -> np.ndarray:
    """The law's force where messages of a table are, or at distances `r` for bodies of mass one.

    The table is the network's where none is given.

    What multiplies messages by construction is one here, as it was taken out of them.
    """
    table = table or discovery.messages
    columns: Mapping[str, np.ndarray] = (
        {name: table.X[:, k] for k, name in enumerate(table.names)} if r is None else {"r": r}
    )
    distance = torch.as_tensor(columns["r"], dtype=torch.float64)
    ends = [
        {
            name: torch.as_tensor(columns.get(f"{name}_{end}", np.ones(len(distance))))
            for name in discovery.law.attributes
        }
        for end in "ji"
    ]
    with torch.no_grad():
        return discovery.law.dynamics().pair.force(distance, *ends).numpy()


def spans_decades(values: np.ndarray) -> bool:
    """Whether values are of one sign and spread widely, so that logarithmic axes suit them."""
    one_sign = max(np.mean(values > 0), np.mean(values < 0)) > 0.99
    low, high = np.quantile(np.abs(values), (0.005, 0.995))
    return bool(one_sign and high > _DECADES * low)


def _limit(axes: Axes, sizes: np.ndarray) -> str:
    """Sets limits at which a few wild messages do not hide the rest, and says how many leave."""
    if not len(sizes):
        return ""
    limit = min(sizes.max(), _WILD * np.quantile(sizes, 0.99))
    axes.set_ylim(-1.15 * max(limit, 1e-12), 1.15 * max(limit, 1e-12))
    beyond = int((sizes > 1.15 * limit).sum())
    return f"\n({beyond} of {len(sizes)} beyond the panel)" if beyond else ""


def _attributes_in_law(discovery: "Discovery") -> bool:
    """Whether the force, apart from what multiplies messages, depends on more than distance."""
    return any(f"{name}_i" in discovery.messages.names for name in discovery.law.attributes)


def _against_distance(axes: Axes, discovery: "Discovery") -> None:
    table = discovery.messages
    r = table.X[:, 0]
    logarithmic = spans_decades(table.y)
    sign = -1.0 if logarithmic and np.median(table.y) < 0 else 1.0
    sense = "positive attracts" if not logarithmic else "repulsive" if sign < 0 else "attractive"
    grid = (np.geomspace if logarithmic else np.linspace)(r.min(), r.max(), 400)
    label = f"message, {len(r)} sampled"
    axes.plot(r, sign * table.y, color=NETWORK, label=label, **_POINTS)
    if (sharp := discovery.sharpened) is not None:
        style = {**_POINTS, "alpha": 1.0, "zorder": 5}
        axes.plot(sharp.X[:, 0], sign * sharp.y, color=CURVE, label=_CURVE, **style)
    law = sign * law_values(discovery, grid)
    axes.plot(grid, law, color=LAW, lw=1.6, label="law", zorder=6)
    if logarithmic:
        axes.set(xscale="log", yscale="log")
    else:
        axes.axhline(0, color=INK, lw=0.6)
    label_axes(
        axes,
        with_unit("distance r", discovery.law.units.length),
        _force_label(discovery, f", {sense}"),
    )


def _against_law(axes: Axes, discovery: "Discovery") -> None:
    y, predicted = discovery.messages.y, law_values(discovery)
    sharp, logarithmic = discovery.sharpened, False
    if spans_decades(y) and spans_decades(predicted) and np.median(y) * np.median(predicted) > 0:
        y, predicted, logarithmic = np.abs(y), np.abs(predicted), True
        axes.set(xscale="log", yscale="log")
    ends = [np.nanmin(predicted), np.nanmax(predicted)]
    axes.plot(predicted, y, color=NETWORK, label=f"message, {len(y)} sampled", **_POINTS)
    if sharp is not None:
        style = {**_POINTS, "alpha": 1.0, "zorder": 5}
        by_law, curve = law_values(discovery, table=sharp), sharp.y
        if logarithmic:
            by_law, curve = np.abs(by_law), np.abs(curve)
        axes.plot(by_law, curve, color=CURVE, label=_CURVE, **style)
    axes.plot(ends, ends, color=LAW, lw=1.6, label="message = law", zorder=6)
    label_axes(axes, _force_label(discovery, " by the law"), _force_label(discovery, ", message"))


def _force_label(discovery: "Discovery", remark: str) -> str:
    units = discovery.law.units
    factor = discovery.messages.factor
    of_masses = factor == "mass_i*mass_j"
    known = units.length and units.time
    unit = f"{units.length} / {units.time}²" if known else ""
    if known and of_masses and "mass" in discovery.law.hidden:
        unit += f" per {discovery.law.hidden['mass'].unit}"
    elif known and units.mass:
        unit = f"{units.mass} {unit}"
    if factor not in ("1", "mass_i*mass_j"):
        unit = ""  # of a charge that nobody gave
    divided = {"1": "", "mass_i*mass_j": " / (m_i m_j)", "charge_i*charge_j": " / (q_i q_j)"}
    name = f"force{divided[factor]}{remark}"
    return f"{name}\n({unit})" if unit else name
