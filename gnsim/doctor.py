"""What this machine has of what gnsim can use, and what to do about the rest.

Nothing heavy is imported: a broken torch must not stop the command that would say so.
"""

import contextlib
import importlib.util
import io
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import psutil

_GIB = 1 << 30
#: what the solar system needs from data to report
_MEMORY_GIB = 3
_DISK_GIB = 1


@dataclass(frozen=True)
class Check:
    """One thing looked at. `remedy` is empty where nothing is to be done."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    required: bool = True


def examine() -> list[Check]:
    """Everything that ``gnsim doctor`` shows, in its order."""
    return [*(_package(*entry) for entry in _PACKAGES), *(check() for check in _CHECKS)]


def _python() -> Check:
    ok = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Check("Python", ok, platform.python_version(), "" if ok else "use Python 3.11 or 3.12")


def _package(name: str, distribution: str, module: str, required: bool) -> Check:
    try:
        found = version(distribution)
    except PackageNotFoundError:
        found = ""
    if found and importlib.util.find_spec(module) is not None:
        return Check(name, True, found, required=required)
    remedy = f"pip install -c constraints.txt {distribution}"
    return Check(name, False, "not installed", remedy, required)


def julia() -> Check:
    """Whether PySR could run, found without importing it: its import downloads Julia."""
    if importlib.util.find_spec("pysr") is None:
        return Check("Julia", False, "not needed without PySR", required=False)
    if _julia_resolved():
        return Check("Julia", True, "resolved", required=False)
    if path := shutil.which("julia"):
        remedy = "run python -c 'import pysr' once; it downloads Julia's packages"
        return Check("Julia", False, f"{path}, its packages not resolved", remedy, required=False)
    remedy = "only engine=pysr needs it; run python -c 'import pysr' once, with a network"
    return Check("Julia", False, "not found", remedy, required=False)


def _julia_resolved() -> bool:
    # juliapkg prints, and fails in ways of its own where there is neither Julia nor a network
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
        import juliapkg

        return bool(juliapkg.resolve(dry_run=True))
    return False


def _ffmpeg() -> Check:
    path = shutil.which("ffmpeg")
    remedy = "" if path else "install ffmpeg for mp4; GIF needs none"
    return Check("ffmpeg", path is not None, path or "not found", remedy, required=False)


def _memory() -> Check:
    free = psutil.virtual_memory().available / _GIB
    ok = free >= _MEMORY_GIB
    remedy = "" if ok else f"free {_MEMORY_GIB} GiB, or take a shorter span of the data"
    return Check("memory", ok, f"{free:.1f} GiB available", remedy)


def _cores() -> Check:
    usable = len(psutil.Process().cpu_affinity()) if hasattr(os, "sched_getaffinity") else 0
    return Check("cores", True, str(usable or os.cpu_count() or 1))


def _disk() -> Check:
    free = shutil.disk_usage(os.getcwd()).free / _GIB
    ok = free >= _DISK_GIB
    remedy = "" if ok else f"free {_DISK_GIB} GiB, or run in another folder"
    return Check("disk", ok, f"{free:.1f} GiB free here", remedy)


_PACKAGES = (
    ("torch", "torch", "torch", True),
    ("PyTorch Geometric", "torch-geometric", "torch_geometric", True),
    ("torchdiffeq", "torchdiffeq", "torchdiffeq", True),
    ("engine operon", "pyoperon", "pyoperon", False),
    ("engine pysr", "pysr", "pysr", False),
    ("engine pymunk", "pymunk", "pymunk", False),
    ("engine taichi", "taichi", "taichi", False),
    ("engine OpenMM", "openmm", "openmm", False),
    ("ephemeris DE421", "skyfield-data", "skyfield_data", False),
)
_CHECKS: tuple[Callable[[], Check], ...] = (julia, _ffmpeg, _python, _memory, _cores, _disk)
