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
#: numbers from which on they are none of a simulation
_HUGE = 1e300
_WALLS_OF_LAGRANGEBENCH = (1, 2)
#: the particle type of GNS that is held or driven
KINEMATIC_OF_GNS = (3,)


@dataclass(frozen=True)
class Metadata:
    """What `metadata.json` says of all trajectories in its folder; None where it says nothing.

    `held` are the particle types of bodies that are held or driven, `radius` is the connectivity
    radius that the data are meant to be learned with.
    """

    interval: float | None = None
    box: Float[np.ndarray, " dim"] | None = None
    walls: Float[np.ndarray, "2 dim"] | None = None
    notes: tuple[Finding, ...] = ()
    held: tuple[int, ...] = ()
    radius: float | None = None


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
        return Metadata(_interval(content), *_space(content), _held(content), _radius(content))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        wanted = "JSON with numbers dt, write_every and bounds [[low, high], ...]"
        fault = error("file", _told(cause)[:200], wanted, "mend or remove the file")
        raise DataError(path, [fault]) from cause


def _told(cause: Exception) -> str:
    """What was found, of a file that cannot be read or understood."""
    if isinstance(cause, json.JSONDecodeError):
        return f"no JSON in line {cause.lineno}, column {cause.colno}"
    if isinstance(cause, UnicodeDecodeError):
        return "no text in UTF-8"
    if isinstance(cause, KeyError):
        return f"no {cause.args[0]}"
    if isinstance(cause, ValueError | OSError):
        return str(cause)
    return "values of other types"


def _positive(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < _HUGE:
        raise ValueError(f"{name} is {value!r}")
    return float(value)


def _bounds(value: object) -> Float[np.ndarray, "axes 2"]:
    try:
        bounds = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as cause:
        raise ValueError(f"bounds is {value!r}") from cause
    if bounds.ndim != 2 or bounds.shape[1] != 2:
        raise ValueError(f"bounds of shape {bounds.shape}")
    return bounds


def in_dimension(metadata: Metadata, dim: int, file: Path) -> Metadata:
    """With box and walls of `dim` axes, the first ones. Raises DataError where there are fewer."""
    box, walls = metadata.box, metadata.walls
    for found in (array.shape[-1] for array in (box, walls) if array is not None):
        if found < dim:
            wanted = f"{dim}, as positions have"
            fault = error("bounds", f"{found} axes", wanted, "give every axis its bounds")
            raise DataError(file.parent / "metadata.json", [fault])
    return replace(
        metadata,
        box=None if box is None else box[:dim],
        walls=None if walls is None else walls[:, :dim],
    )


def _interval(content: dict[str, Any]) -> float | None:
    if "dt" not in content:
        return None
    step, every = (_positive(name, content.get(name, 1)) for name in ("dt", "write_every"))
    return _positive("dt times write_every", step * every)


def _radius(content: dict[str, Any]) -> float | None:
    if content.get("default_connectivity_radius") is None:
        return None
    return _positive("default_connectivity_radius", content["default_connectivity_radius"])


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
    bounds = _bounds(content["bounds"])
    dim = content.get("dim", len(periodic) or len(bounds))
    if type(dim) is not int or not 1 <= dim <= len(bounds):
        raise ValueError(f"bounds of {len(bounds)} axes, and dim {dim}")
    bounds = bounds[:dim]
    low, high = bounds.T
    if periodic and all(periodic):
        return high - low, None, ()
    return None, np.stack([low, high]), ()
