"""A law read from one component of vector messages, as published, and compared with the truth.

Cranmer et al. 2020 (arXiv:2006.11287) hand the strongest component to symbolic regression, with
the attributes of both bodies, the displacement and the distance, and take the equation at which
the logarithm of the mean absolute error falls most for its size. It is right where it is a linear
map of the true force: some direction of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import sympy
import torch
from scipy.optimize import least_squares

from gnsim.graph import distance
from gnsim.models.vector_messages import VectorMessages
from gnsim.symbolic.expressions import bounded, compiled, complexity, evaluated, inlined
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.simplify import parametrise

#: share of the messages that are tabled
_KEPT = 0.9
#: share of its size by which a law, refitted, may differ from a direction of the force
EQUAL = 1e-3
#: and share of variance that it must explain as it was found
_ALIKE = 0.9
_NEGLIGIBLE = 1e-4
#: share of its size below which an equation has gone to nothing
_VANISHED = 1e-3
_SECONDS = 2.0

Columns = Mapping[str, np.ndarray]


def component_table(messages: VectorMessages, count: int, seed: int) -> MessageTable:
    """At most `count` samples of the strongest component, beside Δ, r and the attributes.

    Columns are dx, dy (dz), r, and ``NAME_i, NAME_j`` of target and source. The tenth farthest
    from the median is left out, other than published: with it, close encounters alone decide what
    an engine finds.
    """
    vectors, d = messages.vectors.double(), messages.displacement.double()
    component = vectors[:, vectors.var(0).argmax()]
    columns = {f"d{axis}": values for axis, values in zip("xyz", d.T, strict=False)}
    columns["r"] = distance(d)
    for name, values in messages.target.items():
        columns |= {f"{name}_i": values.double(), f"{name}_j": messages.source[name].double()}
    generator = torch.Generator().manual_seed(seed)
    off = (component - component.median()).abs()
    usual = (off <= off.quantile(_KEPT)).nonzero().squeeze(1)
    chosen = usual[torch.randperm(len(usual), generator=generator)[:count]]
    X = torch.stack([values[chosen] for values in columns.values()], 1)
    return MessageTable(tuple(columns), X.numpy(), component[chosen].numpy(), "1")


def published_choice(
    candidates: Sequence[Candidate], columns: Columns, y: np.ndarray
) -> tuple[Candidate, float]:
    """The candidate of the largest ``-Δlog(MAE) / Δcomplexity`` along the front, and its MAE.

    Raises:
        ValueError: no candidate has a value at every sample.
    """
    judged = [_by_mean_error(c, columns, y) for c in candidates]
    front: list[Candidate] = []
    for c in sorted(judged, key=lambda c: (c.complexity, c.loss)):
        if np.isfinite(c.loss) and (not front or c.loss < front[-1].loss):
            front.append(c)
    if not front:
        raise ValueError(
            f"candidates: none of {len(judged)} has a value at every sample; search again"
        )
    tiny = np.finfo(float).tiny
    falls = [
        np.log(max(a.loss, tiny) / max(b.loss, tiny)) / (b.complexity - a.complexity)
        for a, b in pairwise(front)
    ]
    chosen = front[1 + int(np.argmax(falls))] if falls else front[0]
    return chosen, chosen.loss


def _by_mean_error(c: Candidate, columns: Columns, y: np.ndarray) -> Candidate:
    error = np.abs(evaluated(c.equation, columns) - y).mean()
    return replace(
        c, complexity=complexity(c.equation), loss=float(np.nan_to_num(error, nan=np.inf))
    )


@dataclass(frozen=True)
class Comparison:
    """An equation against the true force.

    `explained` is the share of its variance that directions of the force explain, and `direction`
    the unit vector of that map. `difference` is what remains after its constants were refitted,
    relative to its size; `found`, whether it is the law.
    """

    explained: float
    direction: tuple[float, ...]
    difference: float
    found: bool


def compare(equation: sympy.Expr, columns: Columns, force: np.ndarray) -> Comparison:
    """Whether `equation` is a direction of `force` [samples, dim], up to its constants.

    Close encounters count little more than others: samples are weighted by one over their force,
    where that is above the median.
    A form that only becomes the law when some of its terms vanish is not it.
    """
    size = np.linalg.norm(force, axis=1)
    weight = 1 / (size + np.median(size) + np.finfo(float).tiny)
    basis = np.column_stack([force, np.ones(len(force))]) * weight[:, None]
    found = weight * evaluated(equation, columns)
    if not np.isfinite(found).all():
        return Comparison(0.0, (0.0,) * force.shape[1], 1.0, False)
    map_, rest = _projected(found, basis)
    total = _size(found, basis)
    explained = 1 - float(np.square(rest).sum()) / total**2 if total > 0 else 0.0
    refitted, difference = _refitted(equation, columns, basis, weight)
    right = explained > _ALIKE and difference < EQUAL and _all_needed(refitted, columns)
    length = float(np.linalg.norm(map_[:-1])) or 1.0
    return Comparison(explained, tuple((map_[:-1] / length).tolist()), difference, right)


def _projected(values: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the nearest combination of the columns of `basis`, and what it leaves."""
    coefficients = np.linalg.lstsq(basis, values, rcond=None)[0]
    return coefficients, values - basis @ coefficients


def _size(values: np.ndarray, basis: np.ndarray) -> float:
    """Of what is left of them without a constant."""
    return float(np.linalg.norm(_projected(values, basis[:, -1:])[1]))


def _refitted(
    equation: sympy.Expr, columns: Columns, basis: np.ndarray, weight: np.ndarray
) -> tuple[sympy.Expr, float]:
    """`equation` with the constants that bring it nearest to a direction of the force."""
    form, values = parametrise(equation)
    function = compiled(form, (*columns, *values))
    arrays, start = list(columns.values()), np.array(list(values.values()))
    unit = np.where(start == 0, 1.0, np.abs(start))
    least = _VANISHED * _size(weight * evaluated(equation, columns), basis)

    def residual(change: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = weight * function(*arrays, *(start + unit * change))
        if not np.isfinite(found).all() or (size := _size(found, basis)) <= least:
            return np.full(len(weight), 1.0)
        return _projected(found, basis)[1] / size

    tight = {"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14, "max_nfev": 100}
    best = least_squares(residual, np.zeros(len(start)), **tight) if values else None
    change = np.zeros(0) if best is None else best.x
    constants = dict(zip(values, start + unit * change, strict=True))
    return inlined(form, constants), float(np.linalg.norm(residual(change)))


def _all_needed(equation: sympy.Expr, columns: Columns) -> bool:
    """Whether each of its terms is somewhere more than rounding; a constant may be nothing."""
    expanded = bounded(_SECONDS, sympy.expand, equation)
    if expanded is None:
        return True
    total = np.abs(evaluated(expanded, columns))
    terms = [term for term in sympy.Add.make_args(expanded) if term.free_symbols]
    return all(bool((np.abs(evaluated(t, columns)) > _NEGLIGIBLE * total).any()) for t in terms)
