"""What a long command tells on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: seconds between two lines about one phase, where there is no terminal
_EVERY = 10.0

Tell = Callable[[str, int, int, str], None]


@contextmanager
def progress() -> Iterator[Tell]:
    """Within ``with``: a function to be told of progress; warnings come as one line each."""
    display = _Bars() if sys.stderr.isatty() else _Lines()
    with display, _warnings_as_lines(display.line):
        yield display.tell


class _Lines:
    """A line at the begin of each phase, at its end, and at most every ten seconds between."""

    def __init__(self) -> None:
        self.phase = ""
        self.last = ""
        self.told = 0.0

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._end()
        sys.stderr.flush()

    def tell(self, phase: str, done: int, total: int, remark: str) -> None:
        now, begins = time.monotonic(), phase != self.phase
        if begins:
            self._end()
        self.phase, self.last = phase, f"{_ended(done, total)}{f', {remark}' if remark else ''}"
        if begins or (done < total and now - self.told >= _EVERY):
            self.told = now
            self.line(f"{phase}: {done} of {total}{f', {remark}' if remark else ''}")

    def _end(self) -> None:
        if self.phase:
            self.line(f"{self.phase}: {self.last}")

    def line(self, text: str) -> None:
        print(f"gnsim: {text}", file=sys.stderr, flush=True)


def _ended(done: int, total: int) -> str:
    return "done" if done >= total else f"done after {done} of {total}"


class _Bars:
    """One bar at a time: phase, bar, time left, remark."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self.console = Console(stderr=True, markup=False, highlight=False)
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}", markup=False),
            console=self.console,
        )
        self.tasks: dict[str, Any] = {}
        self.phase = ""

    def __enter__(self) -> "_Bars":
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._end()
        self.bars.stop()

    def tell(self, phase: str, done: int, total: int, remark: str) -> None:
        if phase != self.phase:
            self._end()
        if phase not in self.tasks:
            self.tasks[phase] = self.bars.add_task(phase, remark="")
        self.phase = phase
        self.bars.update(self.tasks[phase], completed=done, total=total, remark=remark)

    def _end(self) -> None:
        """A phase that ended before its last step, by patience or time, is done all the same."""
        task = self.bars.tasks[self.tasks[self.phase]] if self.phase else None
        if task is not None and task.completed < (task.total or 0):
            remark = f"{_ended(int(task.completed), int(task.total or 0))} {task.fields['remark']}"
            self.bars.update(task.id, total=task.completed, remark=remark.rstrip())

    def line(self, text: str) -> None:
        self.console.print(f"gnsim: {text}", soft_wrap=True)


@contextmanager
def _warnings_as_lines(line: Callable[[str], None]) -> Iterator[None]:
    """Warnings meant for the user as lines, each text once; those for developers not at all."""
    shown: set[str] = set()

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        text = " ".join(str(message).split())
        if text not in shown:
            shown.add(text)
            line(f"warning: {text}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("always", category)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|lightning)")
        warnings.showwarning = show
        yield
