"""The one place where gnsim writes a whole file: readers see the old content or the new one."""

import os
import tempfile
from pathlib import Path

_SUFFIX = ".gnsim-part"
#: pattern of what a killed write leaves beside its file
LEFTOVERS = f".*{_SUFFIX}"


def write_atomic(path: str | os.PathLike[str], data: bytes | str) -> Path:
    """Replace `path` by `data` (text as UTF-8), whole or not at all, and return it as a `Path`.

    The data go to a temporary file in the same folder and reach the disk before the rename; the
    folder is synced after it, so that neither a kill nor a power cut leaves half a file. The folder
    must exist. Raises OSError (disk full, no permission); the former file is then untouched.
    """
    target = Path(path)
    content = data.encode() if isinstance(data, str) else data
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=_SUFFIX)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(target))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    return target


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; a no-op where folders can't be opened (Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mode(target: Path) -> int:
    """Permissions of the file that is replaced; else what an ordinary `open` would give."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
