"""The flat Hamiltonian graph network of Cranmer et al. 2020 (arXiv:2006.11287).

    H = sum_i E_self(v_i, a_i) + sum_{i != j} E_pair(q_j - q_i, a_j, a_i)

Scalars, differentiated by autograd. As in `gnsim.models.message_network`, and other than published,
positions enter by their differences.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Hamiltonian
from gnsim.graph import displacement
from gnsim.models.pairwise import Attributes
from gnsim.models.vector_messages import VectorMessageModel, VectorMessages, columns, perceptron
from gnsim.state import State


class FlatHamiltonian(Hamiltonian, VectorMessageModel):
    """Pair and self energies of two networks; its messages are the forces of the pairs.

    A sum T(p) + V(q), but T is learned and ``dq/dt = dT/dp`` need not be p / m: integrators that
    drift by p / m do not apply, so `separable` stays False. The outputs have no bias: an energy
    has no origin.
    """

    def __init__(
        self, dim: int, attributes: tuple[str, ...], hidden: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.attributes = attributes
        inputs = dim + 2 * len(attributes)
        self.pair = perceptron(inputs, hidden, 1, generator, bias=False)
        self.self = perceptron(dim + len(attributes), hidden, 1, generator, bias=False)

    def energy(self, state: State) -> Float[Tensor, " systems"]:
        pair = self._pair_energy(self._displacement(state), *state.ends)
        own = columns(state, self.attributes, torch.arange(state.num_nodes))
        single = self.self(torch.cat([state.velocity, *own], 1))[:, 0]
        total = single.new_zeros(state.num_systems).index_add(0, state.batch, single)
        return total.index_add(0, state.batch[state.pairs[1]], pair)

    def messages(self, state: State) -> VectorMessages:
        """``-dE/dq_i`` of each pair, on its target i; once for each pair, not both ways."""
        attributes = state.ends
        with torch.enable_grad():
            d = self._displacement(state).detach().requires_grad_()
            (force,) = torch.autograd.grad(self._pair_energy(d, *attributes).sum(), d)
        return VectorMessages(force, state.pairs, d.detach(), *attributes)

    def penalised_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"], Float[Tensor, ""]]:
        dq, dp = self.vector_field(state)
        return dq, dp, dq.new_zeros(())

    def _displacement(self, state: State) -> Float[Tensor, "pairs dim"]:
        return displacement(state.q, state.pairs, state.box)

    def _pair_energy(
        self, d: Float[Tensor, "pairs dim"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        """Of both directed edges of each pair."""
        j, i = ([ends[name][:, None] for name in self.attributes] for ends in (source, target))
        there, back = torch.cat([d, *j, *i], 1), torch.cat([-d, *i, *j], 1)
        return self.pair(torch.cat([there, back])).view(2, -1).sum(0)
