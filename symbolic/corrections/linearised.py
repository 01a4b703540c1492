"""Errors of a law in windows of the data, and what each force beside it would change of them."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnsim.state import State
from gnsim.symbolic.corrections.columns import columns
from gnsim.symbolic.corrections.subsets import Equations
from gnsim.symbolic.law import Law
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import signed_errors

#: blocks of time, or groups of systems, for standard errors
_BLOCKS = 20
#: errors this many times the median of their body, beside the law alone, have no say: after close
#: encounters nothing is linear
_OUTLIER = 20.0


class Linearised:
    """Of one part of the data; `forces` are accelerations per unit of each number of the law, then
    of each force that is tried."""

    def __init__(self, law: Law, problem: Problem, forces: Callable[[State], Tensor]) -> None:
        dynamics = law.dynamics()
        problem = problem.settled(dynamics)
        errors = signed_errors(dynamics, problem).movedim(1, 0)
        self.errors = errors.reshape(len(errors), -1, problem.bodies, errors.shape[-1])
        found = columns(dynamics, problem, forces)
        self.columns = found.view(len(found), *self.errors.shape)
        self.block = blocks_of(problem)
        self.noisy = problem.noisy

    @property
    def sizes(self) -> Float[Tensor, " columns"]:
        """Root mean square of each column; one where it is zero."""
        size = self.columns.square().nanmean((1, 2, 3, 4)).sqrt()
        return torch.where(size > 0, size, 1.0)

    def without(self, x: Float[Tensor, " numbers"]) -> Tensor:
        """What the law leaves when its own numbers, whose columns come first, move by `x`."""
        return self.errors - torch.einsum("c,ckubd->kubd", x, self.columns[: len(x)])

    def equations(
        self, size: Float[Tensor, " columns"], always: int, used: Bool[Tensor, "units bodies"]
    ) -> Equations:
        """With columns over their `size`."""
        scaled = self.columns / size.view(-1, 1, 1, 1, 1)
        return Equations.of(self.errors, scaled, self.block, always, used)


def usual(errors: Float[Tensor, "kinds units bodies dim"]) -> Bool[Tensor, "units bodies"]:
    """Where errors are finite, and not many times what they usually are for that body."""
    lengths = errors.square().sum((0, 3)).sqrt()
    return lengths <= _OUTLIER * lengths.nanmedian(0).values


def blocks_of(problem: Problem) -> Int[Tensor, " windows"]:
    """Blocks of systems where there are many, else of time, in which windows are alike."""
    windows = problem.windows
    systems, system = windows.system.unique(return_inverse=True)
    if len(systems) >= _BLOCKS:
        return system * _BLOCKS // len(systems)
    order = windows.start.argsort(stable=True)
    block = torch.empty_like(order)
    block[order] = torch.arange(len(order)) * min(_BLOCKS, len(order)) // len(order)
    return block
