"""PySR (Cranmer 2023, arXiv:2305.01582), where Julia and its packages are resolved."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from gnsim.symbolic.engines.base import Availability, Engine, python_module

_RESOLVED = "import juliapkg, sys; sys.exit(0 if juliapkg.resolve(dry_run=True) else 3)"
_CHECK_SECONDS = 20.0


class PySR(Engine):
    """Multi-population evolution in Julia. The import asks the network: only the child does."""

    name = "pysr"

    def available(self) -> Availability:
        if importlib.util.find_spec("pysr") is None:
            return Availability(False, "pysr is not installed", "pip install pysr, or use operon")
        if _julia_resolved():
            return Availability(True, "pysr is installed and Julia is resolved")
        if shutil.which("julia"):
            return Availability(
                False,
                "Julia is present, but PySR's Julia packages are not installed yet",
                "run `python -c 'import pysr'` once with a network, or use operon",
            )
        return Availability(
            False,
            "pysr is installed, but there is no Julia",
            "run `python -c 'import pysr'` once with a network to install it, or use operon",
        )

    def command(self, out_dir: Path) -> list[str]:
        return python_module("gnsim.symbolic.engines.pysr_child", out_dir)


def _julia_resolved() -> bool:
    """Whether juliapkg has nothing left to download; asked in a silent process."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RESOLVED], capture_output=True, timeout=_CHECK_SECONDS
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0
