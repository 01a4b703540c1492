"""Where trajectories come from: built-in sources, simulated systems and users' own files."""

if __name__ == "datasets":
    raise ImportError("this folder is imported as `gnsim.datasets`, not as `datasets`")

from gnsim.datasets.checks import check
from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.files import read, read_pickled, require_writable, write
from gnsim.datasets.findings import CheckReport, DataError, Finding
from gnsim.datasets.loading import SOURCES, default_radius, load, load_to_test
from gnsim.datasets.rollouts import write_rollouts
from gnsim.datasets.systems import SYSTEMS, dynamics, hamiltonian, simulate
from gnsim.datasets.vtk import write_vtk

__all__ = [
    "SOURCES",
    "SYSTEMS",
    "CheckReport",
    "DataError",
    "Dataset",
    "Finding",
    "Source",
    "check",
    "default_radius",
    "dynamics",
    "hamiltonian",
    "load",
    "load_to_test",
    "read",
    "read_pickled",
    "require_writable",
    "simulate",
    "write",
    "write_rollouts",
    "write_vtk",
]
