"""How much a file may claim to hold before any of it is allocated."""

from pathlib import Path

from gnsim.datasets.findings import DataError, error

#: most bytes that the arrays of one file may take
LARGEST = 4 * 2**30
#: bytes that every file may expand to, however small it is
FREE = 64 * 2**20
#: how far a larger file may expand: numbers that were measured do not compress this far
EXPANSION = 100


def check_size(path: Path, declared: int) -> None:
    """Raise DataError if `path` declares arrays beyond `LARGEST`, or far beyond its own size."""
    stored = path.stat().st_size
    limit = min(LARGEST, max(FREE, EXPANSION * stored))
    if declared > limit:
        found = f"{declared} bytes declared in a file of {stored}"
        remedy = "cut the data into smaller files, or store it without compression"
        raise DataError(path, [error("file", found, f"at most {limit}", remedy)])
