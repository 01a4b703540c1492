"""The Pareto front between what an engine returns and what becomes a law.

Files in PySR's columns, candidates on gnsim's own measure of size and loss, numbers to constants.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import sympy

from gnsim.atomic import write_atomic
from gnsim.symbolic.expressions import as_columns, complexity, text_of
from gnsim.symbolic.parser import parse
from gnsim.symbolic.simplify import parametrise, refined, relative_loss, simplify_candidate

COLUMNS = ("Complexity", "Loss", "Equation")
_MAX_ROWS = 10_000


@dataclass(frozen=True)
class Candidate:
    """One equation that an engine offers, with its size and its loss.

    Where it was found as a `potential`, that is kept: its constants stand in several places of the
    force, which is its derivative.
    """

    equation: sympy.Expr
    complexity: int
    loss: float
    engine: str
    potential: sympy.Expr | None = None


def write_front(path: Path, candidates: Iterable[Candidate]) -> Path:
    """`hall_of_fame.csv` in PySR's columns, simplest first, replaced whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for c in sorted(candidates, key=lambda c: (c.complexity, c.loss)):
        writer.writerow([c.complexity, repr(float(c.loss)), text_of(c.equation)])
    return write_atomic(path, text.getvalue())


def read_front(
    path: Path, names: Sequence[str], engine: str, partial: bool = False
) -> list[Candidate]:
    """The candidates of a `hall_of_fame.csv` whose equations are in `names`.

    Raises ValueError with file and row for a missing column, a number or equation that can't be
    read. With `partial` (the writer was stopped) an unreadable last row is left out.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: can't be read as CSV ({error}); run the search again") from None
    header = tuple(name.strip() for name in rows[0]) if rows else ()
    if any(column not in header for column in COLUMNS):
        raise ValueError(
            f"{path}, row 1: expected the columns {', '.join(COLUMNS)}, found {header}"
        )
    if len(rows) > _MAX_ROWS:
        raise ValueError(f"{path}: {len(rows)} rows; at most {_MAX_ROWS} are read")
    order = [header.index(column) for column in COLUMNS]
    found = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            found.append(_candidate([row[k] for k in order], names, engine))
        except (ValueError, IndexError) as error:
            if partial and number == len(rows):
                break
            what = str(error) or "missing cells"
            raise ValueError(
                f"{path}, row {number}: {what}; remove the row or search again"
            ) from None
    return found


def _candidate(cells: Sequence[str], names: Sequence[str], engine: str) -> Candidate:
    size, loss = int(cells[0]), float(cells[1])
    if size < 0 or np.isnan(loss) or loss < 0:
        raise ValueError(f"Complexity {size}, Loss {loss}: expected numbers of at least 0")
    return Candidate(parse(cells[2], names), size, loss, engine)


def pareto_front(
    candidates: Iterable[Candidate], margin: float = 1e-3, floor: float = 1e-13
) -> list[Candidate]:
    """Those that no other beats on both size and loss, simplest first.

    A larger one must lower the loss by the fraction `margin`; losses below `floor` (the square of
    an engine's single precision) are all as good.
    """
    front: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: (c.complexity, c.loss)):
        best = max(front[-1].loss, floor) if front else np.inf
        if np.isfinite(c.loss) and max(c.loss, floor) < best * (1 - margin):
            front.append(c)
    return front


def steepest(front: Sequence[Candidate], count: int) -> list[Candidate]:
    """The `count` members of a front at which the loss falls most for what they cost in size.

    A law stands where the loss falls steeply; what comes after it buys little with much. The
    simplest member stays in any case.
    """
    falls = [
        np.log(max(a.loss, 1e-13) / max(b.loss, 1e-13)) / max(1, b.complexity - a.complexity)
        for a, b in pairwise(front)
    ]
    kept = sorted(sorted(range(1, len(front)), key=lambda k: -falls[k - 1])[: count - 1])
    return [front[k] for k in (0, *kept)] if front else []


def merged(candidates: Iterable[Candidate]) -> list[Candidate]:
    """One of each form: candidates that differ in the values of their constants only are one."""
    best: dict[sympy.Expr, Candidate] = {}
    for c in candidates:
        form = parametrise(c.equation)[0]
        if form not in best or (c.loss, c.complexity) < (best[form].loss, best[form].complexity):
            best[form] = c
    return list(best.values())


def gathered(
    candidates: Iterable[Candidate], names: Sequence[str], samples: np.ndarray, y: np.ndarray
) -> list[Candidate]:
    """The front of all engines' candidates, cleaned, refined, judged by gnsim's own size and loss.

    `samples` is [samples, variables] in the order of `names`, `y` [samples]. Candidates without a
    finite value at some sample are left out.
    """
    both = (variant for c in candidates for variant in _with_and_without_offset(c))
    judged = [judge(c, names, samples, y) for c in both]
    return pareto_front(merged(c for c in judged if np.isfinite(c.loss)))


def _with_and_without_offset(c: Candidate) -> list[Candidate]:
    """Engines fit an offset to every equation; noise alone makes it look useful."""
    offset, rest = sympy.expand_mul(c.equation).as_coeff_Add()
    return [c] if offset == 0 or rest == 0 else [c, replace(c, equation=rest)]


def judge(c: Candidate, names: Sequence[str], samples: np.ndarray, y: np.ndarray) -> Candidate:
    """One candidate with its equation cleaned and refined, and gnsim's own size and loss."""
    columns = as_columns(names, samples)
    equation = refined(simplify_candidate(c.equation, negligible=columns), columns, y)
    equation = simplify_candidate(equation, negligible=columns)
    loss = relative_loss(equation, columns, y)
    return replace(c, equation=equation, complexity=complexity(equation), loss=loss)
