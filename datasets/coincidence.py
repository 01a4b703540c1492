"""Two bodies in one place, found by sorting instead of by comparing all pairs."""

import numpy as np
from jaxtyping import Float, Int

#: coordinates sorted at a time
_BLOCK = 2**20


def first_coincidence(
    q: Float[np.ndarray, "time nodes dim"],
    counts: Int[np.ndarray, " systems"],
    box: Float[np.ndarray, " dim"] | None = None,
) -> tuple[int, int, int] | None:
    """Frame and the two nodes of the first pair of one system at exactly the same position.

    Positions that are not finite coincide with nothing.
    """
    system = np.repeat(np.arange(len(counts)), counts)
    rows = max(1, _BLOCK // max(1, len(system)))
    for start in range(0, len(q), rows):
        block = q[start : start + rows]
        if box is not None:
            block = np.mod(block, box)
        for frame in np.flatnonzero(_repeats(block[..., 0])).tolist():
            pair = _pair(block[frame], system)
            if pair is not None:
                return start + frame, *pair
    return None


def _repeats(x: Float[np.ndarray, "time nodes"]) -> np.ndarray:
    """Frames in which one coordinate has a value twice: the only ones worth a closer look."""
    ordered = np.sort(x, axis=1)
    return (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)


def _pair(
    q: Float[np.ndarray, "nodes dim"], system: Int[np.ndarray, " nodes"]
) -> tuple[int, int] | None:
    order = np.lexsort((*q.T, system))
    same = (q[order[1:]] == q[order[:-1]]).all(axis=1) & (system[order[1:]] == system[order[:-1]])
    if not same.any():
        return None
    at = int(same.argmax())
    first, second = sorted((int(order[at]), int(order[at + 1])))
    return first, second
