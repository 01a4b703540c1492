"""What a learner gets to see of a true trajectory: with noise, without velocities."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.datasets.raw import from_trajectory, to_trajectory
from gnsim.datasets.systems.samplers import NOISE, stream
from gnsim.datasets.systems.settings import SystemSettings
from gnsim.state import Trajectory


def observed(path: Trajectory, settings: SystemSettings) -> Trajectory:
    """`path` with the noise of `settings`, and without velocities where they are not wanted."""
    seen = _noisy(path, settings) if settings.noise else path
    if settings.velocities:
        return seen
    return to_trajectory(from_trajectory(replace(seen, velocity_given=False)))


def _noisy(path: Trajectory, settings: SystemSettings) -> Trajectory:
    shape = (2, len(path), settings.bodies, path.dim)
    drawn = [
        stream(settings.seed, system, purpose=NOISE).standard_normal(shape)
        for system in range(settings.trajectories)
    ]
    of_q, of_v = torch.from_numpy(np.concatenate(drawn, axis=2))
    q = path.q + settings.noise * _spread(path.q) * of_q
    v = path.velocity + settings.noise * _spread(path.velocity) * of_v
    return replace(path, q=q, p=v * path.mass[:, None])


def _spread(vectors: Float[Tensor, "time nodes dim"]) -> Float[Tensor, ""]:
    """Root mean square of all components about their mean."""
    return (vectors - vectors.mean((0, 1))).square().mean().sqrt()
