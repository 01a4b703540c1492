"""The folder of a run: one writer at a time, files that are whole, a log that resumes."""

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from gnsim.atomic import LEFTOVERS, write_atomic
from gnsim.errors import InputError, RunLockedError

_LOCK = ".lock"
_MAX_LOCK_BYTES = 4096


@dataclass(frozen=True)
class Owner:
    """The process that holds a folder. `started` tells it from a later one with the same pid."""

    pid: int
    host: str
    started: str

    @classmethod
    def this_process(cls) -> "Owner":
        return cls(os.getpid(), socket.gethostname(), _started(os.getpid()) or "")

    @property
    def alive(self) -> bool:
        """Whether it still runs; one on another host is taken to, for nothing here can tell."""
        return self.host != socket.gethostname() or _started(self.pid) == self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class RunFolder:
    """A folder that this process alone writes to, from ``with`` to its end.

    The lock is a file that names its owner; one whose owner is dead is taken over. Raises
    RunLockedError (exit code 5) if a living process holds it, InputError if `path` is no folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._owner: Owner | None = None

    def __enter__(self) -> "RunFolder":
        if self.path.exists() and not self.path.is_dir():
            raise InputError(
                f"{self.path}: wanted a folder for the run, found a file; name another"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        with _alone(self.path):
            self._take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _alone(self.path):
            if self._owner is not None and _owner(self.path / _LOCK) == self._owner:
                (self.path / _LOCK).unlink()
        self._owner = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write(self, name: str, data: bytes | str) -> Path:
        """Write the file `name` of the folder, whole or not at all."""
        return write_atomic(self.path / name, data)

    def write_json(self, name: str, content: Any) -> Path:
        """Write `content` as JSON; NaN and infinities, which JSON has not, are a ValueError."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        return self.write(name, text + "\n")

    def _take(self) -> None:
        lock = self.path / _LOCK
        holder = _owner(lock)
        if holder is not None and holder.alive:
            raise RunLockedError(
                f"{self.path}: {holder} is writing to this folder; wait for it, name another "
                f"folder, or delete {lock} if that process is gone"
            )
        for leftover in self.path.rglob(LEFTOVERS):
            leftover.unlink(missing_ok=True)
        self._owner = Owner.this_process()
        write_atomic(lock, json.dumps(asdict(self._owner)))


class CsvLog:
    """A log of one row a step, appended and never rewritten but to resume.

    With `resume_after`, rows of later steps (and half a row that a kill left) are dropped, so that
    a resumed log equals the uninterrupted one. Numbers are written so that they read back exactly.
    Raises InputError if the file on disk has other columns. The first column is ``step``.
    """

    def __init__(
        self, path: str | os.PathLike[str], columns: Sequence[str], resume_after: int | None = None
    ) -> None:
        self.path = Path(path)
        self.columns = ("step", *columns)
        kept = "" if resume_after is None else self._kept(resume_after)
        write_atomic(self.path, f"{','.join(self.columns)}\n{kept}")

    def append(self, step: int, row: Mapping[str, float | int | str | None]) -> None:
        """Add the row of `step`; it has a value for every column, None where there is none."""
        if set(row) != set(self.columns[1:]):
            raise ValueError(f"log row: wanted {self.columns[1:]}, found {tuple(row)}")
        cells = (_cell(row[name]) for name in self.columns[1:])
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(",".join((str(step), *cells)) + "\n")

    def _kept(self, last: int) -> str:
        if not self.path.exists() or not self.path.stat().st_size:
            return ""
        header, *rows = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        if header.rstrip("\n") != ",".join(self.columns):
            raise InputError(
                f"{self.path}: line 1: wanted {','.join(self.columns)}, found {header.strip()}; "
                "resume with the version that wrote it, or name another folder"
            )
        return "".join(row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= last)


def _cell(value: float | int | str | None) -> str:
    text = "" if value is None else str(value)
    if any(c in text for c in ',"\r\n'):
        return '"' + text.replace('"', '""').replace("\n", " ").replace("\r", " ") + '"'
    return text


def _owner(lock: Path) -> Owner | None:
    """Who the lock names; None where there is none, or what is there names nobody."""
    try:
        with lock.open("rb") as file:
            content = json.loads(file.read(_MAX_LOCK_BYTES))
        return Owner(int(content["pid"]), str(content["host"]), str(content["started"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _started(pid: int) -> str | None:
    """When the process started, in a form that no other process has; None if it does not run."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform != "linux":
            return str(process.create_time())
        # clock ticks since the boot of this very boot: not moved when the clock is set
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {ticks}"
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError, ValueError):
        return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of all processes, one at a time is in here: two must not take over the same dead lock."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
