"""Separable pair Hamiltonians: ``H = sum_i p_i^2 / 2 m_i + sum_{pairs} V(r_ij, attributes)``.

The physics of one pair (`PairPotential`) stands apart from the sum over pairs
(`PairwiseHamiltonian`), so that a true system, a learned network and a distilled law differ in
the potential alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

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


class _PairSum(MessagePassing):
    """Adds up what the sources do to the targets, and its opposite on the sources.

    Each pair is evaluated once; momentum is conserved to rounding by construction.
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(
        self,
        magnitude: Float[Tensor, " pairs"],
        direction: Float[Tensor, "pairs dim"],
        state: State,
    ) -> Float[Tensor, "nodes dim"]:
        return self.propagate(
            state.pairs,
            magnitude=magnitude,
            direction=direction,
            sources=state.pairs[0],
            size=(state.num_nodes, state.num_nodes),
        )

    def message(self, magnitude: Tensor, direction: Tensor) -> Tensor:
        return magnitude[:, None] * direction

    def aggregate(self, inputs: Tensor, index: Tensor, sources: Tensor, dim_size: int) -> Tensor:
        total = inputs.new_zeros(dim_size, inputs.shape[1])
        return total.index_add(0, index, inputs).index_add(0, sources, inputs, alpha=-1)


class PairwiseHamiltonian(SeparableHamiltonian):
    """All pairs of each system interact by one `PairPotential`; no self-pairs.

    The force on i from j is ``dV/dr (q_j - q_i) / r``: the exact gradient of the energy, without
    a second autograd pass.
    """

    def __init__(self, pair: PairPotential) -> None:
        super().__init__()
        self.pair = pair
        self.sum = _PairSum()

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        d = displacement(state.q, state.pairs, state.box)
        r = distance(d)
        return self.sum(self._on_pairs(state, r, self.pair.force), d / r[:, None], state)

    def potential(self, state: State) -> Float[Tensor, " systems"]:
        r = distance(displacement(state.q, state.pairs, state.box))
        energy = self._on_pairs(state, r, self.pair.energy)
        return energy.new_zeros(state.num_systems).index_add(0, state.batch[state.pairs[1]], energy)

    @staticmethod
    def _on_pairs(state: State, r: Tensor, function) -> Tensor:
        source, target = (
            {k: v[nodes] for k, v in state.attributes.items()} for nodes in state.pairs
        )
        return function(r, source, target)
