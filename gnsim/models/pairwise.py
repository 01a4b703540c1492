"""Separable pair Hamiltonians: ``H = sum_i p_i^2 / 2 m_i + sum_{pairs} V(r_ij, attributes)``.

The physics of one pair (`PairPotential`) stands apart from the sum over pairs
(`PairwiseHamiltonian`), so that a true system, a learned network and a distilled law differ in
the potential alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Optional

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from gnsim.dynamics import SeparableHamiltonian
from gnsim.graph import displacement, distance
from gnsim.state import State

Attributes = Mapping[str, Tensor]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


class PairPotential(nn.Module, ABC):
    """The interaction of two bodies at distance r, given by ``dV/dr``: positive where it attracts."""

    #: distance at which V is zero, where `energy` integrates the force
    reference: float = 1.0

    @abstractmethod
    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        """``dV/dr`` of each pair; symmetric in `source` and `target` (Newton's third law)."""

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        """V of each pair: the integral of `force` from `reference` to r.

        Gauss-Legendre, 64 nodes in log r; exact to rounding for power laws over many decades.
        A subclass that knows V in closed form gives it here instead.
        """
        nodes = torch.as_tensor(_NODES, dtype=r.dtype, device=r.device)
        weights = torch.as_tensor(_WEIGHTS, dtype=r.dtype, device=r.device)
        span = torch.log(r / self.reference)
        points = self.reference * torch.exp(0.5 * span[:, None] * (nodes + 1))
        wide = {k: v[:, None].expand_as(points).reshape(-1) for k, v in source.items()}
        wide_target = {k: v[:, None].expand_as(points).reshape(-1) for k, v in target.items()}
        force = self.force(points.reshape(-1), wide, wide_target).reshape(points.shape)
        return 0.5 * span * (weights * force * points).sum(-1)


class PairSum(MessagePassing):
    """Adds up what the sources do to the targets, and its opposite on the sources.

    Each pair is evaluated once, so that equal weights conserve momentum to rounding. The weights
    [pairs] turn a force into an acceleration where the two sides respond differently.
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(
        self,
        vectors: Float[Tensor, "pairs dim"],
        state: State,
        to_target: Float[Tensor, " pairs"] | None = None,
        to_source: Float[Tensor, " pairs"] | None = None,
    ) -> Float[Tensor, "nodes dim"]:
        nodes = state.num_nodes
        return self.propagate(
            state.pairs,
            vectors=vectors,
            to_target=to_target,
            to_source=to_source,
            sources=state.pairs[0],
            size=(nodes, nodes),
        )

    def message(self, vectors: Tensor) -> Tensor:
        return vectors

    def aggregate(
        self,
        inputs: Tensor,
        index: Tensor,
        sources: Tensor,
        to_target: Optional[Tensor],  # noqa: UP045 (PyG reads no unions with |)
        to_source: Optional[Tensor],  # noqa: UP045
        dim_size: int,
    ) -> Tensor:
        onto = inputs if to_target is None else inputs * to_target[:, None]
        back = inputs if to_source is None else inputs * to_source[:, None]
        total = inputs.new_zeros(dim_size, inputs.shape[1])
        return total.index_add(0, index, onto).index_add(0, sources, back, alpha=-1)


class PairwiseHamiltonian(SeparableHamiltonian):
    """All pairs of each system interact by one `PairPotential`; no self-pairs.

    The force on i from j is ``dV/dr (q_j - q_i) / r``: the exact gradient of the energy, without
    a second autograd pass.
    """

    def __init__(self, pair: PairPotential) -> None:
        super().__init__()
        self.pair = pair
        self.sum = PairSum()

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return self.sum(pair_forces(self.pair, state), state)

    def potential(self, state: State) -> Float[Tensor, " systems"]:
        r = distance(displacement(state.q, state.pairs, state.box))
        energy = self.pair.energy(r, *attributes_of_pairs(state))
        return energy.new_zeros(state.num_systems).index_add(0, state.batch[state.pairs[1]], energy)


def attributes_of_pairs(state: State) -> tuple[Attributes, Attributes]:
    """The attributes of the source and of the target of each pair."""
    source, target = ({k: v[nodes] for k, v in state.attributes.items()} for nodes in state.pairs)
    return source, target


def pair_forces(pair: PairPotential, state: State) -> Float[Tensor, "pairs dim"]:
    """The force of each pair on its target; minus that acts on its source."""
    d = displacement(state.q, state.pairs, state.box)
    r = distance(d)
    return (pair.force(r, *attributes_of_pairs(state)) / r)[:, None] * d
