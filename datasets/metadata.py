"""The ``metadata.json`` of LagrangeBench and of GNS: time between frames, periodic box or walls.

Its kind says of which particle types the bodies are that are held or driven: in LagrangeBench
(known by ``write_every``) solid and moving walls, in GNS (by ``default_connectivity_radius``) those
called kinematic. Where GNS keeps metadata for training and for rollouts apart, those of a file
called ``test`` are the latter.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gnsim.datasets.findings import DataError, Finding, error

Space = tuple[
    Float[np.ndarray, " dim"] | None, Float[np.ndarray, "2 dim"] | None, tuple[Finding, ...]
]

_LARGEST = 2**20
_WALLS_OF_LAGRANGEBENCH = (1, 2)
#: the particle type of GNS that is held or driven
KINEMATIC_OF_GNS = (3,)


@dataclass(frozen=True)
class Metadata:
    """What `metadata.json` says of all trajectories in its folder; None where it says nothing.

    `held` are the particle types of bodies that are held or driven.
    """

    interval: float | None = None
    box: Float[np.ndarray, " dim"] | None = None
    walls: Float[np.ndarray, "2 dim"] | None = None
    notes: tuple[Finding, ...] = ()
    held: tuple[int, ...] = ()


def read_metadata(file: Path) -> Metadata:
    """The metadata beside `file`, empty where there are none. Raises DataError for damaged ones."""
    path = file.parent / "metadata.json"
    if not path.is_file():
        return Metadata()
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        content = content.get("rollout" if file.stem == "test" else "train", content)
        return Metadata(_interval(content), *_space(content), _held(content))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        wanted = "JSON with numbers dt, write_every and bounds [[low, high], ...]"
        fault = error(
            "file", f"{type(cause).__name__}: {cause}"[:200], wanted, "mend or remove the file"
        )
        raise DataError(path, [fault]) from cause


def in_dimension(metadata: Metadata, dim: int, file: Path) -> Metadata:
    """With box and walls of `dim` axes, the first ones. Raises DataError where there are fewer."""
    box, walls = metadata.box, metadata.walls
    for found in (sides.shape[-1] for sides in (box, walls) if sides is not None):
        if found < dim:
            wanted = f"{dim}, as positions have"
            fault = error("bounds", f"{found} axes", wanted, "give every axis its bounds")
            raise DataError(file.parent / "metadata.json", [fault])
    box = None if box is None else box[:dim]
    return replace(metadata, box=box, walls=None if walls is None else walls[:, :dim])


def _interval(content: dict[str, Any]) -> float | None:
    if "dt" not in content:
        return None
    interval = float(content["dt"]) * float(content.get("write_every", 1))
    if not 0 < interval < np.inf:
        raise ValueError(f"dt * write_every is {interval}")
    return interval


def _held(content: dict[str, Any]) -> tuple[int, ...]:
    if "write_every" in content:
        return _WALLS_OF_LAGRANGEBENCH
    return KINEMATIC_OF_GNS if "default_connectivity_radius" in content else ()


def _space(content: dict[str, Any]) -> Space:
    """The sides of the box where all axes are periodic, and as walls where none is."""
    periodic = [bool(x) for x in content.get("periodic_boundary_conditions", [])]
    if any(periodic) and not all(periodic):
        found = "a box that is periodic along some axes only"
        wanted = "all axes or none"
        remedy = "the box is ignored: bodies on two sides of it do not see each other"
        note = Finding("warning", "periodic_boundary_conditions", found, wanted, remedy)
        return None, None, (note,)
    if "bounds" not in content and not periodic:
        return None, None, ()
    bounds = np.array(content["bounds"], dtype=np.float64)
    if bounds.ndim != 2 or bounds.shape[1] != 2:
        raise ValueError(f"bounds of shape {bounds.shape}")
    dim = content.get("dim", len(periodic) or len(bounds))
    if type(dim) is not int or not 1 <= dim <= len(bounds):
        raise ValueError(f"bounds of {len(bounds)} axes, and dim {dim}")
    bounds = bounds[:dim]
    low, high = bounds.T
    if periodic and all(periodic):
        return high - low, None, ()
    return None, np.stack([low, high]), ()
