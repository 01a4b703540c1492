"""HDF5 in LagrangeBench's layout: a group ``00000`` per trajectory with ``position (T, N, D)``.

By our extension a group may also hold ``velocity (T, N, D)``, ``time (T)``, ``names (N)``,
``box (D)``, ``walls (2, D)`` (lower and upper sides, infinite where it is open), ``bonds (2, B)``
(the pairs of bodies that interact; without them all do),
``units_length``, ``units_time``, ``units_mass`` and any array of N numbers (``mass``, ``charge``,
``particle_type``). Without ``time``, frames are ``dt * write_every`` of the folder's
``metadata.json`` apart (Toshev et al., LagrangeBench, NeurIPS 2023); without ``fixed``, bodies are
held or driven whose ``particle_type`` is so by `metadata`. Links out of the file, external storage,
virtual datasets, objects and sizes that the file cannot hold are refused.
"""

from collections.abc import Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from gnsim.datasets.bounds import check_size
from gnsim.datasets.findings import DataError, error, printable
from gnsim.datasets.groups import SPELLED, joined
from gnsim.datasets.metadata import Metadata, read_metadata
from gnsim.datasets.raw import UNITS, Raw
from gnsim.datasets.structure import SPECIAL, Array, refuse_reserved

Kind = TypeVar("Kind", h5py.Group, h5py.Dataset)

_CANONICAL = {spelled: name for name, spelled in SPELLED.items()}
_BROKEN = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


def read_hdf5(path: Path) -> Raw:
    """All trajectories of `path`, side by side. Raises DataError with all that is wrong in it."""
    metadata = read_metadata(path)
    try:
        # every chunk is read once: a cache of them would only hold all again
        with h5py.File(path, "r", rdcc_nbytes=0) as file:
            datasets = _datasets(file)
            check_size(
                path, sum(d.size * d.dtype.itemsize for g in datasets.values() for d in g.values())
            )
            groups = {key: _canonical(group, metadata) for key, group in datasets.items()}
            return joined(path, groups, metadata)
    except DataError:
        raise
    except _BROKEN as cause:
        reason = printable(f"{type(cause).__name__}: {cause}")[:200]
        wanted = "an HDF5 file of plain arrays in groups 00000, 00001, ..."
        raise DataError(path, [error("file", reason, wanted, "write it anew by h5py")]) from cause


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
    if name in SPELLED:
        raise ValueError(f"an array is named {name}; here it is to be {SPELLED[name]}")


def _canonical(group: Mapping[str, h5py.Dataset], metadata: Metadata) -> dict[str, Array]:
    """The arrays of a group, by our names; what is large stays in the file for now."""
    arrays = {_CANONICAL.get(name, name): dataset for name, dataset in group.items()}
    arrays = {n: d if n in ("q", "v") else np.asarray(d[()]) for n, d in arrays.items()}
    if "t" not in arrays and metadata.interval and "q" in arrays and arrays["q"].ndim == 3:
        arrays["t"] = metadata.interval * np.arange(len(arrays["q"]))
    return arrays


def write_hdf5(stream: BufferedIOBase, raw: Raw) -> None:
    """Write `raw`, one group per trajectory. ValueError for a name that stands for another."""
    refuse_reserved(raw.attributes, {*SPECIAL, *SPELLED.values()})
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
