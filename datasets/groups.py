"""Trajectories that a file keeps apart, each in a group of arrays: compared, and joined."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from gnsim.datasets.findings import DataError, Finding, error
from gnsim.datasets.metadata import Metadata, in_dimension
from gnsim.datasets.raw import UNITS, Raw
from gnsim.datasets.structure import Arrays, attributes_of, strings, structure
from gnsim.state import Units

#: what q, v and t are called in such files
SPELLED = {"q": "position", "v": "velocity", "t": "time"}
_AXES = {3: "time, bodies, dim"}


def joined(path: Path, groups: Mapping[str, Arrays], metadata: Metadata) -> Raw:
    """All groups of the file side by side. Raises DataError with all that is wrong in them.

    Positions and velocities may still be in the file: they are read one group at a time.
    """
    faults = [*_inside(groups), *([] if groups else [_empty()])] or list(_between(groups))
    if faults:
        raise DataError(path, faults)
    dim = next(iter(groups.values()))["q"].shape[-1]
    return _assemble(list(groups.values()), in_dimension(metadata, dim, path))


def _inside(groups: Mapping[str, Arrays]) -> Iterator[Finding]:
    for key, arrays in groups.items():
        yield from structure(arrays, _AXES, partial(_spelled, key))


def _spelled(key: str, name: str) -> str:
    return f"{key}/{SPELLED.get(name, name)}"


def _empty() -> Finding:
    return error(
        "file", "no groups", "a group 00000 that holds position", "store each trajectory in a group"
    )


def _between(groups: Mapping[str, Arrays]) -> Iterator[Finding]:
    """What must be the same in all groups: times, dimension, box, and which arrays there are."""
    first_key, first = next(iter(groups.items()))
    for key, arrays in groups.items():
        here = f"as in {first_key}"
        if not np.array_equal(arrays["t"], first["t"], equal_nan=True):
            found = f"{len(arrays['t'])} other times"
            remedy = "cut or resample the trajectories to common times"
            yield error(f"{key}/time", found, f"the {len(first['t'])} times {here}", remedy)
        if arrays["q"].shape[-1] != first["q"].shape[-1]:
            found, wanted = (f"{a['q'].shape[-1]} dimensions" for a in (arrays, first))
            yield error(
                f"{key}/position", found, f"{wanted} {here}", "store them in separate files"
            )
        if arrays.keys() != first.keys():
            found, wanted = (", ".join(sorted(a)) for a in (arrays, first))
            yield error(key, found, f"{wanted} {here}", "give every trajectory the same arrays")
        elif any(not np.array_equal(arrays[n], first[n]) for n in _shared(arrays)):
            yield error(
                key,
                "another box, other walls, bonds or units",
                f"those {here}",
                "make them the same",
            )


def _shared(arrays: Arrays) -> list[str]:
    common = ("box", "bonds", "walls")
    return [name for name in arrays if name in common or name.startswith("units_")]


def _assemble(groups: list[Arrays], metadata: Metadata) -> Raw:
    first = groups[0]
    attributes = {name: _per_body(groups, name) for name in attributes_of(first)}
    if metadata.held and "particle_type" in attributes:
        held = np.isin(attributes["particle_type"], metadata.held)
        attributes = {"fixed": held.astype(np.float64), **attributes}
    units = {part: strings(first[f"units_{part}"])[0] for part in UNITS if f"units_{part}" in first}
    return Raw(
        t=first["t"].astype(np.float64),
        q=_moving(groups, "q"),
        counts=np.array([group["q"].shape[1] for group in groups]),
        v=_moving(groups, "v") if "v" in first else None,
        attributes=attributes,
        names=tuple(word for group in groups for word in strings(group["names"]))
        if "names" in first
        else (),
        units=Units(**units),
        box=first["box"].astype(np.float64) if "box" in first else metadata.box,
        bonds=first["bonds"].astype(np.int64) if "bonds" in first else None,
        walls=first["walls"].astype(np.float64) if "walls" in first else metadata.walls,
        spelling=SPELLED,
        notes=metadata.notes,
    )


def _per_body(groups: list[Arrays], name: str) -> np.ndarray:
    return np.concatenate([group[name] for group in groups]).astype(np.float64)


def _moving(groups: list[Arrays], name: str) -> np.ndarray:
    """Positions or velocities of all groups, with no copy of all beside them."""
    frames, _, dim = groups[0][name].shape
    whole = np.empty((frames, sum(group[name].shape[1] for group in groups), dim))
    stop = 0
    for group in groups:
        start, stop = stop, stop + group[name].shape[1]
        whole[:, start:stop] = group[name][()]
    return whole
