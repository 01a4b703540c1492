"""How many components vector messages use, and how much of the true force is in them.

Cranmer et al. 2020 (arXiv:2006.11287): where messages are as few as space has dimensions, they are
a linear map of the force, for the node network can undo any such map.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.graph import distance
from gnsim.models.pairwise import PairPotential
from gnsim.models.vector_messages import VectorMessages

#: a component is live from this share of the variance of the strongest one on
LIVE = 1e-2
#: share of the samples that robust measures keep
_KEPT = 0.9
_ROUNDS = 10


@dataclass(frozen=True)
class ForceInMessages:
    """Shares of variance explained by an affine map between force and as many message components.

    `r2` is that of the force, explained by the components, over all samples; `robust` leaves out
    the tenth with the largest forces. `published` has it the other way round, as the paper: each
    component explained by the force, without the tenth that fits worst, a mean over components.
    """

    r2: float
    robust: float
    published: float


@dataclass(frozen=True)
class MessageSpace:
    """Variances of the components, the largest first, how many are live, and the force in them.

    `strongest` looks at the components of largest variance, as many as space has dimensions;
    `rotated` at the directions of largest variance in message space (singular value
    decomposition), for nothing makes a network put a force along the axes.
    """

    variances: tuple[float, ...]
    live: int
    strongest: ForceInMessages
    rotated: ForceInMessages


def message_space(
    vectors: Float[Tensor, "edges width"], force: Float[Tensor, "edges dim"]
) -> MessageSpace:
    """What there is to know of messages whose true `force` is known.

    Raises:
        ValueError: fewer than ten edges, or a message or force that is not finite.
    """
    if len(vectors) < 10 or not bool(torch.isfinite(vectors).all() & torch.isfinite(force).all()):
        raise ValueError(
            f"messages: wanted at least 10, all finite, with finite forces, found {len(vectors)}; "
            "give more states, and a model that is trained"
        )
    vectors, force = vectors.double(), force.double()
    variances = component_variances(vectors)
    dim = force.shape[1]
    return MessageSpace(
        variances=tuple(variances.tolist()),
        live=live_components(vectors),
        strongest=force_in(strongest_components(vectors, dim), force),
        rotated=force_in(principal_directions(vectors, dim), force),
    )


def component_variances(vectors: Float[Tensor, "edges width"]) -> Float[Tensor, " width"]:
    """Variance of each component over the edges, the largest first."""
    return vectors.var(0).sort(descending=True).values


def live_components(vectors: Float[Tensor, "edges width"]) -> int:
    """Components with at least a hundredth of the variance of the strongest one."""
    variances = component_variances(vectors)
    return int(((variances >= LIVE * variances[0]) & (variances > 0)).sum())


def strongest_components(
    vectors: Float[Tensor, "edges width"], count: int
) -> Float[Tensor, "edges count"]:
    """The components of largest variance, the strongest first."""
    return vectors[:, vectors.var(0).argsort(descending=True)[:count]]


def principal_directions(
    vectors: Float[Tensor, "edges width"], count: int
) -> Float[Tensor, "edges count"]:
    """Messages along the orthogonal directions of largest variance, without their mean."""
    centred = vectors - vectors.mean(0)
    # of the small square matrix: the directions are the same as those of all messages
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors
    return centred @ directions.flip(1)[:, :count]


def true_forces(pair: PairPotential, messages: VectorMessages) -> Float[Tensor, "edges dim"]:
    """The force of `pair` on the target of each edge, in float64; the pair has no distance zero."""
    d = messages.displacement.double()
    ends = ({k: v.double() for k, v in e.items()} for e in (messages.source, messages.target))
    r = distance(d)
    with torch.no_grad():
        return (pair.force(r, *ends) / r)[:, None] * d


def force_in(
    components: Float[Tensor, "edges count"], force: Float[Tensor, "edges dim"]
) -> ForceInMessages:
    """How well affine maps take the one into the other."""
    size = force.norm(dim=1)
    usual = size <= size.quantile(_KEPT)
    each = [_trimmed_r2(force, component[:, None]) for component in components.T]
    return ForceInMessages(
        r2=_r2(components, force),
        robust=_r2(components[usual], force[usual]),
        published=sum(each) / len(each),
    )


def _r2(x: Float[Tensor, "edges a"], y: Float[Tensor, "edges b"]) -> float:
    """Share of the variance of all of `y` that an affine map of `x` explains."""
    return _explained(_residual(x, y, torch.ones(len(x), dtype=torch.bool)), y)


def _trimmed_r2(x: Float[Tensor, "edges a"], y: Float[Tensor, "edges 1"]) -> float:
    """The same, fitted to the share `_KEPT` of the edges that fits best, and of that share."""
    kept = torch.ones(len(x), dtype=torch.bool)
    for _ in range(_ROUNDS):
        size = _residual(x, y, kept).norm(dim=1)
        kept = size <= size.quantile(_KEPT)
    return _explained(_residual(x, y, kept)[kept], y[kept])


def _residual(x: Tensor, y: Tensor, fitted_to: Tensor) -> Tensor:
    """What the affine map that is best on the edges `fitted_to` leaves of `y` on all edges."""
    scale = x.std(0).clamp_min(torch.finfo(x.dtype).tiny)
    design = torch.cat([(x - x.mean(0)) / scale, torch.ones_like(x[:, :1])], 1)
    used = design[fitted_to]
    # least squares by the pseudo-inverse: a component may be constant
    return y - design @ (torch.linalg.pinv(used) @ y[fitted_to])


def _explained(residual: Tensor, y: Tensor) -> float:
    total = (y - y.mean(0)).square().sum()
    return 1 - float(residual.square().sum() / total) if float(total) > 0 else 0.0
