"""Users' ``.npz`` files: ``t [time]``, ``q [time, bodies, dim]`` or with trajectories in front.

Optional: ``v`` of the same shape; ``mass``, ``charge`` and any other per-body array; ``names``;
``box [dim]``; ``walls [2, dim]``, the lower and the upper sides of what keeps bodies in, infinite
where it is open; ``bonds [2, bonds]``, the pairs of bodies that interact, where not all do;
``units_length``, ``units_time``, ``units_mass``. Nothing in a file is trusted: no pickles (those of
GNS are a matter of `gns`), and every declared size is held against the bytes that are there before
it is allocated.
"""

import zipfile
import zlib
from io import BufferedIOBase
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from gnsim.datasets.bounds import check_size
from gnsim.datasets.findings import DataError, error, printable
from gnsim.datasets.raw import UNITS, Raw
from gnsim.datasets.structure import SPECIAL, attributes_of, refuse_reserved, strings, structure
from gnsim.state import Units

_AXES = {3: "time, bodies, dim", 4: "trajectories, time, bodies, dim"}
_MOST_ARRAYS = 1000
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
#: what reading an archive may raise; numpy parses headers as Python
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, SyntaxError, TokenError),
    *(ValueError, TypeError, LookupError, OverflowError, MemoryError),
)


class _PickledError(ValueError):
    """An array of Python objects."""


def read_npz(path: Path) -> Raw:
    """The arrays of `path`. Raises DataError with all that is structurally wrong."""
    try:
        arrays = _arrays(path)
    except DataError:
        raise
    except BROKEN as cause:
        remedy = "write it anew by numpy.savez"
        if isinstance(cause, _PickledError):
            remedy += ", or convert a data set of GNS that you trust: gnsim data convert --pickled"
        raise refusal(path, cause, "an .npz archive of numpy arrays", remedy) from cause
    faults = structure(arrays, _AXES, lambda name: name)
    if faults:
        raise DataError(path, faults)
    return _assemble(arrays)


def refusal(path: Path, cause: Exception, wanted: str, remedy: str) -> DataError:
    """What is said of an archive that cannot be read."""
    damaged = isinstance(cause, zipfile.BadZipFile | zlib.error | EOFError)
    reason = "a damaged file, or one of another format" if damaged else str(cause)
    return DataError(path, [error("file", printable(reason)[:200], wanted, remedy)])


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        return {name: _array(archive, member) for name, member in members(path, archive).items()}


def members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """What an archive holds, by name. Raises ValueError and DataError before it is too much."""
    found = archive.infolist()
    by_name = {member.filename.removesuffix(".npy"): member for member in found}
    if len(found) > _MOST_ARRAYS or len(by_name) < len(found):
        raise ValueError(f"{len(found)} arrays, or two of one name")
    for member in found:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"compression {member.compress_type} of {member.filename}")
    check_size(path, sum(member.file_size for member in found))
    return by_name


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        _refuse(stream, member)
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _refuse(stream: IO[bytes] | BufferedIOBase, member: zipfile.ZipInfo) -> None:
    """Raise unless the header declares plain numbers or text, as many as there are bytes."""
    shape, dtype = header(stream, member)
    if dtype.hasobject:
        raise _PickledError(f"{member.filename} holds Python objects, which are not read")
    if dtype.kind not in "fiubcUS":
        raise ValueError(f"{member.filename} holds records, which are not read")
    declared = dtype.itemsize
    for length in shape:
        declared *= length
    if min(shape, default=0) < 0 or declared != member.file_size - stream.tell():
        raise ValueError(f"{member.filename} declares {declared} bytes, other than it has")


def header(
    stream: IO[bytes] | BufferedIOBase, member: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of the array that `member` begins with."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"numpy format {version} of {member.filename}")
    shape, _, dtype = _HEADERS[version](stream)
    return shape, dtype


def _assemble(arrays: dict[str, np.ndarray]) -> Raw:
    q = arrays["q"]
    trajectories = q.shape[0] if q.ndim == 4 else 1

    def side_by_side(array: np.ndarray) -> np.ndarray:
        if array.ndim == 4:
            array = array.transpose(1, 0, 2, 3).reshape(array.shape[1], -1, array.shape[3])
        return np.ascontiguousarray(array, dtype=np.float64)

    def per_node(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (trajectories, q.shape[-2])).reshape(-1)

    names = strings(per_node(arrays["names"])) if "names" in arrays else []
    units = {
        part: strings(arrays[f"units_{part}"])[0] for part in UNITS if f"units_{part}" in arrays
    }
    return Raw(
        t=arrays["t"].astype(np.float64),
        q=side_by_side(q),
        counts=np.full(trajectories, q.shape[-2]),
        v=side_by_side(arrays["v"]) if "v" in arrays else None,
        attributes={k: per_node(arrays[k]).astype(np.float64) for k in attributes_of(arrays)},
        names=tuple(names),
        units=Units(**units),
        box=arrays["box"].astype(np.float64) if "box" in arrays else None,
        bonds=arrays["bonds"].astype(np.int64) if "bonds" in arrays else None,
        walls=arrays["walls"].astype(np.float64) if "walls" in arrays else None,
    )


def write_npz(stream: BufferedIOBase, raw: Raw) -> None:
    """Write `raw`; ValueError for systems of different sizes, or a name that stands for another."""
    refuse_reserved(raw.attributes, SPECIAL)
    counts = raw.counts
    if (counts != counts[0]).any():
        raise ValueError(
            ".npz: wanted as many bodies in every trajectory, found "
            f"{counts.min()} to {counts.max()}; write .h5 instead"
        )

    def apart(array: np.ndarray) -> np.ndarray:
        if len(counts) == 1:
            return array
        return array.reshape(len(array), len(counts), counts[0], -1).transpose(1, 0, 2, 3)

    def per_body(array: np.ndarray) -> np.ndarray:
        return array if len(counts) == 1 else array.reshape(len(counts), -1)

    arrays = {"t": raw.t, "q": apart(raw.q)}
    arrays |= {name: per_body(value) for name, value in raw.attributes.items()}
    arrays |= {
        f"units_{k}": np.array(getattr(raw.units, k)) for k in UNITS if getattr(raw.units, k)
    }
    optional = {"box": raw.box, "bonds": raw.bonds, "walls": raw.walls}
    optional["v"] = None if raw.v is None else apart(raw.v)
    optional["names"] = per_body(np.array(raw.names)) if raw.names else None
    arrays |= {name: array for name, array in optional.items() if array is not None}
    np.savez(stream, allow_pickle=False, **arrays)
