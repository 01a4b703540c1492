"""What every engine of symbolic regression offers, and the way of data to its process and back."""

import json
import os
import re
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from gnsim.symbolic.engines.child import Outcome, last_line, run_child
from gnsim.symbolic.front import Candidate, read_front
from gnsim.symbolic.parser import IDENTIFIER

SAMPLES, SETTINGS, FRONT = "samples.npz", "settings.json", "hall_of_fame.csv"


class EngineError(RuntimeError):
    """An engine that is missing, crashed or found nothing in time; in one line."""


class EngineWarning(UserWarning):
    """A search that ended early and whose front, as far as it got, is used."""


@dataclass(frozen=True)
class Availability:
    """Whether an engine can run here; else why not, and what to do."""

    ok: bool
    reason: str
    remedy: str = ""


class Engine(ABC):
    """An engine runs as a child process: samples and settings in, `hall_of_fame.csv` out."""

    name: ClassVar[str]

    @abstractmethod
    def available(self) -> Availability:
        """Whether the engine can run, found out without importing it."""

    @abstractmethod
    def command(self, out_dir: Path) -> list[str]:
        """The child's command line; it reads and writes in `out_dir`."""

    @final
    def search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        names: Sequence[str],
        *,
        seed: int,
        time_limit: float,
        out_dir: str | os.PathLike[str],
    ) -> list[Candidate]:
        """Candidate equations for `y` [samples] in the columns of `X` [samples, variables].

        `time_limit` is in seconds, for the whole run; the folder `out_dir` is made and receives the
        samples, the settings, the log and `hall_of_fame.csv`. Raises ValueError for bad samples,
        `EngineError` where the engine is missing, fails or leaves no front. A front that was cut
        short by the limit or a crash is used, with an `EngineWarning`.
        """
        X, y = _checked(X, y, names, time_limit)
        there = self.available()
        if not there.ok:
            raise EngineError(f"engine {self.name}: {there.reason}; {there.remedy}")
        folder = Path(out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        front = folder / FRONT
        front.unlink(missing_ok=True)
        np.savez(folder / SAMPLES, X=X, y=y)
        settings = {
            "names": list(names),
            "seed": int(seed),
            "started": time.time(),
            "time_limit": float(time_limit),
        }
        (folder / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
        outcome = run_child(self.command(folder), folder / f"{self.name}.log", time_limit)
        return self._result(outcome, folder, names)

    def _result(self, outcome: Outcome, folder: Path, names: Sequence[str]) -> list[Candidate]:
        whole = outcome.status == 0 and not outcome.timed_out
        log, front = folder / f"{self.name}.log", folder / FRONT
        said = "" if whole or outcome.timed_out else f" ({last_line(log)})"
        what = f"engine {self.name} {outcome}{said}"
        if not front.exists():
            raise EngineError(f"{what}; nothing was saved, its log is {log}")
        try:
            found = read_front(front, names, self.name, partial=not whole)
        except ValueError as error:
            raise EngineError(f"{what} and left a front that can't be read: {error}") from None
        if not found:
            raise EngineError(f"{what}; {front} is empty, its log is {log}")
        if not whole:
            warnings.warn(
                f"{what}; its {len(found)} candidates so far, in {front}, are used",
                EngineWarning,
                stacklevel=3,
            )
        return found


def python_module(module: str, out_dir: Path) -> list[str]:
    """The command line that runs a module of gnsim on a folder."""
    return [sys.executable, "-m", module, str(out_dir)]


def _checked(
    X: np.ndarray, y: np.ndarray, names: Sequence[str], time_limit: float
) -> tuple[np.ndarray, np.ndarray]:
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise ValueError(
            f"X, y: expected [samples, variables] and [samples], found {X.shape} and {y.shape}"
        )
    if len(names) != X.shape[1] or len(set(names)) != len(names):
        raise ValueError(f"names: expected {X.shape[1]} different ones, found {list(names)}")
    bad = [name for name in names if not re.match(IDENTIFIER, name)]
    if bad:
        raise ValueError(f"names: {bad[0]!r} is not a name; use letters, digits and _")
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise ValueError("X, y: expected finite numbers, found NaN or inf; leave those samples out")
    if len(y) < 10:
        raise ValueError(f"y: expected at least 10 samples, found {len(y)}")
    if not time_limit > 0:
        raise ValueError(f"time_limit: expected seconds above 0, found {time_limit}")
    return X, y
