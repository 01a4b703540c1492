"""The example of docs/simulators.md runs, with less training."""

import re
from pathlib import Path

import pytest
import torch

from gnsim.simulators import SimulatorRecipe

DOCS = Path(__file__).parents[3] / "docs" / "simulators.md"
LESS = ["steps=2", "hidden=4", "passes=1"]


def test_the_example_in_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gnsim.simulators.files.rendered", lambda figure, kind: kind.encode())
    monkeypatch.setattr(
        "gnsim.simulators.measures.sinkhorn_distance", lambda found, true: torch.ones(1).double()
    )
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    less = "".join(f', "simulator.{word}"' for word in LESS)
    exec(example.replace('"simulator.graphs=2"', f'"simulator.graphs=2"{less}'), {})
    assert SimulatorRecipe.read(tmp_path / "runs" / "water").config.simulator.radius == 0.025
    *rows, last = capsys.readouterr().out.splitlines()
    assert any(row.startswith("q_rmse_of_constant_acceleration ") for row in rows)
    shape = "torch.Size([100, 100, 2])"
    assert last == f"the held-out part of water-drop-sample {shape} {shape}"
