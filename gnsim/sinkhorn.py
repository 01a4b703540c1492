"""How far apart two clouds of points are, whichever point is which: the Sinkhorn divergence.

Entropic optimal transport between uniform weights a and b at the cost C = |x - y|^2 has potentials
that satisfy f = -e log sum_j b_j exp((g_j - C_j) / e), and g likewise; its value is mean f + mean g
(M. Cuturi, arXiv:1306.0895). These are found by turns, most of them by products with the kernel
exp((f + g - C) / e), into which potentials are taken up now and then (B. Schmitzer,
arXiv:1610.06519); steps with logarithms in between hold at any distance.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.graph import nearest_image

#: relative change of the value in a round of turns at which it is settled, and at which it is
#: taken where it never settles: weights may go on to change where the value hardly does
TOLERANCE, _NEARLY = 1e-9, 1e-6
#: costs from which they are taken for infinite
_INFINITE = 1e300
#: turns between two steps with logarithms, and most such rounds
_TURNS, _ROUNDS = 20, 2000
#: factors of the kernel beyond which its products are not trusted
_SAFE = 1e100
#: numbers that are held beside the costs
_BLOCK = 2**20


def sinkhorn_divergence(
    x: Float[Tensor, "points dim"],
    y: Float[Tensor, "others dim"],
    box: Float[Tensor, " dim"] | None = None,
    regularisation: float = 0.05,
) -> float:
    """``W(x, y) - W(x, x) / 2 - W(y, y) / 2``, a squared length; 0 for the same points, permuted.

    W is the regularised cost, with e = `regularisation` times the mean squared distance between x
    and y. It tends to the mean cost of the best assignment as that goes to zero; 0.05 is what
    LagrangeBench takes (J. Feydy et al., arXiv:1810.08278; Toshev et al., NeurIPS 2023). Distances
    are those of nearest images in a periodic `box`. Turns end where the value changes by less
    than `TOLERANCE` in a round. NaN where points are not finite, there are none, or the value does
    not settle, as with very little regularisation; infinite where squared distances overflow.
    In double precision, with memory for all distances twice (400 MB for 5,000 points and as many).
    """
    x, y = x.double(), y.double()
    if not (len(x) and len(y) and bool(x.isfinite().all() and y.isfinite().all())):
        return math.nan
    box = None if box is None else box.double()
    costs = _squared_distances(x, y, box)
    if float(costs.max()) > _INFINITE:
        return math.inf
    epsilon = regularisation * float(costs.mean())
    if epsilon == 0:  # all in one place
        return 0.0
    apart = _transport(costs, epsilon)
    del costs
    own = sum(_transport(_squared_distances(z, z, box), epsilon) for z in (x, y))
    return apart - own / 2


def _squared_distances(x: Tensor, y: Tensor, box: Tensor | None) -> Tensor:
    squared = x.new_empty(len(x), len(y))
    rows = max(1, _BLOCK // y.numel())
    for part, points in zip(squared.split(rows), x.split(rows), strict=True):
        part[:] = nearest_image(points[:, None] - y, box).square().sum(-1)
    return squared


def _transport(costs: Float[Tensor, "points others"], epsilon: float) -> float:
    """The regularised cost, by potentials in units of `epsilon`."""
    scaled, kernel = costs.div_(epsilon), torch.empty_like(costs)
    g, value, change = scaled.new_zeros(scaled.shape[1]), math.inf, math.inf
    for _ in range(_ROUNDS):
        f = _settled(scaled, g)
        g = _settled(scaled.T, f)
        before, value = value, float(f.mean() + g.mean())
        change = abs(value - before) / max(1.0, abs(value))
        if change < TOLERANCE:
            break
        torch.add(f[:, None], g, out=kernel).sub_(scaled).exp_().div_(scaled.numel())
        u, v = f.new_ones(len(f)), g.new_ones(len(g))
        for _ in range(_TURNS):
            u = 1 / (len(f) * (kernel @ v))
            v = 1 / (len(g) * (u @ kernel))
        if _safe(u) and _safe(v):
            g = g + v.log()
    return epsilon * value if change < _NEARLY else math.nan


def _safe(factors: Tensor) -> bool:
    return bool(((factors < _SAFE) & (factors > 1 / _SAFE)).all())


def _settled(scaled: Tensor, other: Tensor) -> Tensor:
    """The potential that meets the weights exactly beside the `other`."""
    rows = max(1, _BLOCK // scaled.shape[1])
    parts = ((other - part).logsumexp(1) for part in scaled.split(rows))
    return math.log(scaled.shape[1]) - torch.cat(list(parts))
