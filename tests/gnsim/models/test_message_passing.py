"""Message passing leaves no file in the temporary folder."""

import tempfile
from pathlib import Path

import pytest
import torch
import torch_geometric.nn
from torch import Tensor

from gnsim.models.message_passing import MessagePassing


class Ours(MessagePassing):
    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        return self.propagate(edges, x=x, size=(2, 2))

    def message(self, x_j: Tensor) -> Tensor:
        return x_j


class PyG(torch_geometric.nn.MessagePassing):
    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        return self.propagate(edges, x=x, size=(2, 2))

    def message(self, x_j: Tensor) -> Tensor:
        return x_j


@pytest.mark.parametrize(("kind", "files"), [(Ours, 0), (PyG, 1)])
def test_no_file_is_left(
    kind: type, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(2):
        layer = kind(aggr="sum")
    found = layer(torch.tensor([[1.0], [2.0]]), torch.tensor([[0], [1]]))
    assert found.tolist() == [[0.0], [1.0]]
    assert len(list(tmp_path.glob("*propagate*"))) == files
