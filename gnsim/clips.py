"""Clips: short pieces of trajectories whose systems may be of different numbers of bodies."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from gnsim.state import Trajectory
from gnsim.windows import equal_interval


class Clips:
    """Cuts pieces of `steps` steps out of equally spaced times.

    Raises:
        ValueError: fewer frames than one piece, or times that are not equally spaced.
    """

    def __init__(self, path: Trajectory, steps: int) -> None:
        if len(path) < steps + 1:
            raise ValueError(
                f"t: a window of {steps} steps needs {steps + 1} frames, found {len(path)}; "
                "give longer trajectories"
            )
        equal_interval(path.t)
        self.path, self.steps = path, steps
        self.counts = path.batch.bincount()
        self.first = self.counts.cumsum(0) - self.counts
        self.positions = len(path) - steps

    def sample(self, count: int, generator: torch.Generator) -> Trajectory:
        """`count` of them as one batch, uniformly at random with replacement."""
        total = self.positions * self.path.num_systems
        return self._cut(torch.randint(0, total, (count,), generator=generator))

    def spread(self, nodes: int) -> list[Trajectory]:
        """Evenly spread over systems and time, as many as have about so many `nodes` in all."""
        total = self.positions * self.path.num_systems
        count = max(1, min(total, nodes // int(self.counts.max())))
        chosen = torch.linspace(0, total - 1, count, dtype=torch.float64).round().long()
        return [self._cut(one[None]) for one in chosen]

    def _cut(self, chosen: Int[Tensor, " clips"]) -> Trajectory:
        system, start = chosen // self.positions, chosen % self.positions
        counts = self.counts[system]
        batch = torch.arange(len(chosen)).repeat_interleave(counts)
        place = torch.arange(len(batch)) - (counts.cumsum(0) - counts)[batch]
        nodes = self.first[system][batch] + place
        frames = start[batch] + torch.arange(self.steps + 1)[:, None]
        path = self.path
        return replace(
            path,
            t=path.t[: self.steps + 1] - path.t[0],
            q=path.q[frames, nodes],
            p=path.p[frames, nodes],
            batch=batch,
            attributes={name: value[nodes] for name, value in path.attributes.items()},
            names=(),
            noise=None,
        )
