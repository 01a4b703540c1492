"""A cell list in tensors: bodies that share a cell or stand in cells that adjoin, on any device.

Cells are at least as wide as a radius, so that the neighbours of a body stand in its own cell and
those around it (M. P. Allen and D. J. Tildesley, Computer Simulation of Liquids, 2017, section
5.3). Only cells that hold bodies are numbered, and space without bodies has none: a body far away
costs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def candidates(
    q: Float[Tensor, "nodes dim"],
    batch: Int[Tensor, " nodes"],
    width: float,
    box: Float[Tensor, " dim"] | None,
) -> Iterator[Int[Tensor, "2 pairs"]]:
    """All unordered pairs of one system within `width`, once, in parts, and others beside them.

    A part has at most a few pairs for each one within the width, where bodies are evenly spread.
    """
    places = q.to(torch.float64)
    sides = [None] * q.shape[1] if box is None else box.tolist()
    axes = [_axis(places[:, k], width, side) for k, side in enumerate(sides)]
    grid = _Grid(batch, axes)
    own, _ = grid.cell((0,) * len(axes))
    own, order = own.sort(stable=True)
    rows = torch.arange(len(q), device=q.device)
    yield order[_expanded(rows + 1, torch.searchsorted(own, own, right=True))]
    for step in _half_of_those_around(axes):
        cell, exists = (found[order] for found in grid.cell(step))
        begin = torch.searchsorted(own, cell)
        end = torch.where(exists, torch.searchsorted(own, cell, right=True), begin)
        yield order[_expanded(begin, end)]


@dataclass(frozen=True)
class _Axis:
    """Where bodies stand along one direction: the index of a cell from 0 to before `count`."""

    index: Int[Tensor, " nodes"]
    count: int
    periodic: bool

    def moved(self, step: int) -> tuple[Int[Tensor, " nodes"], Bool[Tensor, " nodes"]]:
        """The cells so many further on, and whether there are any."""
        there = self.index + step
        if self.periodic:
            return there.remainder(self.count), torch.ones_like(there, dtype=torch.bool)
        return there, (there >= 0) & (there < self.count)


def _axis(x: Tensor, width: float, side: float | None) -> _Axis:
    """Cells along a direction, of which there are never many more than bodies."""
    if side is None:
        index = _open(x, width)
        return _Axis(index, int(index.max()) + 1, periodic=False)
    count = min(int(side / width), len(x))
    count = count if count >= 3 else 1  # around one and two, sides would meet twice
    share = (x / side) - (x / side).floor()
    return _Axis((share * count).long().clamp_max(count - 1), count, periodic=True)


def _open(x: Tensor, width: float) -> Tensor:
    """Cells begin anew after each gap that no pair can reach across."""
    x, order = x.sort()
    gap = torch.cat([x.new_zeros(1), x.diff()]) > width
    first = torch.where(gap, torch.arange(len(x), device=x.device), 0).cummax(0).values
    within = ((x - x[first]) / width).long()
    before = torch.where(gap, within.roll(1) + 2, 0).cumsum(0)  # an empty cell between them
    return torch.empty_like(within).scatter_(0, order, before + within)


class _Grid:
    """Numbers for the cells that hold bodies of a system, direction by direction.

    After each one, what was found is numbered anew, so that no number is larger than the square of
    that of the bodies.
    """

    def __init__(self, batch: Int[Tensor, " nodes"], axes: list[_Axis]) -> None:
        self.batch, self.axes = batch, axes
        self.known: list[Tensor] = []
        number = batch
        for axis in axes:
            found, number = (number * axis.count + axis.index).unique(return_inverse=True)
            self.known.append(found)

    def cell(self, step: tuple[int, ...]) -> tuple[Int[Tensor, " nodes"], Bool[Tensor, " nodes"]]:
        """The cell so many further on from that of each body, and whether it holds any bodies."""
        number, exists = self.batch, torch.ones_like(self.batch, dtype=torch.bool)
        for axis, by, known in zip(self.axes, step, self.known, strict=True):
            index, inside = axis.moved(by)
            wanted = number * axis.count + index
            number = torch.searchsorted(known, wanted).clamp_max(len(known) - 1)
            exists = exists & inside & (known[number] == wanted)
        return number, exists


def _half_of_those_around(axes: list[_Axis]) -> list[tuple[int, ...]]:
    """Steps to half of the cells around: those to the others are taken from there."""
    along = [(0,) if axis.count == 1 else (-1, 0, 1) for axis in axes]
    return [step for step in product(*along) if step > (0,) * len(step)]


def _expanded(begin: Int[Tensor, " nodes"], end: Int[Tensor, " nodes"]) -> Int[Tensor, "2 pairs"]:
    """Each row with all that stand from its `begin` to before its `end`."""
    lengths = (end - begin).clamp_min(0)
    rows = torch.arange(len(begin), device=begin.device).repeat_interleave(lengths)
    offset = torch.arange(len(rows), device=rows.device) - (lengths.cumsum(0) - lengths)[rows]
    return torch.stack([rows, begin[rows] + offset])
