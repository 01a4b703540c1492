"""Trajectories in and out of users' files: ``.npz`` and HDF5 (see `npz` and `hdf5` for layouts)."""

from io import BytesIO
from pathlib import Path

from gnsim.atomic import write_atomic
from gnsim.datasets.checks import inspect
from gnsim.datasets.findings import DataError, printable
from gnsim.datasets.formats import WRITERS, read_raw
from gnsim.datasets.gns import read_gns
from gnsim.datasets.raw import Raw, from_trajectory, to_trajectory
from gnsim.datasets.settings import unknown
from gnsim.state import Trajectory


def read(path: str | Path, window: int = 1) -> Trajectory:
    """The trajectory in a file, in float64; several trajectories become one batch.

    Without velocities in the file they are estimated (see `velocities.estimate`) and
    ``velocity_given`` is False. `window` is the number of steps that the data must allow.
    Raises DataError, which names field, index, what was found and expected, and the remedy.
    """
    path = Path(path)
    return _checked(path, read_raw(path), window)


def read_pickled(path: str | Path) -> Trajectory:
    """As `read`, of a data set of GNS: pickled arrays, and nothing else, in an ``.npz``."""
    path = Path(path)
    return _checked(path, read_gns(path), window=1)


def _checked(path: Path, raw: Raw, window: int) -> Trajectory:
    findings = inspect(raw, window)
    if any(finding.severity == "error" for finding in findings):
        raise DataError(path, findings)
    return to_trajectory(raw)


def write(path: str | Path, trajectory: Trajectory) -> None:
    """Write `trajectory` in the format of the path's ending; `read` gives it back.

    Positions, times and attributes return to the bit. So do momenta, except that with masses a
    momentum which is no velocity times its mass in floating point returns to one rounding.
    Estimated velocities are not written. Raises ValueError for an unknown ending, an .npz for
    systems of different sizes, or an attribute called as an array of the format is.
    """
    path = Path(path)
    content = _content(path, trajectory)
    if not path.parent.is_dir():
        raise ValueError(
            f"{printable(path)}: wanted an existing folder, found none; create it first"
        )
    write_atomic(path, content)


def require_writable(path: str | Path, trajectory: Trajectory) -> None:
    """Raises what `write` raises for such a trajectory, however long; before one is made."""
    _content(Path(path), trajectory.frames(slice(1)))


def _content(path: Path, trajectory: Trajectory) -> bytes:
    if path.suffix.lower() not in WRITERS:
        raise unknown("ending of a file", path.suffix, WRITERS)
    buffer = BytesIO()
    WRITERS[path.suffix.lower()](buffer, from_trajectory(trajectory))
    return buffer.getvalue()
