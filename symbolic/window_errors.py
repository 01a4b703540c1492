"""Errors of a dynamics at the ends of windows: their sizes, their mean, and those of the step."""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.symbolic.problem import Problem, final_error

#: relative errors below this are the integrator's; forms are not told apart by them
NUMERICAL = 1e-6
#: differences below this many times what halving the time step changes are the integrator's
_STEP_ERRORS = 3.0


def error_sizes(model: Dynamics, problem: Problem) -> Tensor:
    """Size of each relative error, [nodes, kinds], NaN taken as infinite.

    Of noisy windows from the starts that `problem` has: see `Problem.settled`.
    """
    return signed_errors(model, problem).norm(dim=-1).nan_to_num(nan=math.inf)


def signed_errors(model: Dynamics, problem: Problem) -> Tensor:
    """Relative errors at the ends of the windows, [nodes, kinds, dim]."""
    with torch.no_grad():
        return torch.cat([final_error(model, problem, part) for part in problem.chunks()])


def step_error(model: Dynamics, problem: Problem) -> Tensor:
    """Three times what halving the time step changes in each error, [nodes, kinds]."""
    finer = replace(problem, substeps=2 * problem.substeps)
    change = signed_errors(model, problem) - signed_errors(model, finer)
    return _STEP_ERRORS * change.norm(dim=-1).nan_to_num(nan=math.inf)


def not_of_the_step(floor: Tensor, problem: Problem) -> Bool[Tensor, " windows"]:
    """Noisy windows in which no `step_error` is above what noise makes.

    In others a form may imitate the error of the integrator.
    """
    stepped = floor > problem.noise_share()
    return ~stepped.view(len(problem.windows.start), -1).any(1)


def mean_error(sizes: Tensor) -> float:
    """Geometric mean: every body and window counts alike, close encounters and quiet years."""
    return float(sizes.clamp(1e-15, 1e6).log().mean().exp())
