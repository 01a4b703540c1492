"""Messages as one curve of the distance, per product of attributes, and how far off it they are."""

from dataclasses import dataclass

import numpy as np
import sympy
from numpy.polynomial import chebyshev

from gnsim.symbolic.expressions import as_columns
from gnsim.symbolic.messages import MessageTable, attribute_names
from gnsim.symbolic.parser import symbol

#: degree of the curve
_DEGREE = 17
_STRONG = 0.9
#: messages, different distances among them, and span of their logarithms, that a curve takes
_LEAST, _DISTANCES, _SPAN = 100, 50, 0.1
#: share of their spread that messages may be off one curve
_ONE_CURVE = 0.05


@dataclass(frozen=True)
class OneCurve:
    """Messages as `factor` times one curve of the distance: `force` at `r`, [samples], sorted.

    The factor is one, or the product of an attribute, `of`, of both bodies.
    """

    of: str | None
    factor: sympy.Expr
    r: np.ndarray
    force: np.ndarray


def one_curve(table: MessageTable) -> OneCurve | None:
    """None where messages are not one curve, to a few percent, or too few to tell."""
    if not are_enough(table):
        return None
    order = np.argsort(table.X[:, 0])
    r = table.X[order, 0]
    tried = [OneCurve(of, f, r, (table.y / values)[order]) for of, f, values in strengths(table)]
    off = [misfit_of_one_curve(np.log(r), bent(one.force)) for one in tried]
    best = int(np.argmin(off))
    return tried[best] if off[best] < _ONE_CURVE else None


def are_enough(table: MessageTable) -> bool:
    """Whether messages are many, and far enough apart, to tell a curve of the distance."""
    r = np.unique(table.X[:, 0])
    if len(table.y) < _LEAST or len(r) < _DISTANCES or r[0] <= 0 or not np.any(table.y):
        return False
    return bool(np.log(r[-1] / r[0]) >= _SPAN)


def strengths(table: MessageTable) -> list[tuple[str | None, sympy.Expr, np.ndarray]]:
    """One, and the product of each attribute of the two bodies that is zero nowhere, by name."""
    columns = as_columns(table.names, table.X)
    ones = np.ones(len(table.y))
    found: list[tuple[str | None, sympy.Expr, np.ndarray]] = [(None, sympy.S.One, ones)]
    for stem in attribute_names(table.names):
        product = columns[f"{stem}_i"] * columns[f"{stem}_j"]
        if np.all(product != 0):
            found.append((stem, symbol(f"{stem}_i") * symbol(f"{stem}_j"), product))
    return found


def bent(y: np.ndarray) -> np.ndarray:
    """Compressed where it is large, so that no few strong messages rule the misfit."""
    return np.arcsinh(y / max(float(np.quantile(np.abs(y), _STRONG)), np.finfo(float).tiny))


def left_by_curve(u: np.ndarray, z: np.ndarray, degree: int = _DEGREE) -> np.ndarray:
    """What a polynomial of `u`, which is sorted, leaves of `z`."""
    x = (2 * u - u[0] - u[-1]) / (u[-1] - u[0])
    return z - chebyshev.chebval(x, chebyshev.chebfit(x, z, degree))


def misfit_of_one_curve(u: np.ndarray, z: np.ndarray) -> float:
    """The part of the spread that one curve does not explain."""
    return float(np.mean(left_by_curve(u, z) ** 2) / max(np.var(z), 1e-300))
