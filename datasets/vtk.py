"""Trajectories for ParaView: points of VTK's XML format, a file for each frame, and their times.

A ``.pvd`` names the ``.vtp`` files, which lie in a folder of its name; their arrays are base64 of
little-endian numbers behind the number of their bytes (VTK File Formats, docs.vtk.org).
"""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from jaxtyping import Float

from gnsim.atomic import write_atomic
from gnsim.datasets.findings import printable
from gnsim.datasets.structure import refuse_reserved
from gnsim.state import Trajectory

#: names of arrays that are not attributes
_RESERVED = ("velocity", "system", "Points")
_TYPES = {"f": "Float64", "i": "Int64"}


def write_vtk(path: str | Path, trajectory: Trajectory) -> None:
    """Write the collection `path`, ending in ``.pvd``, and a file of points for each frame.

    Points have their velocity, all attributes and, of several systems, the number of theirs;
    coordinates beyond the data's dimension are zero. Files of these names are replaced.
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
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    collection = _file("Collection")
    digits = len(str(len(trajectory)))
    for frame, time in enumerate(trajectory.t.tolist()):
        points = folder / f"{folder.name}_{frame:0{digits}d}.vtp"
        write_atomic(points, tostring(_points(trajectory, frame)))
        name = f"{folder.name}/{points.name}"
        SubElement(collection[0], "DataSet", timestep=repr(time), part="0", file=name)
    write_atomic(path, tostring(collection))


def _points(trajectory: Trajectory, frame: int) -> Element:
    state = trajectory[frame]
    count = trajectory.num_nodes
    q, v = (_in_space(x.detach().cpu().numpy()) for x in (state.q, state.velocity))
    per_point = {name: x.detach().cpu().numpy() for name, x in state.attributes.items()}
    if trajectory.num_systems > 1:
        per_point["system"] = state.batch.cpu().numpy()
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
