"""All pairs of bodies within a radius, exactly; and kept while they hold.

By a k-d tree on a CPU, which is the faster one there, and by a cell list on other devices.
"""

import math
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from gnsim.cell_list import candidates
from gnsim.graph import displacement, distance, nearest_image

#: by which is looked further: trees and cells round distances in their own ways, relative to these
_FURTHER = 1 + 1e-5
#: roundings of positions and sides that enter the distance to a nearest image
_ROUNDINGS = 8
#: of the radius: what these may come to
_BLURRED = 0.1


class FarAwayError(ValueError):
    """A body is so many boxes away that its precision does not tell who is near."""


def radius_pairs(
    q: Float[Tensor, "nodes dim"],
    batch: Int[Tensor, " nodes"],
    radius: float,
    box: Float[Tensor, " dim"] | None = None,
) -> Int[Tensor, "2 pairs"]:
    """Every unordered pair of bodies of one system that are within `radius`, once.

    As `gnsim.graph.all_pairs` has them: the lower index is the target, and pairs are in the order
    of their targets, then of their sources. In a periodic `box`, distances are those of nearest
    images, in the precision of `q`.

    Raises:
        ValueError: a radius that is not above zero, or is more than half of the box (then a pair
            would meet in several images); positions that are not finite, or so many boxes away that
            their precision does not tell the radius.
    """
    _check_radius(radius)
    _check(q, radius, box)
    return _within(q.detach(), batch, radius, box)


class NeighbourList:
    """The pairs within a radius of positions that move: looked for anew only where they may change.

    Pairs within `radius` + `skin` are kept until a body has moved by half of the `skin`
    (L. Verlet, Physical Review 159 (1967) 98); what is returned is always what `radius_pairs` is.
    In a small box the skin is thinner: both together are at most half of it.

    Raises:
        ValueError: a radius that is not above zero, or a skin below it.
    """

    def __init__(self, radius: float, skin: float) -> None:
        _check_radius(radius)
        if not 0 <= skin < math.inf:
            raise ValueError(f"skin: wanted a length of at least 0, found {skin:g}")
        self.radius = radius
        self.skin = skin
        #: how often pairs were looked for
        self.searches = 0
        self._before: tuple[Tensor, Tensor, Tensor | None, float] | None = None
        self._near = torch.zeros(2, 0, dtype=torch.long)

    def pairs(
        self,
        q: Float[Tensor, "nodes dim"],
        batch: Int[Tensor, " nodes"],
        box: Float[Tensor, " dim"] | None = None,
    ) -> Int[Tensor, "2 pairs"]:
        """As `radius_pairs`, and raises what it raises."""
        q = q.detach()
        if not self._holds(q, batch, box):
            _check(q, self.radius, box)
            skin = self.skin if box is None else min(self.skin, float(box.min()) / 2 - self.radius)
            further = (self.radius + skin) * _FURTHER + _blur(q, box)
            self._near = _within(q, batch, further, box)
            self._before = (q.clone(), batch.clone(), None if box is None else box.clone(), skin)
            self.searches += 1
        return self._near[:, distance(displacement(q, self._near, box)) <= self.radius]

    def _holds(self, q: Tensor, batch: Tensor, box: Tensor | None) -> bool:
        """Whether no pair can have come within the radius that is not among those kept."""
        if self._before is None:
            return False
        before, of, inside, skin = self._before
        if q.shape != before.shape or q.device != before.device or not torch.equal(batch, of):
            return False
        if (box is None) != (inside is None):
            return False
        if box is not None and inside is not None and not torch.equal(box, inside):
            return False
        moved = _FURTHER * distance(nearest_image(q - before, box)) + _blur(q, box)
        # not "above": what is not finite is looked at anew, and refused
        return bool((2 * moved <= skin).all())


def _within(q: Tensor, batch: Tensor, width: float, box: Tensor | None) -> Tensor:
    """The pairs whose distance is at most `width`, in their order."""
    if len(q) < 2:
        return torch.zeros(2, 0, dtype=torch.long, device=q.device)
    further = width * _FURTHER + _blur(q, box)
    look = _of_tree if q.device.type == "cpu" else candidates
    parts = look(q, batch, further, box)
    near = [part[:, distance(displacement(q, part, box)) <= width] for part in parts]
    pairs = torch.cat(near, 1)
    source, target = pairs.amax(0), pairs.amin(0)
    order = (target * len(q) + source).argsort()
    return torch.stack([source[order], target[order]])


def _of_tree(q: Tensor, batch: Tensor, width: float, box: Tensor | None) -> Iterable[Tensor]:
    """All pairs within `width`. Systems stand apart along a direction of their own."""
    places = q.to(torch.float64).numpy()
    sides = None if box is None else box.detach().to(torch.float64).numpy()
    if sides is not None:
        places = np.remainder(places, sides)
        places[places >= sides] = 0.0  # of what is just below zero the remainder is rounded up
    if bool((batch != batch[0]).any()):
        places = np.column_stack([places, 2 * width * batch.numpy()])
        sides = None if sides is None else np.append(sides, 0.0)  # 0: does not close to a ring
    found = cKDTree(places, boxsize=sides).query_pairs(width, output_type="ndarray")
    return [torch.from_numpy(found.astype(np.int64, copy=False)).T]


def _blur(q: Tensor, box: Tensor | None) -> float:
    """What rounding may add to the distance between nearest images; without a box it is relative
    to the distance."""
    if box is None or not len(q):
        return 0.0
    return _ROUNDINGS * torch.finfo(q.dtype).eps * float(q.abs().max() + box.max())


def _check_radius(radius: float) -> None:
    if not 0 < radius < math.inf:
        raise ValueError(f"radius: wanted a length above 0, found {radius:g}")


def _check(q: Tensor, radius: float, box: Tensor | None) -> None:
    if not bool(q.isfinite().all()):
        body = int((~q.isfinite()).any(1).nonzero()[0])
        raise ValueError(f"positions: that of body {body} is not finite")
    if box is None or not len(q):
        return
    if 2 * radius > (least := float(box.min())):
        raise ValueError(
            f"radius: wanted at most half of the smallest side of the box, {least / 2:g}, "
            f"found {radius:g}"
        )
    if _blur(q, box) > _BLURRED * radius:
        raise FarAwayError(
            f"positions: wanted them near enough to the box that a radius of {radius:g} can be "
            f"told, found one at {float(q.abs().max()):g}; bring them into the box"
        )
