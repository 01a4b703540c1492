"""Message passing leaves no file in the temporary folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MADE = """
import torch, torch_geometric.nn
from gnsim.models.message_passing import MessagePassing

class Sum({base}):
    def __init__(self):
        super().__init__(aggr="sum")
    def forward(self, x, edges):
        return self.propagate(edges, x=x, size=(2, 2))
    def message(self, x_j):
        return x_j

for _ in range(2):
    found = Sum()(torch.tensor([[1.0], [2.0]]), torch.tensor([[0], [1]]))
assert found.tolist() == [[0.0], [1.0]], found
"""


@pytest.mark.parametrize(
    ("base", "files"), [("MessagePassing", 0), ("torch_geometric.nn.MessagePassing", 1)]
)
def test_no_file_is_left(base: str, files: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MADE.format(base=base))
    folder = tmp_path / "temporary"
    folder.mkdir()
    subprocess.run([sys.executable, script], check=True, env={**os.environ, "TMPDIR": str(folder)})
    assert len(list(folder.glob("*propagate*"))) == files
