"""Errors of a learned simulator over windows, as rates in the scales of its data."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.graph import nearest_image
from gnsim.integrators.base import Integrator
from gnsim.models.learned import Errors
from gnsim.models.scales import Scales
from gnsim.prediction import predict
from gnsim.state import Trajectory
from gnsim.windows import WindowSampler

LOSSES: Mapping[str, Callable[[Tensor], Tensor]] = {"absolute": torch.abs, "squared": torch.square}


def window_errors(
    model: Dynamics, scales: Scales, integrator: Integrator, path: Trajectory, substeps: int
) -> Errors:
    """What positions and momenta miss at the frames after the first, which is where they start.

    Over the time since then, and the usual size of a velocity and of a force: one for what stands
    still, and of one size for all time steps.
    """
    q, v = predict(model, integrator, path, substeps)
    elapsed = (path.t[1:] - path.t[0])[:, None, None]
    of_q = nearest_image(q - path.q[1:], path.box) / (scales.velocity * elapsed)
    of_p = (v - path.velocity[1:]) * path.mass[:, None] / (scales.force * elapsed)
    return torch.stack([of_q, of_p])


class StepsOfFrames:
    """Windows of `window` steps of one length, which each batch draws from `strides`, in frames.

    Raises:
        ValueError: fewer frames than the longest window, or times that are not equally spaced.
    """

    def __init__(self, path: Trajectory, window: int, strides: range) -> None:
        self.samplers = {n: WindowSampler(path, window, n) for n in strides}

    def sample(self, count: int, generator: torch.Generator) -> Trajectory:
        """`count` windows, uniformly at random with replacement, with one time step."""
        strides = list(self.samplers)
        chosen = strides[int(torch.randint(len(strides), (), generator=generator))]
        return _coarse(self.samplers[chosen].sample(count, generator).path, chosen)

    def spread(self, count: int) -> list[Trajectory]:
        """For each time step, at most `count` windows evenly spread over systems and time."""
        return [_coarse(s.spread(count).path, n) for n, s in self.samplers.items()]


def _coarse(path: Trajectory, stride: int) -> Trajectory:
    return path.frames(slice(None, None, stride))
