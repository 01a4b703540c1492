"""Accelerations of particles from their noisy past: what a simulator that remembers learns from."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.clips import Clips
from gnsim.models.gns import GNS
from gnsim.models.learned import is_fixed
from gnsim.models.motion_scales import velocities
from gnsim.state import Trajectory
from gnsim.training.simulator_config import SimulatorConfig
from gnsim.training.window_errors import LOSSES

#: bodies of the held-out clips that are looked at, in all
_VALIDATED = 20_000


class OneStep:
    """A simulator, and measured pasts after which it is to move on as what was measured.

    A. Sanchez-Gonzalez et al. (arXiv:2002.09405): the velocities of a past are perturbed by a
    random walk, and what is to be learned is the acceleration that leads to the velocity measured
    next, so that a rollout recovers from its own errors.
    """

    def __init__(
        self, model: GNS, train: Trajectory, valid: Trajectory, config: SimulatorConfig
    ) -> None:
        self.model, self.config = model, config
        # of a past, the present and what comes next
        steps = config.history + 1
        self.clips = Clips(train.to(torch.float64), steps)
        self.held_out = Clips(valid.to(torch.float64), steps).spread(_VALIDATED)

    def loss(self, step: int, generator: torch.Generator) -> Float[Tensor, ""]:
        """The mean of the chosen `LOSSES` over free bodies and components."""
        clip = self.clips.sample(self.config.graphs, generator)
        size = self.config.noise * self.model.motion.velocity_spread.to(clip.q.dtype)
        return LOSSES[self.config.loss](self._errors(perturbed(clip, size, generator))).mean()

    def validation_error(self) -> float:
        """Root mean square of the errors of held-out clips, without noise."""
        with torch.no_grad():
            squares = torch.cat([self._errors(clip).square() for clip in self.held_out])
        return float(squares.mean().sqrt())

    def _errors(self, clip: Trajectory) -> Float[Tensor, "free dim"]:
        """Of the acceleration from the last frame but one to the last, over its usual size."""
        model, history = self.model, self.config.history
        v = velocities(clip.q[-3:], clip.box, clip.interval)
        wanted = model.motion.scaled_acceleration((v[1] - v[0]) / clip.interval)
        missed = model.scaled_acceleration(clip.with_past(history, history)) - wanted
        fixed = is_fixed(clip)
        return missed if fixed is None else missed[~fixed[:, 0]]


def perturbed(
    clip: Trajectory, size: Float[Tensor, " dim"], generator: torch.Generator
) -> Trajectory:
    """A random walk in the velocities of the free bodies, of standard deviation `size` at its end.

    Positions are what these lead to; the last frame is moved as the one before it, so that the
    velocity between the two is the one that was measured.
    """
    steps = len(clip) - 2
    kicks = torch.randn(steps, *clip.q.shape[1:], generator=generator, dtype=clip.q.dtype)
    walk = (kicks * size / steps**0.5).cumsum(0)
    fixed = is_fixed(clip)
    if fixed is not None:
        walk = torch.where(fixed, 0.0, walk)
    moved = clip.interval * walk.cumsum(0)
    return replace(clip, q=clip.q + torch.cat([torch.zeros_like(moved[:1]), moved, moved[-1:]]))
