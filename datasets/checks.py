"""What a user's file holds, what is wrong with it and how to mend it.

Every check is linear in the size of the data but for a sort of the bodies of each frame, and
works through blocks of frames, so that memory stays within a few copies of one block.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gnsim.datasets.coincidence import first_coincidence
from gnsim.datasets.findings import CheckReport, DataError, Finding, error
from gnsim.datasets.formats import read_raw
from gnsim.datasets.raw import Raw
from gnsim.datasets.suspicions import seen_noise, suspicions


def check(path: str | Path, window: int = 1) -> CheckReport:
    """The report on a file that ``gnsim data check`` prints; `read` raises its first error.

    `window` is the number of steps that training needs in one piece. Never raises for a bad file.
    """
    path = Path(path)
    try:
        raw = read_raw(path)
    except DataError as fault:
        return CheckReport(path, (), fault.findings)
    findings = tuple(inspect(raw, window))
    wrong = any(finding.severity == "error" for finding in findings)
    return CheckReport(path, (*contents(raw), *([] if wrong else _noise(raw))), findings)


def _noise(raw: Raw) -> Iterator[str]:
    sizes = zip((raw.spelled("q"), raw.spelled("v")), seen_noise(raw), strict=True)
    if seen := [f"about {size:.2g} in each component of {name}" for name, size in sizes if size]:
        yield f"white noise: {', '.join(seen)}"


def contents(raw: Raw) -> Iterator[str]:
    """What is in the file, a line each."""
    bodies = sorted(set(raw.counts.tolist()))
    many = f"{bodies[0]} to {bodies[-1]}" if len(bodies) > 1 else f"{bodies[0] if bodies else 0}"
    yield f"{len(raw.counts)} trajectories, {len(raw.t)} frames, {many} bodies, {raw.q.shape[-1]}D"
    if len(raw.t):
        yield f"{raw.spelled('t')} from {raw.t[0]:.9g} to {raw.t[-1]:.9g} {raw.units.time}".rstrip()
    given = "given" if raw.v is not None else "not given: estimated from the positions"
    yield f"velocities {given}"
    yield f"per body: {', '.join(sorted(raw.attributes)) or 'nothing (masses are inferred)'}"
    if "fixed" in raw.attributes:
        yield f"held or driven bodies (fixed): {np.count_nonzero(raw.attributes['fixed'])}"
    if raw.names:
        yield f"names: {', '.join(raw.names[:12])}{', ...' if len(raw.names) > 12 else ''}"
    if raw.bonds is not None:
        yield f"{raw.bonds.shape[1]} bonds: no other pairs of bodies interact"
    if raw.box is not None:
        yield f"periodic box {' x '.join(f'{x:.6g}' for x in raw.box)}"
    if raw.walls is not None:
        yield f"walls {' x '.join(f'{low:.6g} to {high:.6g}' for low, high in raw.walls.T)}"


def inspect(raw: Raw, window: int = 1) -> list[Finding]:
    """All findings on arrays whose shapes fit; suspicions only where there are no errors."""
    errors = [finding for look in _CHECKS for finding in look(raw)]
    errors += _window(raw, window)
    return [*errors, *raw.notes, *([] if errors else suspicions(raw))]


def _window(raw: Raw, window: int) -> Iterator[Finding]:
    if len(raw.t) < window + 1:
        wanted = f"at least {window + 1} for a window of {window} step(s)"
        remedy = "give longer trajectories or ask for a shorter window"
        yield error(raw.spelled("t"), f"{len(raw.t)} frame(s)", wanted, remedy)


def _bodies(raw: Raw) -> Iterator[Finding]:
    if not len(raw.counts):
        yield error(raw.spelled("q"), "no trajectories", "at least one", "give some data")
    elif raw.counts.min() < (1 if raw.of_particles else 2):
        system = int(raw.counts.argmin())
        found = f"{raw.counts[system]} bodies" if raw.counts[system] != 1 else "one body"
        remedy = "add the bodies that it interacts with"
        place = f"trajectory {system}" if len(raw.counts) > 1 else ""
        wanted = "at least one" if raw.of_particles else "at least two"
        yield error(raw.spelled("q"), found, wanted, remedy, place)


def _finite(raw: Raw) -> Iterator[Finding]:
    remedy = "remove or repair what holds it"
    for name, array in (("q", raw.q), ("v", raw.v)):
        where = None if array is None else _first(array, lambda block: ~np.isfinite(block))
        if array is not None and where is not None:
            frame, node, axis = where
            found = str(array[frame, node, axis])
            yield error(
                raw.spelled(name), found, "a finite number", remedy, raw.place(node, frame, axis)
            )
    for name, values in raw.attributes.items():
        for node in np.flatnonzero(~np.isfinite(values))[:1].tolist():
            yield error(name, str(values[node]), "a finite number", remedy, raw.place(node))


def _first(array: np.ndarray, bad: Callable[[np.ndarray], np.ndarray]) -> tuple[int, ...] | None:
    """Index of the first entry for which `bad` holds, looked for by blocks of frames."""
    rows = max(1, 2**20 // max(1, array[0].size)) if len(array) else 1
    for start in range(0, len(array), rows):
        mask = bad(array[start : start + rows])
        if mask.any():
            frame, *rest = np.unravel_index(int(mask.argmax()), mask.shape)
            return (int(frame) + start, *(int(x) for x in rest))
    return None


def _times(raw: Raw) -> Iterator[Finding]:
    name = raw.spelled("t")
    for frame in np.flatnonzero(~np.isfinite(raw.t))[:1].tolist():
        found = str(raw.t[frame])
        yield error(name, found, "a finite number", "give every frame its time", f"frame {frame}")
        return
    for frame in np.flatnonzero(np.diff(raw.t) <= 0)[:1].tolist():
        found = f"{raw.t[frame + 1]!s} after {raw.t[frame]!s}"
        remedy = "sort the frames by time and drop repeated ones"
        yield error(name, found, "increasing times", remedy, f"frame {frame + 1}")
        return


def _positive(raw: Raw) -> Iterator[Finding]:
    mass = raw.attributes.get("mass", np.ones(1))
    for node in np.flatnonzero(mass <= 0)[:1].tolist():
        remedy = "correct it, or leave mass out to have it inferred"
        yield error("mass", str(mass[node]), "a mass above zero", remedy, raw.place(node))
    for axis in np.flatnonzero(~_is_length(raw.box))[:1].tolist():
        found = str(raw.box[axis]) if raw.box is not None else ""
        yield error("box", found, "a finite length above zero", "correct it", f"axis {axis}")


def _walls(raw: Raw) -> Iterator[Finding]:
    if raw.walls is None:
        return
    for axis in np.flatnonzero(~(raw.walls[0] < raw.walls[1]))[:1].tolist():
        found = f"{raw.walls[0, axis]} and {raw.walls[1, axis]}"
        remedy = "correct them: the lower ones stand first, and are -inf where it is open"
        yield error("walls", found, "a lower and an upper wall", remedy, f"axis {axis}")
    if raw.box is not None:
        remedy = "leave one of the two out"
        yield error("walls", "walls and a periodic box", "one of the two", remedy)


def _is_length(box: Float[np.ndarray, " dim"] | None) -> np.ndarray:
    return np.ones(1, bool) if box is None else np.isfinite(box) & (box > 0)


def _apart(raw: Raw) -> Iterator[Finding]:
    if raw.of_particles:
        return
    box = raw.box if _is_length(raw.box).all() else None
    found = first_coincidence(raw.q, raw.counts, box)
    if found is not None:
        frame, first, second = found
        place = f"{raw.place(first, frame)} and {raw.place(second).split(', ')[-1]}"
        wanted = "bodies in different places"
        remedy = "remove the copy, or the frames where they touch"
        yield error(
            raw.spelled("q"), f"both at {raw.q[frame, first].tolist()}", wanted, remedy, place
        )


def _bonds(raw: Raw) -> Iterator[Finding]:
    """Between two bodies of every trajectory, once; one of them at least."""
    if raw.bonds is None or not len(raw.counts):
        return
    bodies = int(raw.counts.min())
    wanted = f"pairs of different bodies from 0 to {bodies - 1}, each pair once"
    remedy = "correct it, or leave bonds out where all pairs interact"
    if raw.bonds.shape[1] == 0:
        yield error("bonds", "none", "at least one", remedy)
    outside = ((raw.bonds < 0) | (raw.bonds >= bodies)).any(0) | (raw.bonds[0] == raw.bonds[1])
    _, first = np.unique(np.sort(raw.bonds, axis=0), axis=1, return_index=True)
    again = np.ones(raw.bonds.shape[1], bool)
    again[first] = False
    for bond in np.flatnonzero(outside | again)[:1].tolist():
        found = f"{raw.bonds[:, bond].tolist()}" + (" again" if not outside[bond] else "")
        yield error("bonds", found, wanted, remedy, f"bond {bond}")


_CHECKS: tuple[Callable[[Raw], Iterator[Finding]], ...] = (
    _bodies,
    _finite,
    _times,
    _positive,
    _apart,
    _bonds,
    _walls,
)
