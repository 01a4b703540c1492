"""What a simulator has to beat: motions that need no learning, from the same start states."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.learned import is_fixed
from gnsim.models.motion_scales import velocities
from gnsim.state import Trajectory


def baselines(
    truth: Trajectory, past: Float[Tensor, "earlier nodes dim"]
) -> Mapping[str, Trajectory]:
    """By their names: with the first velocities of `truth` and, where a `past` of two frames shows
    one, with a constant acceleration. Bodies that are ``fixed`` have none."""
    found = {"constant_velocity": _accelerated(truth, torch.zeros_like(truth.q[0]))}
    if len(past) > 1:
        seen = torch.cat([past[-2:], truth.q[:1]])
        gain = velocities(seen, truth.box, truth.interval).diff(dim=0)[0]
        fixed = is_fixed(truth)
        gain = gain if fixed is None else torch.where(fixed, 0.0, gain)
        found["constant_acceleration"] = _accelerated(truth, gain)
    return found


def _accelerated(truth: Trajectory, gain: Float[Tensor, "nodes dim"]) -> Trajectory:
    """Velocities that `gain` so much in each step, at the end of which positions follow."""
    step = torch.arange(len(truth)).to(truth.q)[:, None, None]
    v = truth.velocity[0] + step * gain
    q = truth.q[0] + truth.interval * (step * truth.velocity[0] + step * (step + 1) / 2 * gain)
    return replace(truth, q=q, p=truth.mass[:, None] * v)
