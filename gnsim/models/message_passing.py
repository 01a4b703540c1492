"""PyTorch Geometric's message passing, without the files that it leaves behind."""

import sys
from pathlib import Path
from typing import Any

import torch_geometric.nn


class MessagePassing(torch_geometric.nn.MessagePassing):
    """Sums over edges. PyG writes the code of `propagate` to a temporary file and lets it lie.

    One file a class and process: thousands after some experiments.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        made = sys.modules.get(f"{type(self).__module__}_{type(self).__name__}_propagate")
        if made is not None and made.__file__ is not None:
            Path(made.__file__).unlink(missing_ok=True)
