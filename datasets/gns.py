"""Data sets of the GNS port to PyTorch: ``.npz`` of pickled objects, beside a ``metadata.json``.

Each array is a trajectory ``(position [time, bodies, dim], particle_type)``, or the one array
``gns_data`` holds all; a third entry is ``material_property``. The second and the third are numbers
for each body or one for all (K. Kumar and J. Vantassel, arXiv:2211.10228). Times are ``dt`` of the
metadata apart; bodies of the kinematic type are held or driven (`metadata`).
"""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gnsim.datasets.findings import DataError, error
from gnsim.datasets.groups import joined
from gnsim.datasets.metadata import KINEMATIC_OF_GNS, read_metadata
from gnsim.datasets.npz import BROKEN, header, members, refusal
from gnsim.datasets.raw import Raw
from gnsim.datasets.unpickling import numbers, unpickled

_PER_BODY = ("particle_type", "material_property")


def read_gns(path: Path) -> Raw:
    """All trajectories of `path`, side by side, without running what is pickled in it.

    Raises DataError with what is wrong, and for anything that is no array.
    """
    metadata = read_metadata(path)
    if metadata.interval is None:
        fault = error("dt", "nothing", "the time between frames", "put GNS's file beside the data")
        raise DataError(path.parent / "metadata.json", [fault])
    try:
        groups = dict(_groups(path, metadata.interval))
    except DataError:
        raise
    except (*BROKEN, AttributeError) as cause:
        wanted = "trajectories as GNS pickles them"
        raise refusal(path, cause, wanted, "leave out --pickled for other files") from cause
    return joined(path, groups, replace(metadata, held=KINEMATIC_OF_GNS))


def _groups(path: Path, interval: float) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    with zipfile.ZipFile(path) as archive:
        for name, member in members(path, archive).items():
            table = _table(archive, member)
            if name != "gns_data":
                yield name, _group(table, interval)
                continue
            for place, row in enumerate(table):
                yield f"{name}/{place}", _group(row, interval)


def _table(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        if not header(stream, member)[1].hasobject:
            raise ValueError(f"{member.filename}, which is not pickled")
        return unpickled(stream.read())


def _group(row: np.ndarray | tuple, interval: float) -> dict[str, np.ndarray]:
    if len(row) not in (2, 3):
        raise ValueError(f"a trajectory of {len(row)} entries")
    q, *per_body = map(numbers, row)
    group = {"q": q, "t": interval * np.arange(len(q))}
    for name, values in zip(_PER_BODY, per_body, strict=False):
        column = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        group[name] = np.broadcast_to(column, q.shape[1:2]) if column.ndim == 0 else column
    return group
