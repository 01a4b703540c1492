"""Laws with a break: where messages jump or bend, and candidates joined from the two sides.

Engines of symbolic regression have no conditionals, and a network blurs a jump. So the break is
looked for in the messages on purpose, each side is searched by itself, and the place of the break
becomes a constant that the refit finds on the trajectories.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from numpy.polynomial import chebyshev
from scipy.special import expit

from gnsim.symbolic.curves import are_enough, bent, left_by_curve, misfit_of_one_curve, strengths
from gnsim.symbolic.expressions import as_columns, complexity
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.simplify import relative_loss

#: what stands for the engine of a law with a break
JOINED = "joined"
#: degree of the polynomial on each side; the one across has as many coefficients as both
_SIDE = 8
_PLACES = 60
#: half the width in log r of what a network blurs
_BLUR = 0.1
#: how many times larger the squared misfit of one curve is than that of two where there is a break
_BREAK = 8.0
#: degree of the two curves that are blended at a break, and widths of the blend in log r
_BLENDED, _WIDTHS = 2, (0.005, 0.02, 0.05, 0.1, 0.15)
_FINER = 11
_LEAST_SAMPLES = 30
#: a side whose force is below this share of the other's is a network's idea of none
_NOTHING = 0.05


@dataclass(frozen=True)
class Break:
    """The distance at which messages break, with the ends of the band where they are blurred."""

    distance: float
    low: float
    high: float


def find_break(table: MessageTable) -> Break | None:
    """The place where two smooth curves fit the messages far better than one; None without.

    Curves are polynomials in log r through the inverse hyperbolic sine of the force, per product of
    an attribute of both bodies where that makes one curve of it.
    """
    if not are_enough(table):
        return None
    order = np.argsort(table.X[:, 0])
    u = np.log(table.X[order, 0])
    curves = (bent(table.y / product)[order] for _, _, product in strengths(table))
    z = min(curves, key=lambda z: misfit_of_one_curve(u, z))
    places = np.quantile(u, np.linspace(0.03, 0.97, _PLACES))
    gains = [_gain(u, z, place) for place in places]
    best = int(np.argmax(gains))
    if gains[best] < _BREAK:
        return None
    place = _blended(u, z, places[np.array(gains) > 0])
    return Break(*np.exp([place, place - _BLUR, place + _BLUR]).tolist())


def sides(table: MessageTable, broken: Break) -> tuple[MessageTable, MessageTable]:
    """The messages before and after a break, without those that it blurs."""
    r = table.X[:, 0]
    before, after = (
        replace(table, X=table.X[kept], y=table.y[kept])
        for kept in (r < broken.low, r > broken.high)
    )
    return before, after


def joined(
    before: Sequence[Candidate], after: Sequence[Candidate], broken: Break, table: MessageTable
) -> list[Candidate]:
    """Each form before the break with each after it; a side with next to no force has none."""
    columns = as_columns(table.names, table.X)
    parts = [[c.equation for c in side] for side in (before, after)]
    size = [np.median(np.abs(side.y)) for side in sides(table, broken)]
    for part, own, other in zip(parts, size, reversed(size), strict=True):
        if own < _NOTHING * other:
            part[:] = [sympy.S.Zero]
    inside = symbol("r") < sympy.Float(broken.distance)
    laws = [sympy.Piecewise((a, inside), (b, True)) for a in parts[0] for b in parts[1]]
    whole = [
        Candidate(law, complexity(law), relative_loss(law, columns, table.y), JOINED)
        for law in laws
        if isinstance(law, sympy.Piecewise)
    ]
    return [candidate for candidate in whole if np.isfinite(candidate.loss)]


def _gain(u: np.ndarray, z: np.ndarray, place: float) -> float:
    """The squared misfit of one curve over that of two that meet at `place`."""
    before, after = u < place - _BLUR, u > place + _BLUR
    if min(before.sum(), after.sum()) < _LEAST_SAMPLES:
        return 0.0
    kept = before | after
    one = np.sum(left_by_curve(u[kept], z[kept]) ** 2)
    two = sum(np.sum(left_by_curve(u[part], z[part], _SIDE) ** 2) for part in (before, after))
    return float(one / max(two, 1e-12 * len(z)))


def _blended(u: np.ndarray, z: np.ndarray, places: np.ndarray) -> float:
    """Where one curve turns into another, as a network makes a jump: over some width.

    Curves of low degree, lest they take the ripples that it leaves on both sides for their own.
    """
    x = (2 * u - u[0] - u[-1]) / (u[-1] - u[0])
    powers = chebyshev.chebvander(x, _BLENDED)

    def misfit(place: float) -> float:
        least = np.inf
        for width in _WIDTHS:
            after = expit((u - place) / width)[:, None]
            columns = np.hstack([powers * (1 - after), powers * after])
            found = np.linalg.lstsq(columns, z, rcond=1e-8)[0]
            least = min(least, float(np.mean((z - columns @ found) ** 2)))
        return least

    best = int(np.argmin([misfit(place) for place in places]))
    around = places[max(0, best - 1)], places[min(len(places) - 1, best + 1)]
    return float(min(np.linspace(*around, _FINER), key=misfit))
