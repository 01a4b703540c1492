"""Errors of a law in windows of the data, and what each force beside it would change of them."""

import math
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
        self.errors = of_windows(signed_errors(dynamics, problem), problem)
        found = columns(dynamics, problem, forces)[:, -1:]
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
        self,
        size: Float[Tensor, " columns"],
        always: int,
        used: Bool[Tensor, "units bodies"],
        evidence: Float[Tensor, " bodies"],
    ) -> Equations:
        """With columns over their `size`."""
        scaled = self.columns / size.view(-1, 1, 1, 1, 1)
        return Equations.of(self.errors, scaled, self.block, always, used, evidence)


def of_windows(
    errors: Float[Tensor, "nodes kinds dim"], problem: Problem
) -> Float[Tensor, "1 units bodies dim"]:
    """By window and body. Of exact positions and velocities the velocities alone: a mean
    acceleration that they tell has less of the rounding of the data in it."""
    return errors[:, -1].reshape(1, -1, problem.bodies, errors.shape[-1])


def evidence_of(problem: Problem) -> Float[Tensor, " bodies"]:
    """How many independent pieces of evidence each body gives, over their mean.

    As many as its acceleration turns by quarters from window to window, and one for each system, up
    to the number of windows: what is left of a body that goes round slowly is the same in hundreds
    of windows, and constants that imitate it cost nothing there.
    """
    windows, bodies = problem.windows, problem.bodies
    path = windows.path
    change = (path.velocity[-1] - path.velocity[0]).view(-1, bodies, path.dim)
    order = torch.argsort(windows.system * (windows.start.max() + 1) + windows.start, stable=True)
    direction = torch.nn.functional.normalize(change[order], dim=2)
    follows = windows.system[order].diff() == 0
    cosine = (direction[1:] * direction[:-1]).sum(2)[follows].clamp(-1, 1)
    turns = torch.arccos(cosine).sum(0) / (0.5 * math.pi)
    systems = len(windows.system.unique())
    pieces = (systems + turns).clamp_max(len(windows.start))
    return pieces / pieces.mean()


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
