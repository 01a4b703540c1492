"""Small trained simulators that all tests of commands share."""

from pathlib import Path

import pytest
from simulator_runs import SOURCE, TINY

from gnsim.cli import run


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures have a test of their own, and take most of the time of an evaluation."""
    monkeypatch.setattr("gnsim.simulators.files.rendered", lambda figure, kind: kind.encode())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "hogn"
    assert run(["train", *SOURCE, *TINY, "--model", "hogn", "--out", str(folder)]) == 0
    return folder
