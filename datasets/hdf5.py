"""HDF5 in LagrangeBench's layout: a group ``00000`` per trajectory with ``position (T, N, D)``.

By our extension a group may also hold ``velocity (T, N, D)``, ``time (T)``, ``names (N)``,
``box (D)``, ``walls (2, D)`` (lower and upper sides, infinite where it is open), ``bonds (2, B)``
(the pairs of bodies that interact; without them all do),
``units_length``, ``units_time``, ``units_mass`` and any array of N numbers (``mass``, ``charge``,
``particle_type``). Without ``time``, frames are ``dt * write_every`` of the folder's
``metadata.json`` apart (Toshev et al., LagrangeBench, NeurIPS 2023). Links out of the file,
external storage, virtual datasets, objects and sizes that the file cannot hold are refused.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from gnsim.datasets.bounds import check_size
from gnsim.datasets.findings import DataError, Finding, error, printable
from gnsim.datasets.metadata import Metadata, read_metadata
from gnsim.datasets.raw import UNITS, Raw
from gnsim.datasets.structure import attributes_of, strings, structure
from gnsim.state import Units

Kind = TypeVar("Kind", h5py.Group, h5py.Dataset)

_SPELLED = {"q": "position", "v": "velocity", "t": "time"}
_CANONICAL = {spelled: name for name, spelled in _SPELLED.items()}
_AXES = {3: "time, bodies, dim"}
_BROKEN = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


def read_hdf5(path: Path) -> Raw:
    """All trajectories of `path`, side by side. Raises DataError with all that is wrong in it."""
    metadata = read_metadata(path.parent)
    try:
        with h5py.File(path, "r") as file:
            datasets = _datasets(file)
            check_size(
                path, sum(d.size * d.dtype.itemsize for g in datasets.values() for d in g.values())
            )
            groups = {key: {n: d[()] for n, d in group.items()} for key, group in datasets.items()}
    except DataError:
        raise
    except _BROKEN as cause:
        reason = printable(f"{type(cause).__name__}: {cause}")[:200]
        wanted = "an HDF5 file of plain arrays in groups 00000, 00001, ..."
        raise DataError(path, [error("file", reason, wanted, "write it anew by h5py")]) from cause
    arrays = {key: _canonical(group, metadata) for key, group in groups.items()}
    faults = [*_inside(arrays), *([] if arrays else [_empty()])] or list(_between(arrays))
    if faults:
        raise DataError(path, faults)
    return _assemble(arrays, metadata)


def _datasets(file: h5py.File) -> dict[str, dict[str, h5py.Dataset]]:
    """The datasets of every group; ValueError where something else than plain arrays stands."""
    groups = {k: _children(g, h5py.Dataset) for k, g in sorted(_children(file, h5py.Group).items())}
    for datasets in groups.values():
        for name, dataset in datasets.items():
            _refuse(dataset, name)
    return groups


def _children(group: h5py.Group, kind: type[Kind]) -> dict[str, Kind]:
    """What `group` holds, each of it a `kind` that is stored right there."""
    children = {}
    for name in map(str, group):
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name} is an {type(link).__name__}, which is not followed")
        item = group[name]
        if not isinstance(item, kind):
            raise ValueError(f"{name} is a {type(item).__name__}, wanted a {kind.__name__}")
        children[name] = item
    return children


def _refuse(dataset: h5py.Dataset, name: str) -> None:
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name} keeps its numbers in other files, which are not opened")
    if dataset.dtype.kind not in "fiubcS":
        raise ValueError(f"{name} holds objects or records, which are not read")
    if dataset.shape is None:
        raise ValueError(f"{name} is empty")
    if name in _SPELLED:
        raise ValueError(f"an array is named {name}; here it is to be {_SPELLED[name]}")


def _canonical(group: Mapping[str, np.ndarray], metadata: Metadata) -> dict[str, np.ndarray]:
    arrays = {_CANONICAL.get(name, name): np.asarray(array) for name, array in group.items()}
    if "t" not in arrays and metadata.interval and arrays.get("q", np.empty(0)).ndim == 3:
        arrays["t"] = metadata.interval * np.arange(len(arrays["q"]))
    return arrays


def _inside(groups: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Finding]:
    for key, arrays in groups.items():
        yield from structure(arrays, _AXES, partial(_spelled, key))


def _spelled(key: str, name: str) -> str:
    return f"{key}/{_SPELLED.get(name, name)}"


def _empty() -> Finding:
    return error(
        "file", "no groups", "a group 00000 that holds position", "store each trajectory in a group"
    )


def _between(groups: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Finding]:
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


def _shared(arrays: Mapping[str, np.ndarray]) -> list[str]:
    common = ("box", "bonds", "walls")
    return [name for name in arrays if name in common or name.startswith("units_")]


def _assemble(groups: Mapping[str, Mapping[str, np.ndarray]], metadata: Metadata) -> Raw:
    arrays = list(groups.values())
    first = arrays[0]

    def side_by_side(name: str, axis: int) -> np.ndarray:
        return np.concatenate([a[name] for a in arrays], axis=axis).astype(np.float64)

    units = {part: strings(first[f"units_{part}"])[0] for part in UNITS if f"units_{part}" in first}
    box = first["box"].astype(np.float64) if "box" in first else metadata.box
    walls = first["walls"].astype(np.float64) if "walls" in first else metadata.walls
    return Raw(
        t=first["t"].astype(np.float64),
        q=side_by_side("q", 1),
        counts=np.array([a["q"].shape[1] for a in arrays]),
        v=side_by_side("v", 1) if "v" in first else None,
        attributes={name: side_by_side(name, 0) for name in attributes_of(first)},
        names=tuple(word for a in arrays for word in strings(a["names"]))
        if "names" in first
        else (),
        units=Units(**units),
        box=box,
        bonds=first["bonds"].astype(np.int64) if "bonds" in first else None,
        walls=walls,
        spelling=_SPELLED,
        notes=metadata.notes,
    )


def write_hdf5(stream: BufferedIOBase, raw: Raw) -> None:
    """Write `raw`, one group per trajectory."""
    shared: dict[str, Any] = {"time": raw.t, "box": raw.box, "bonds": raw.bonds}
    shared["walls"] = raw.walls
    shared |= {
        f"units_{k}": np.bytes_(getattr(raw.units, k).encode())
        for k in UNITS
        if getattr(raw.units, k)
    }
    names = np.array([name.encode() for name in raw.names])
    with h5py.File(stream, "w") as file:
        stop = 0
        for system, count in enumerate(raw.counts.tolist()):
            nodes = slice(stop, stop := stop + count)
            arrays = {"position": raw.q[:, nodes], **shared}
            arrays |= {name: value[nodes] for name, value in raw.attributes.items()}
            arrays["velocity"] = None if raw.v is None else raw.v[:, nodes]
            arrays["names"] = names[nodes] if raw.names else None
            for name, array in arrays.items():
                if array is not None:
                    file.create_dataset(f"{system:05d}/{name}", data=array)
