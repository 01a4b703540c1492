"""Rollouts beside their truth under the names that LagrangeBench gives them, without its pickle."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from gnsim.atomic import write_atomic
from gnsim.datasets.findings import printable
from gnsim.state import Trajectory


def write_rollouts(folder: str | Path, predicted: Trajectory, true: Trajectory) -> list[Path]:
    """Write ``rollout_0.npz``, ``rollout_1.npz`` ..., one for each system, and return their paths.

    In each ``predicted_rollout`` and ``ground_truth_rollout [time, bodies, dim]`` in single
    precision, and ``particle_type [bodies]``, zero where the truth has none (Toshev et al.,
    LagrangeBench, NeurIPS 2023). Raises ValueError for a folder that is not there, and for
    trajectories of unlike shapes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(
            f"{printable(folder)}: wanted an existing folder, found none; create it first"
        )
    if predicted.q.shape != true.q.shape or not torch.equal(predicted.batch, true.batch):
        raise ValueError(
            f"rollouts: wanted a prediction of the shape {tuple(true.q.shape)} of the truth, "
            f"found {tuple(predicted.q.shape)}; cut the longer one with frames() or systems()"
        )
    paths = [folder / f"rollout_{system}.npz" for system in range(true.num_systems)]
    for system, path in enumerate(paths):
        one = torch.tensor([system])
        write_atomic(path, _content(predicted.systems(one), true.systems(one)))
    return paths


def _content(predicted: Trajectory, true: Trajectory) -> bytes:
    stream = BytesIO()
    rollouts = {"predicted_rollout": predicted, "ground_truth_rollout": true}
    positions = {name: x.q.detach().cpu().numpy() for name, x in rollouts.items()}
    single = {name: q.astype(np.float32) for name, q in positions.items()}
    np.savez(stream, allow_pickle=False, **single, particle_type=_types(true))
    return stream.getvalue()


def _types(true: Trajectory) -> Int[np.ndarray, " nodes"]:
    types = true.attributes.get("particle_type", torch.zeros(true.num_nodes))
    return types.detach().cpu().numpy().astype(np.int64)
