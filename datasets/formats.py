"""Which reader and which writer belongs to which ending of a file's name."""

from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path

from gnsim.datasets.findings import DataError, error
from gnsim.datasets.hdf5 import read_hdf5, write_hdf5
from gnsim.datasets.npz import read_npz, write_npz
from gnsim.datasets.raw import Raw

READERS: dict[str, Callable[[Path], Raw]] = {".npz": read_npz, ".h5": read_hdf5, ".hdf5": read_hdf5}
WRITERS: dict[str, Callable[[BufferedIOBase, Raw], None]] = {
    ".npz": write_npz,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
}


def read_raw(path: Path) -> Raw:
    """The arrays of a file. DataError for one that is missing, of no known format or broken."""
    if not path.exists():
        raise DataError(
            path, [error("file", "nothing there", "a file", "check the spelling of the path")]
        )
    known = " or ".join(READERS)
    if path.is_dir():
        remedy = "name one of the files in it; as a whole it is a source, as gnsim train takes it"
        raise DataError(path, [error("file", "a folder", f"a file ending in {known}", remedy)])
    if path.suffix.lower() not in READERS:
        found = f"the ending '{path.suffix}'"
        remedy = "save the arrays by numpy.savez, or by h5py"
        raise DataError(path, [error("file", found, known, remedy)])
    return READERS[path.suffix.lower()](path)
