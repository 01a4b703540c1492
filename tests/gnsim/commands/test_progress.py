"""What a long command tells while it works, with and without a terminal."""

import io
import sys
import warnings

import pytest

from gnsim.commands.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> str:
    """What goes to `stream` about a training that patience ends, and a search that is completed."""
    monkeypatch.setattr(sys, "stderr", stream)
    with progress() as tell:
        tell("training", 1, 9, "")
        tell("training", 3, 9, "error 0.1")
        tell("searching", 0, 2, "")
        tell("searching", 2, 2, "5 candidates")
    return stream.getvalue()


def test_every_phase_ends_as_done_in_a_log(monkeypatch):
    assert told(monkeypatch, io.StringIO()).splitlines() == [
        "gnsim: training: 1 of 9",
        "gnsim: training: done after 3 of 9, error 0.1",
        "gnsim: searching: 0 of 2",
        "gnsim: searching: done, 5 candidates",
    ]


def test_every_phase_ends_as_done_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    last = told(monkeypatch, Terminal()).rpartition("training ")[2]  # the last time it is drawn
    training, searching = last.splitlines()[:2]
    assert "100%" in training and "done after 3 of 9 error 0.1" in training
    assert "100%" in searching and "5 candidates" in searching


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_phase_that_failed_is_not_called_done(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    with pytest.raises(ZeroDivisionError), progress() as tell:
        tell("training", 1, 9, "")
        raise ZeroDivisionError
    assert "done" not in sys.stderr.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_warning_is_a_line_of_its_own(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    with progress():
        warnings.warn("first\n  second", stacklevel=1)
    assert "gnsim: warning: first second\n" in sys.stderr.getvalue()
