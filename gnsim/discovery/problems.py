"""What the symbolic stage reads of data and network: windows, and the numbers to start from."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.datasets import Dataset
from gnsim.discovery.settings import DiscoveryConfig, integrator_named
from gnsim.models.coupled import CoupledPairs
from gnsim.noise import STILL, as_noisy_as, quiet_steps
from gnsim.state import Trajectory
from gnsim.symbolic.problem import Problem


def problem(
    dataset: Dataset, trajectory: Trajectory, config: DiscoveryConfig, windows: int
) -> Problem:
    """Windows of a part of `dataset` as refit and verdict see them, as long for each part."""
    settings = config.symbolic
    parts = (dataset.train, dataset.valid, dataset.test)
    longest = min(map(len, parts)) - 1
    steps = min(max(settings.window, quiet_steps(dataset.train, STILL)), longest)
    integrator = integrator_named(settings.integrator)
    seen = as_noisy_as(dataset.train, trajectory)
    return Problem.of(seen, steps, windows, integrator, settings.substeps)


def network_numbers(model: CoupledPairs) -> Float[Tensor, " numbers"]:
    """The network's couplings for a strength of one, then the coefficients of its terms."""
    with torch.no_grad():
        return torch.cat([model.unit_couplings(), model.coefficients]).double()
