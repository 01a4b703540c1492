"""The ``metadata.json`` of LagrangeBench and of GNS: time between frames, periodic box or walls."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gnsim.datasets.findings import DataError, Finding, error

Space = tuple[
    Float[np.ndarray, " dim"] | None, Float[np.ndarray, "2 dim"] | None, tuple[Finding, ...]
]

_LARGEST = 2**20


@dataclass(frozen=True)
class Metadata:
    """What `metadata.json` says of all trajectories in its folder; None where it says nothing."""

    interval: float | None = None
    box: Float[np.ndarray, " dim"] | None = None
    walls: Float[np.ndarray, "2 dim"] | None = None
    notes: tuple[Finding, ...] = ()


def read_metadata(folder: Path) -> Metadata:
    """The metadata of `folder`, empty without a file. Raises DataError where it is damaged."""
    path = folder / "metadata.json"
    if not path.is_file():
        return Metadata()
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        return Metadata(_interval(content), *_space(content))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        wanted = "JSON with numbers dt, write_every and bounds [[low, high], ...]"
        fault = error(
            "file", f"{type(cause).__name__}: {cause}"[:200], wanted, "mend or remove the file"
        )
        raise DataError(path, [fault]) from cause


def _interval(content: dict[str, Any]) -> float | None:
    if "dt" not in content:
        return None
    interval = float(content["dt"]) * float(content.get("write_every", 1))
    if not 0 < interval < np.inf:
        raise ValueError(f"dt * write_every is {interval}")
    return interval


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
    bounds = bounds[: int(content.get("dim", len(periodic) or len(bounds)))]
    if bounds.ndim != 2 or bounds.shape[1] != 2:
        raise ValueError(f"bounds of shape {bounds.shape}")
    low, high = bounds.T
    if periodic and all(periodic):
        return high - low, None, ()
    return None, np.stack([low, high]), ()
