"""What sources of simulated particles share: settings, and runs of an engine as one trajectory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.settings import positive, whole
from gnsim.datasets.splits import split
from gnsim.state import Trajectory


@dataclass(frozen=True)
class ParticleSettings:
    """How many systems are simulated, for how long, and the seed of all numbers."""

    trajectories: int = 50
    frames: int = 100
    interval: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("trajectories", 1), ("frames", 2), ("seed", 0)):
            whole(getattr(self, name), name, least)
        positive(self.interval, "interval")


@dataclass(frozen=True)
class Run:
    """One system as an engine moved it, with a frame every interval of its settings."""

    q: Float[np.ndarray, "frames bodies dim"]
    v: Float[np.ndarray, "frames bodies dim"]
    attributes: Mapping[str, Float[np.ndarray, " bodies"]]


def together(
    runs: Sequence[Run],
    interval: float,
    walls: Float[Tensor, "2 dim"] | None = None,
    box: Float[Tensor, " dim"] | None = None,
) -> Trajectory:
    """All runs side by side, in float64; they have equally many bodies."""
    q, v = (np.concatenate([getattr(run, name) for run in runs], axis=1) for name in ("q", "v"))
    attributes = {
        name: torch.from_numpy(np.concatenate([run.attributes[name] for run in runs]))
        for name in runs[0].attributes
    }
    p = torch.from_numpy(v)
    return Trajectory(
        t=interval * torch.arange(len(q), dtype=torch.float64),
        q=torch.from_numpy(q),
        p=p * attributes["mass"][:, None] if "mass" in attributes else p,
        batch=torch.arange(len(runs)).repeat_interleave(runs[0].q.shape[1]),
        attributes=attributes,
        walls=walls,
        box=box,
    )


def particles(
    name: str, description: str, settings: type, simulated: Callable[[Any], Trajectory]
) -> Source:
    """A source whose data are simulated whole, then split by trajectory."""

    def build(chosen: Any) -> Dataset:
        return Dataset(name, *split(simulated(chosen), chosen.seed), description)

    return Source(name, description, settings, build, simulated)
