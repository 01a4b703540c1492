"""Where the bodies go: the truth, the network and the law, seen along the two principal axes."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnsim.bodies import body_names
from gnsim.state import Trajectory
from gnsim.visualize.style import (
    INK,
    LAW,
    NETWORK,
    canvas,
    elapsed,
    label_axes,
    short,
    styled,
    with_unit,
)

if TYPE_CHECKING:
    from gnsim.discovery import Discovery

#: bodies whose distances from the centre differ by this much are shown in two panels
_TWO_PANELS = 8.0
#: a body nearer to the centre than this share of the median distance rests in it
_CENTRAL = 0.05
_FRAMES = 4000
#: bodies that end closer than this, in shares of the panel, have one label
_TOGETHER = 0.05


@dataclass(frozen=True)
class View:
    """Paths [time, bodies, 2] of one system as seen, with the last frame that all of them have."""

    paths: dict[str, np.ndarray]
    names: tuple[str, ...]
    axes: tuple[str, str]
    last: int


@styled
def rollout_figure(discovery: "Discovery") -> Figure:
    """All bodies of the first held-out system; the inner ones where there are two groups."""
    seen = view(discovery)
    inner, _ = groups(seen)
    return _drawn(discovery, seen, inner, "" if inner.all() else ", inner bodies")


@styled
def outer_rollout_figure(discovery: "Discovery") -> Figure | None:
    """The outer bodies about what rests in the centre; None where one panel shows all of them."""
    seen = view(discovery)
    inner, central = groups(seen)
    return None if inner.all() else _drawn(discovery, seen, ~inner | central, ", outer bodies")


def groups(seen: View) -> tuple[np.ndarray, np.ndarray]:
    """Which bodies are inner ones, and which rest in the centre."""
    radius = np.median(np.linalg.norm(seen.paths["truth"], axis=-1), axis=0)
    return inner_bodies(radius), in_the_centre(radius)


def _drawn(discovery: "Discovery", seen: View, chosen: np.ndarray, which: str) -> Figure:
    figure, axes = canvas(f"Rollout on held-out data{which}", height=5.0)
    shown = np.nonzero(chosen)[0]
    _paths(axes, seen, shown)
    axes.margins(0.1)
    if discovery.dataset.test.dim > 1:
        axes.set_aspect("equal", adjustable="datalim")
    _mark_ends(axes, seen, shown)
    _label_ends(axes, seen, shown)
    label_axes(axes, *seen.axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    return figure


def view(discovery: "Discovery") -> View:
    """The first held-out system about its centre of mass, along its two principal axes."""
    truth = _first_system(discovery.dataset.test)
    rollouts = {
        name: _first_system(discovery.rollouts[name].trajectory) for name in ("law", "network")
    }
    mass = rollouts["law"].mass
    centre = (truth.q * mass[:, None]).sum(1, keepdim=True) / mass.sum()
    axes, labels = _projection(truth, centre)
    paths = {
        name: ((path.q - centre[: len(path)]) @ axes).numpy()
        for name, path in {"truth": truth, **rollouts}.items()
    }
    if truth.dim == 1:
        time, label = elapsed(truth)
        labels = (label, labels[0])
        paths = {name: _over_time(time, path) for name, path in paths.items()}
    return View(paths, body_names(truth), labels, min(map(len, paths.values())) - 1)


def in_the_centre(radius: np.ndarray) -> np.ndarray:
    """True for each body that hardly leaves the centre, as the Sun: its orbit needs no room."""
    return radius < _CENTRAL * np.median(radius)


def inner_bodies(radius: np.ndarray) -> np.ndarray:
    """True for each body of the inner group: up to the widest gap in distance from the centre."""
    orbits = np.sort(radius[~in_the_centre(radius)])
    if len(orbits) < 4 or orbits[-1] < _TWO_PANELS * orbits[0]:
        return np.ones(len(radius), dtype=bool)
    return radius <= orbits[int(np.argmax(np.diff(np.log(orbits))))]


def _first_system(path: Trajectory) -> Trajectory:
    one = path.systems(torch.tensor([0])) if path.num_systems > 1 else path
    return replace(one, q=one.q.double(), p=one.p.double())


def _projection(truth: Trajectory, centre: torch.Tensor) -> tuple[torch.Tensor, tuple[str, str]]:
    """The axes [dim, at most 2] to look along, and their labels."""
    unit = truth.units.length
    if truth.dim <= 2:
        names = ("x", "y")[: truth.dim]
        labels = [with_unit(name, unit) for name in names]
        return torch.eye(truth.dim, dtype=torch.float64), (labels[0], labels[-1])
    points = (truth.q - centre).reshape(-1, truth.dim)
    _, vectors = torch.linalg.eigh(points.T @ points)
    labels = [with_unit(f"{nth} principal axis", unit) for nth in ("first", "second")]
    return vectors[:, [-1, -2]], (labels[0], labels[1])


def _over_time(time: np.ndarray, path: np.ndarray) -> np.ndarray:
    wide = np.broadcast_to(time[: len(path), None, None], path.shape)
    return np.concatenate([wide, path], -1)


def _paths(axes: Axes, seen: View, shown: np.ndarray) -> None:
    lines: dict[str, dict[str, Any]] = {
        "truth": {"color": "#c8c8c8", "lw": 3.0},
        "network": {"color": NETWORK, "lw": 1.0, "alpha": 0.75},
        "law": {"color": LAW, "lw": 0.9, "dashes": (4, 2.5)},
    }
    for name, line in lines.items():
        path = seen.paths[name]
        step = max(1, len(path) // _FRAMES)
        for k, body in enumerate(shown):
            label: dict[str, Any] = {"label": name} if k == 0 else {}
            axes.plot(path[::step, body, 0], path[::step, body, 1], **line, **label)


def _mark_ends(axes: Axes, seen: View, shown: np.ndarray) -> None:
    marks: dict[str, dict[str, Any]] = {
        "truth": {"marker": "o", "ms": 8, "mfc": "white", "mec": "#777777", "mew": 1.2},
        "network": {"marker": "x", "ms": 6, "color": NETWORK, "mew": 1.6},
        "law": {"marker": ".", "ms": 6, "color": LAW},
    }
    for name, mark in marks.items():
        ends = seen.paths[name][seen.last, shown]
        axes.plot(ends[:, 0], ends[:, 1], ls="", zorder=4, **mark)


def _label_ends(axes: Axes, seen: View, shown: np.ndarray) -> None:
    """One label for bodies that end together, beside the true end."""
    ends = seen.paths["truth"][seen.last]
    room = _TOGETHER * np.ptp(seen.paths["truth"][:, shown].reshape(-1, 2), axis=0).max()
    left = list(shown)
    while left:
        first = left[0]
        near = [b for b in left if np.linalg.norm(ends[b] - ends[first]) < room]
        left = [b for b in left if b not in near]
        axes.annotate(
            ", ".join(short(seen.names[b]) for b in near),
            tuple(ends[first]),
            xytext=(7, 6),
            textcoords="offset points",
            fontsize=9,
            color=INK,
            zorder=5,
            parse_math=False,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75},
        )
