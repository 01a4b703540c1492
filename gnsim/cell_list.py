"""A cell list in tensors: bodies that share a cell or stand in cells that adjoin, on any device.

Cells are at least as wide as a radius, so that the neighbours of a body stand in its own cell and
those around it (M. P. Allen and D. J. Tildesley, Computer Simulation of Liquids, 2017, section
5.3). Time and memory are linear in the pairs that are found.
"""

from collections.abc import Iterator
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

#: cells along one direction at most, so that all of them can be numbered
_CELLS = 2**19


def candidates(
    q: Float[Tensor, "nodes dim"],
    batch: Int[Tensor, " nodes"],
    width: float,
    box: Float[Tensor, " dim"] | None,
) -> Iterator[Int[Tensor, "2 pairs"]]:
    """All unordered pairs of one system within `width`, once, in parts, and others beside them."""
    place, counts, periodic = _cells(q, width, box)
    number = _numbered(place, batch, counts)
    number, order = number.sort(stable=True)
    place, batch = place[order], batch[order]
    rows = torch.arange(len(q), device=q.device)
    ends = torch.searchsorted(number, number, right=True)
    yield order[_expanded(rows, rows + 1, ends)]
    for step in _half_of_those_around(counts, periodic):
        there = place + torch.tensor(step, device=q.device)
        if periodic:
            there = torch.remainder(there, counts)
        inside = ((there >= 0) & (there < counts)).all(1)
        wanted = _numbered(there, batch, counts)
        begin = torch.searchsorted(number, wanted)
        end = torch.where(inside, torch.searchsorted(number, wanted, right=True), begin)
        yield order[_expanded(rows, begin, end)]


def _cells(q: Tensor, width: float, box: Tensor | None) -> tuple[Tensor, Tensor, bool]:
    """In which cell each body stands, how many there are along each direction, and whether they
    close to a ring."""
    low = q.amin(0) if box is None else torch.zeros_like(q[0])
    side = q.amax(0) - low if box is None else box.to(q)
    counts = (side / width).floor().clamp(1, _CELLS).long()
    if box is not None:
        counts = torch.where(counts < 3, 1, counts)  # around one and two, sides would meet twice
        share = (q / side) - (q / side).floor()
    else:
        share = (q - low) / side.clamp_min(width)
    return (share * counts).long().clamp_max(counts - 1), counts, box is not None


def _numbered(place: Tensor, batch: Tensor, counts: Tensor) -> Tensor:
    """One number for the system and the cell."""
    number = batch
    for axis in range(place.shape[1]):
        number = number * counts[axis] + place[:, axis]
    return number


def _half_of_those_around(counts: Tensor, periodic: bool) -> list[tuple[int, ...]]:
    """Steps to half of the cells around: those to the others are taken from there."""
    along = [(0,) if count == 1 else (-1, 0, 1) for count in counts.tolist()]
    return [step for step in product(*along) if step > (0,) * len(step)]


def _expanded(rows: Tensor, begin: Tensor, end: Tensor) -> Tensor:
    """Each row with all that stand from `begin` to before `end`."""
    lengths = (end - begin).clamp_min(0)
    first = rows.repeat_interleave(lengths)
    offset = torch.arange(len(first), device=rows.device) - (lengths.cumsum(0) - lengths)[first]
    return torch.stack([first, begin[first] + offset])
