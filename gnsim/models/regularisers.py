"""What keeps vector messages few: the regularisers of Cranmer et al. 2020 (arXiv:2006.11287).

Penalties are means over all edges of a batch, so that every graph counts. (The code published with
the paper takes them over the edges of the first graph only.)
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

#: share of the training after which messages have their final width
_ANNEALED = 0.6


@dataclass(frozen=True)
class Encoded:
    """What the edge network says of each edge; the log variance only where messages are sampled."""

    mean: Float[Tensor, "edges width"]
    log_variance: Float[Tensor, "edges width"] | None = None


def _nothing(encoded: Encoded) -> Float[Tensor, " edges"]:
    return encoded.mean.new_zeros(len(encoded.mean))


def _absolute(encoded: Encoded) -> Float[Tensor, " edges"]:
    return encoded.mean.abs().sum(1)


def _divergence(encoded: Encoded) -> Float[Tensor, " edges"]:
    """Of the message's normal distribution from the standard one."""
    if encoded.log_variance is None:
        raise TypeError("a Kullback-Leibler divergence wants messages with a variance")
    log_variance = encoded.log_variance
    return 0.5 * (log_variance.exp() + encoded.mean.square() - log_variance - 1).sum(1)


@dataclass(frozen=True)
class Regulariser:
    """How messages are kept few.

    `weight` is that of `penalty` [edges] beside an error summed over the components of a body's
    acceleration. A `bottleneck` has messages as wide as space; `sampled` messages are drawn from
    a normal distribution in training; `annealed` ones lose their weakest components on the way.
    """

    name: str
    meaning: str
    weight: float = 0.0
    penalty: Callable[[Encoded], Float[Tensor, " edges"]] = _nothing
    bottleneck: bool = False
    sampled: bool = False
    annealed: bool = False

    def width(self, dim: int, widest: int) -> int:
        """Components of a message in `dim` dimensions."""
        return dim if self.bottleneck else widest

    def live(self, dim: int, widest: int, progress: float) -> int:
        """Components that are left after the share `progress` of the training; geometric."""
        if not self.annealed:
            return self.width(dim, widest)
        done = min(1.0, progress / _ANNEALED)
        return max(dim, math.ceil(widest ** (1 - done) * dim**done - 1e-9))

    def mean_penalty(self, encoded: Encoded) -> Float[Tensor, ""]:
        """The weighted penalty, a mean over the edges of all graphs."""
        return self.weight * self.penalty(encoded).mean()


REGULARISERS: Mapping[str, Regulariser] = {
    r.name: r
    for r in (
        Regulariser("standard", "none"),
        Regulariser("bottleneck", "messages as wide as space", bottleneck=True),
        Regulariser("l1", "mean absolute message, weight 1e-2", 1e-2, _absolute),
        Regulariser("kl", "divergence from N(0, 1), weight 1", 1.0, _divergence, sampled=True),
        Regulariser("pruning", "the weakest components are cut off in training", annealed=True),
    )
}


def strongest(vectors: Float[Tensor, "edges width"], count: int) -> Float[Tensor, " width"]:
    """One for the `count` components of largest variance, zero for the others."""
    kept = vectors.var(0).topk(count).indices
    return torch.zeros_like(vectors[0]).index_fill(0, kept, 1.0)
