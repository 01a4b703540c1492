"""Trajectories for ParaView: points of VTK's XML format, a file for each frame, and their times.

A ``.pvd`` names the ``.vtp`` files, which lie in a folder of its name; their arrays are base64 of
little-endian numbers behind the number of their bytes (VTK File Formats, docs.vtk.org). Frames are
called after what is in them, so that those of an older collection stand until it is replaced.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import torch
from jaxtyping import Float

from gnsim.atomic import write_atomic
from gnsim.datasets.findings import printable
from gnsim.datasets.structure import refuse_reserved
from gnsim.state import Trajectory

#: names of arrays that are not attributes
_RESERVED = ("velocity", "Points")
_TYPES = {"f": "Float64", "i": "Int64"}


def write_vtk(path: str | Path, trajectory: Trajectory) -> list[Path]:
    """Write the collection `path`, ending in ``.pvd``, and a file of points for each frame.

    Of several systems each has its own: ``NAME_0.pvd``, ``NAME_1.pvd``, ... Returns the paths.
    Points have their velocity and all attributes; coordinates beyond the data's dimension are zero.
    Collections of these names are replaced, each whole or not at all, and their frames removed.
    Raises ValueError for another ending, no such folder, more than three dimensions, or an
    attribute of a name that stands for another array.
    """
    path = Path(path)
    if path.suffix.lower() != ".pvd" or not path.parent.is_dir():
        found = printable(path)
        raise ValueError(f"{found}: wanted a file ending in .pvd, in an existing folder")
    if trajectory.dim > 3:
        raise ValueError(f"VTK: wanted at most 3 dimensions, found {trajectory.dim}")
    refuse_reserved(trajectory.attributes, _RESERVED)
    paths = collections(path, trajectory.num_systems)
    for system, file in enumerate(paths):
        _write_one(file, trajectory.systems(torch.tensor([system])))
    return paths


def collections(path: Path, systems: int) -> list[Path]:
    """The file for each of so many systems."""
    return [path.with_stem(f"{path.stem}_{k}") for k in range(systems)] if systems > 1 else [path]


def _write_one(path: Path, trajectory: Trajectory) -> None:
    """A collection of one system; where that fails, an older one is as it was."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    names = _names(folder.name, trajectory)
    pattern = re.compile(rf"{re.escape(folder.name)}_[0-9a-f]{{8}}_\d+\.vtp")
    older = {file for file in folder.iterdir() if pattern.fullmatch(file.name)}
    new = {folder / name for name in names}
    collection = _file("Collection")
    try:
        for frame, (name, time) in enumerate(zip(names, trajectory.t.tolist(), strict=True)):
            write_atomic(folder / name, tostring(_points(trajectory, frame)))
            stated = {"timestep": repr(time), "part": "0", "file": f"{folder.name}/{name}"}
            SubElement(collection[0], "DataSet", stated)
        write_atomic(path, tostring(collection))
    except BaseException:
        _remove(new - older)
        raise
    _remove(older - new)


def _names(name: str, trajectory: Trajectory) -> list[str]:
    digest = sha256()
    for tensor in (trajectory.t, trajectory.q, trajectory.p):
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    digits = len(str(len(trajectory)))
    tag = digest.hexdigest()[:8]
    return [f"{name}_{tag}_{frame:0{digits}d}.vtp" for frame in range(len(trajectory))]


def _remove(files: set[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _points(trajectory: Trajectory, frame: int) -> Element:
    state = trajectory[frame]
    count = trajectory.num_nodes
    q, v = (_in_space(x.detach().cpu().numpy()) for x in (state.q, state.velocity))
    per_point = {name: x.detach().cpu().numpy() for name, x in state.attributes.items()}
    root = _file("PolyData")
    counts = {"NumberOfPoints": str(count), "NumberOfVerts": str(count)}
    piece = SubElement(root[0], "Piece", counts)
    _arrays(SubElement(piece, "PointData", Vectors="velocity"), {"velocity": v, **per_point})
    _arrays(SubElement(piece, "Points"), {"Points": q})
    cells = {"connectivity": np.arange(count), "offsets": np.arange(1, count + 1)}
    _arrays(SubElement(piece, "Verts"), cells)
    return root


def _file(kind: str) -> Element:
    stated = {"version": "1.0", "byte_order": "LittleEndian", "header_type": "UInt64"}
    root = Element("VTKFile", {"type": kind, **stated})
    SubElement(root, kind)
    return root


def _in_space(vectors: Float[np.ndarray, "nodes dim"]) -> Float[np.ndarray, "nodes 3"]:
    return np.pad(vectors, ((0, 0), (0, 3 - vectors.shape[1])))


def _arrays(parent: Element, arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        kind = "i" if array.dtype.kind in "iub" else "f"
        content = array.astype(f"<{kind}8").tobytes()
        components = str(array.shape[1] if array.ndim == 2 else 1)
        stated = {"type": _TYPES[kind], "Name": name, "NumberOfComponents": components}
        node = SubElement(parent, "DataArray", stated, format="binary")
        node.text = b64encode(len(content).to_bytes(8, "little") + content).decode()
