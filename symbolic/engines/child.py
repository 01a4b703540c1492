"""A child process with a hard time limit, one thread, a log, and no orphans."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gnsim

_GRACE = 2.0
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "JULIA_NUM_THREADS",
    "PYTHON_JULIACALL_THREADS",
)


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its exit status (negative: the signal), and whether time ran out."""

    status: int
    timed_out: bool

    def __str__(self) -> str:
        if self.timed_out:
            return "ran out of time"
        if self.status == -signal.SIGKILL:
            return "was killed (out of memory?)"
        if self.status < 0:
            return f"crashed by signal {signal.Signals(-self.status).name}"
        return f"ended with exit status {self.status}"


def run_child(command: Sequence[str], log: Path, time_limit: float) -> Outcome:
    """Run `command` for at most `time_limit` seconds, its output going to the file `log`.

    The child leads its own process group; at the limit, and when the caller is interrupted, the
    group is asked to end and two seconds later killed, with all that it started.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(os.environ),
            start_new_session=True,
        )
        try:
            return Outcome(process.wait(time_limit), timed_out=False)
        except subprocess.TimeoutExpired:
            return Outcome(_ended(process), timed_out=True)
        finally:
            _ended(process)


def last_line(log: Path) -> str:
    """The last line that a child printed, which in a traceback names the error."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"


def _environment(parent: Mapping[str, str]) -> dict[str, str]:
    root = str(Path(gnsim.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, parent.get("PYTHONPATH", "")]))
    return {**parent, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": path}


def _ended(process: subprocess.Popen) -> int:
    """Terminate, then kill, what is left of the child's group."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal(process, signal.SIGKILL)
    return process.wait()


def _signal(process: subprocess.Popen, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return
