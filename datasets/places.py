"""What looks wrong about where bodies are: beyond walls, at jumps of a box, always in one place."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool

from gnsim.datasets.findings import Finding
from gnsim.datasets.raw import Raw

#: of what bodies cover: a way beyond a wall, and steps that are jumps, and small
_BEYOND, _JUMP, _SMALL = 0.01, 0.8, 0.1
#: frames whose steps tell the usual one
_LOOKED_AT = 200


def of_places(raw: Raw) -> Iterator[Finding]:
    """Warnings on positions that have no errors."""
    extent = np.ptp(raw.q, axis=(0, 1))
    yield from _outside(raw, _BEYOND * extent)
    yield from _wrapped(raw, extent)
    yield from _still(raw)


def _free(raw: Raw) -> Bool[np.ndarray, " nodes"]:
    return raw.attributes.get("fixed", np.zeros(raw.q.shape[1])) == 0


def _outside(raw: Raw, most: np.ndarray) -> Iterator[Finding]:
    """Bodies that move; those of a wall may stand behind it."""
    if raw.walls is None:
        return
    low, high = raw.walls
    beyond = np.maximum(low - raw.q.min(0), raw.q.max(0) - high)
    out = (beyond > most) & _free(raw)[:, None]
    for node, axis in np.argwhere(out)[:1].tolist():
        found = f"bodies up to {beyond[out].max():.4g} beyond a wall, {out.any(1).sum()} of them"
        remedy = "correct the walls, or leave them out where bodies pass them"
        wanted = "walls that keep bodies in"
        yield Finding("warning", "walls", found, wanted, remedy, raw.place(node, axis=axis))


def _wrapped(raw: Raw, extent: np.ndarray) -> Iterator[Finding]:
    """One step over nearly all that bodies cover, among steps that are small."""
    if raw.box is not None:
        return
    some = np.abs(np.diff(raw.q[: 1 + _LOOKED_AT], axis=0))
    slow = np.median(some, axis=(0, 1)) < _SMALL * extent
    for frame in range(1, len(raw.t)):
        jumps = (np.abs(raw.q[frame] - raw.q[frame - 1]) > _JUMP * extent) & slow
        for node, axis in np.argwhere(jumps)[:1].tolist():
            found = f"a step over nearly all of the {extent[axis]:.4g} that bodies cover"
            wanted = "a box, where positions are wrapped into one"
            remedy = "give 'box', the sides of the periodic box, or positions that are not wrapped"
            place = raw.place(node, frame, axis)
            yield Finding("warning", raw.spelled("q"), found, wanted, remedy, place)
            return


def _still(raw: Raw) -> Iterator[Finding]:
    if not np.ptp(raw.q, axis=0)[_free(raw)].any():
        remedy = "check that frames differ, and that not all bodies are fixed"
        wanted = "motion to learn from"
        yield Finding("warning", raw.spelled("q"), "no body that moves", wanted, remedy)
