"""The process that Operon runs in: ``python -m gnsim.symbolic.engines.operon_child FOLDER``.

Never imports torch. The search is a row of short restarts that take turns among three alphabets
(rational, transcendental, powers): each finds laws that the others miss, and the front so far is
written after each. The number of restarts is fixed, so that a seed repeats unless time runs out.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
from pyoperon.sklearn import SymbolicRegressor

from gnsim.symbolic.engines.base import FRONT, SAMPLES, SETTINGS
from gnsim.symbolic.expressions import text_of
from gnsim.symbolic.front import Candidate, gathered, merged, pareto_front, write_front
from gnsim.symbolic.parser import ParseError, parse

#: `pow` of a negative base is NaN in Operon; `powabs` is the same law on r > 0
ALPHABETS = (
    "add,sub,mul,div,square,sqrt,constant,variable",
    "add,sub,mul,div,square,exp,log,constant,variable",
    "add,sub,mul,div,powabs,constant,variable",
)
RESTARTS = 6
SAMPLES_USED = 400
SEARCH = {
    "objectives": ["nmse", "length"],
    "population_size": 1000,
    "generations": 15,
    "max_evaluations": 10**9,
    "optimizer_iterations": 5,
    "max_length": 20,
    "max_depth": 8,
    "epsilon": 1e-6,
    "n_threads": 1,
}
#: share of the limit after which no restart begins; seconds that sorting what was found may take
_SHARE, _SORTING = 0.8, 3.0
#: the loss that no restart can improve
_EXACT = 1e-12
_NUMBER = re.compile(r"\d+\.\d+")


def main(folder: Path) -> None:
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    with np.load(folder / SAMPLES, allow_pickle=False) as data:
        X, y = data["X"], data["y"]
    names, seed = settings["names"], settings["seed"]
    X, y = _subset(X, y, seed)
    limit = settings["time_limit"]
    until = settings["started"] + min(_SHARE * limit, limit - _SORTING)
    front: list[Candidate] = []
    for restart in range(RESTARTS):
        left = until - time.time()
        if left < 1.0 and front:
            break
        front = pareto_front(merged(front + _restart(X, y, names, seed, restart, left)))
        if front:
            write_front(folder / FRONT, front)
        if front and front[-1].loss < _EXACT:
            break


def _subset(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if len(y) <= SAMPLES_USED:
        return X, y
    chosen = np.sort(np.random.default_rng(seed).choice(len(y), SAMPLES_USED, replace=False))
    return X[chosen], y[chosen]


def _restart(
    X: np.ndarray, y: np.ndarray, names: list[str], seed: int, restart: int, left: float
) -> list[Candidate]:
    scale = float(np.std(y)) or 1.0
    regressor = SymbolicRegressor(
        allowed_symbols=ALPHABETS[restart % len(ALPHABETS)],
        random_state=(seed * RESTARTS + restart) % 2**32,
        max_time=max(1, int(left)),
        **SEARCH,
    )
    regressor.fit(X, y / scale)
    texts = [
        regressor.get_model_string(entry["tree"], 40, names) for entry in regressor.pareto_front_
    ]
    found = gathered([c for t in texts for c in _candidates(t, names, scale)], names, X, y)
    return [c for c in found if _readable(c, names)]


def _readable(candidate: Candidate, names: list[str]) -> bool:
    """Whether the parser takes it: its constants, fitted again, may be beyond all bounds."""
    try:
        parse(text_of(candidate.equation), names)
    except ParseError:
        return False
    return True


def _candidates(text: str, names: list[str], scale: float) -> list[Candidate]:
    """The equation in Operon's 40 decimals; none where it is no finite formula."""
    short = _NUMBER.sub(lambda digits: repr(float(digits[0])), text)
    try:
        return [Candidate(scale * parse(short, names), 0, 0.0, "operon")]
    except ParseError:
        return []


if __name__ == "__main__":
    main(Path(sys.argv[1]))
