"""Edges between bodies and the one function that turns an edge into a displacement.

Convention of PyTorch Geometric: ``edge_index[0]`` is the source j, ``edge_index[1]`` the target i,
and a message along the edge is what j does to i.
"""

from functools import reduce

import torch
from jaxtyping import Float, Int
from torch import Tensor

#: of a unit of length: what is nearer has no direction
_TOUCHING = 1e-6


def all_pairs(batch: Int[Tensor, " nodes"]) -> Int[Tensor, "2 pairs"]:
    """Every unordered pair of nodes of one system, once, the lower index as the target.

    The nodes of a system stand together (`batch` does not decrease), as PyTorch Geometric lays
    them. Memory grows with the pairs and not with the square of all nodes.
    """
    counts = torch.bincount(batch)
    first = torch.cumsum(counts, 0) - counts
    sizes = counts.unique().tolist()
    if len(sizes) == 1:
        blocks = _pairs_of(sizes[0], batch.device)[:, None] + first[:, None]
        return blocks.reshape(2, -1)
    systems = zip(counts.tolist(), first.tolist(), strict=True)
    return torch.cat([_pairs_of(count, batch.device) + begin for count, begin in systems], dim=1)


def bonded_pairs(
    bonds: Int[Tensor, "2 bonds"], batch: Int[Tensor, " nodes"]
) -> Int[Tensor, "2 pairs"]:
    """The bonds between places of a system as pairs of nodes of every system in turn."""
    counts = torch.bincount(batch)
    first = torch.cumsum(counts, 0) - counts
    return (bonds[:, None] + first[:, None]).reshape(2, -1)


def _pairs_of(count: int, device: torch.device) -> Int[Tensor, "2 pairs"]:
    """The pairs of one system."""
    return torch.triu_indices(count, count, offset=1, device=device).flip(0)


def displacement(
    q: Float[Tensor, "nodes dim"],
    edge_index: Int[Tensor, "2 edges"],
    box: Float[Tensor, " dim"] | None = None,
) -> Float[Tensor, "edges dim"]:
    """From target to source, ``q_j - q_i``; to the nearest image in a periodic `box`."""
    return nearest_image(q[edge_index[0]] - q[edge_index[1]], box)


def nearest_image(
    difference: Float[Tensor, "*any dim"], box: Float[Tensor, " dim"] | None
) -> Float[Tensor, "*any dim"]:
    """Differences of positions as the shortest that are equal to them in a periodic `box`."""
    return difference if box is None else difference - box * torch.round(difference / box)


def unwrapped(
    q: Float[Tensor, "time nodes dim"], box: Float[Tensor, " dim"] | None
) -> Float[Tensor, "time nodes dim"]:
    """Positions over time without the jumps of bodies that leave a periodic `box` on one side.

    No body may cross half of the box between two frames.
    """
    if box is None:
        return q
    crossed = torch.round(q.diff(dim=0) / box).cumsum(0)
    return torch.cat([q[:1], q[1:] - box * crossed])


def distance(displacement: Float[Tensor, "edges dim"]) -> Float[Tensor, " edges"]:
    """Length of each displacement, with finite first and second derivatives (reverse mode) at zero.

    Two bodies in one place get the length 0 and the gradient 0; `torch.linalg.norm` has NaN there.
    """
    # component by component: several times as fast as a sum over so short an axis
    squared = reduce(torch.add, (c.square() for c in displacement.unbind(-1)))
    if not squared.requires_grad:  # most calls; three operations less
        return squared.sqrt()
    apart = squared > 0
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def directions(displacement: Float[Tensor, "edges dim"]) -> Float[Tensor, "edges dim"]:
    """Displacements, in a unit in which most are about one, over their lengths.

    They fall to zero where bodies are nearer than a millionth, so that derivatives stay finite.
    """
    return displacement / distance(displacement).clamp_min(_TOUCHING)[:, None]


def to_walls(
    q: Float[Tensor, "nodes dim"], walls: Float[Tensor, "2 dim"]
) -> Float[Tensor, "nodes walls dim"]:
    """The way from each body straight to each wall that there is; infinite ones are none."""
    side, axis = walls.isfinite().nonzero(as_tuple=True)
    straight = torch.eye(q.shape[1], dtype=q.dtype, device=q.device)[axis]
    return (walls[side, axis] - q[:, axis])[..., None] * straight
