"""Arguments of small trainings of simulators, and what is said of wrong ones."""

import pytest

from gnsim.cli import run
from gnsim.errors import ExitCode

DATA = {"trajectories": 5, "frames": 8, "bodies": 3, "dim": 2}
SOURCE = ["spring", *(f"data.{name}={value}" for name, value in DATA.items())]
TINY = ["simulator.steps=3", "simulator.hidden=4", "simulator.graphs=4"]
PAST = ["simulator.history=2", "simulator.passes=2"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture) -> str:
    capsys.readouterr()
    assert run(arguments) == ExitCode.BAD_INPUT
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and out == ""
    return err
