"""How all figures look: palette, sizes, axes, and labels that stand beside their lines."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnsim.state import Trajectory

#: M. Okabe, K. Ito (2008), Color Universal Design; yellow left out, for it fades on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
TRUTH, LAW, NETWORK, CHOSEN = "#999999", "#0072B2", "#D55E00", "#009E73"
#: messages as trajectories sharpened them
CURVE = "#56B4E9"
INK = "#222222"
MINUS = "\N{MINUS SIGN}"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": "#777777",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#eeeeee",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,
}

_LONGEST_NAME = 24
_DAYS_PER_YEAR = 365.25
#: least distance of two labels, as a share of the axis
_LABEL_GAP = 0.052


def styled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A drawing function that runs, and lays out, under `STYLE` and leaves no setting behind."""

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def canvas(title: str, width: float = 5.4, height: float = 4.2) -> tuple[Figure, Axes]:
    """An empty figure of one panel, sized in inches; it belongs to no window and no pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, parse_math=False)
    return figure, axes


def canvases(count: int, title: str, width: float = 5.4) -> tuple[Figure, list[Axes]]:
    """As `canvas`, with so many panels one below the other over one horizontal axis."""
    figure = Figure(figsize=(width, 2.1 + 1.9 * count), layout="constrained")
    panels = list(figure.subplots(count, 1, sharex=True))
    panels[0].set_title(title, parse_math=False)
    return figure, panels


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Axis labels as plain text: names and units come from files and are no mathematics."""
    axes.set_xlabel(x, parse_math=False)
    axes.set_ylabel(y, parse_math=False)


def with_unit(text: str, unit: str) -> str:
    """``distance (au)``, or the text alone where the unit is unknown."""
    return f"{text} ({short(unit)})" if unit else text


def short(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name that fits beside a line: printable, on one line, not too long."""
    clean = "".join(c if c.isprintable() else " " for c in name).strip() or "?"
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def elapsed(trajectory: Trajectory) -> tuple[np.ndarray, str]:
    """Time since the first frame and its label; years where it is many days."""
    t = (trajectory.t - trajectory.t[0]).double().numpy()
    unit = trajectory.units.time
    if unit in ("d", "day", "days") and t[-1] > 2 * _DAYS_PER_YEAR:
        return t / _DAYS_PER_YEAR, "time (years)"
    return t, with_unit("time", unit)


def label_ends(axes: Axes, names: Sequence[str], ends: Sequence[float], colours: Sequence) -> None:
    """Names to the right of the axes, each level with the end of its line or as near as it can be.

    Call it when the limits of the axes are final.
    """
    usable = [k for k, end in enumerate(ends) if np.isfinite(end)]
    heights = [_height(axes, ends[k]) for k in usable]
    for k, height, place in zip(usable, heights, spread(heights, _LABEL_GAP), strict=True):
        axes.annotate(
            short(names[k]),
            xy=(1.0, height),
            xytext=(1.06, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=colours[k],
            fontsize=9,
            va="center",
            parse_math=False,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colours[k], "lw": 0.6, "shrinkA": 0},
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved apart to `gap`, in order, near where they were; within 0 and 1 if they fit."""
    order = np.argsort(heights, kind="stable")
    placed = np.asarray(heights, dtype=float)[order]
    for _ in range(200):
        lack = gap - np.diff(placed)
        if not (lack > 1e-6).any():
            break
        push = np.clip(lack, 0, None) / 2
        placed[:-1] -= push
        placed[1:] += push
        placed = np.maximum(placed, gap * np.arange(len(placed)))
        if gap * (len(placed) - 1) <= 1:
            placed = np.minimum(placed, 1 - gap * np.arange(len(placed))[::-1])
    result = np.empty_like(placed)
    result[order] = placed
    return result.tolist()


def _height(axes: Axes, value: float) -> float:
    position = axes.transData.transform((0.0 if axes.get_xscale() == "linear" else 1.0, value))
    return float(np.clip(axes.transAxes.inverted().transform(position)[1], 0, 1))


def rendered(figure: Figure, kind: str = "png", dpi: int = 160) -> bytes:
    """The figure as the bytes of a file, the same ones for the same figure."""
    stamp = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None}}
    stream = io.BytesIO()
    with mpl.rc_context(STYLE), _any_script():
        figure.savefig(stream, format=kind, dpi=dpi, metadata=stamp.get(kind))
    return stream.getvalue()


@contextmanager
def _any_script() -> Iterator[None]:
    """Names may be in a script that the font lacks; boxes stand for it, without a warning each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+", category=UserWarning)
        yield
