"""The graph network of Cranmer et al. 2020 (arXiv:2006.11287): vector messages of any length.

    m_ij = f(q_j - q_i, a_j, a_i)                 edge network, attributes a
    dv_i/dt = g(a_i, v_i, sum_j m_ij)             node network, `Published`
    dp_i/dt = W sum_j m_ij + s(a_i, v_i)          or `Linear`

The published edge network reads both positions, and learns from shifted copies of the data that
only their difference matters. Here it reads the difference, and no velocities, so that symmetry
under translations is exact and takes no training.

A published node network can undo what the messages do with the receiver's attributes, so that
they may be forces or accelerations, as it happens; on springs they became accelerations. A linear
one cannot: its messages are forces, up to a linear map and what does not depend on the distance.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.graph import displacement
from gnsim.models.message_passing import MessagePassing
from gnsim.models.pairwise import scatter
from gnsim.models.regularisers import Encoded, Regulariser, strongest
from gnsim.models.vector_messages import (
    VectorMessageModel,
    VectorMessages,
    both_ways,
    columns,
    perceptron,
)
from gnsim.state import State


class MessageSum(MessagePassing):
    """Adds up the messages that arrive at each body."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, vectors: Tensor, edge_index: Tensor, nodes: int) -> Tensor:
        return self.propagate(edge_index, vectors=vectors, size=(nodes, nodes))

    def message(self, vectors: Tensor) -> Tensor:
        return vectors

    def aggregate(self, inputs: Tensor, index: Tensor, dim_size: int) -> Tensor:
        return scatter(inputs, index, dim_size)


class Published(nn.Module):
    """``dp/dt = m g(own, arrived)``: a network for the acceleration."""

    def __init__(
        self, own: int, width: int, dim: int, hidden: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.acceleration = perceptron(own + width, hidden, dim, generator)

    def forward(
        self,
        own: Float[Tensor, "nodes columns"],
        arrived: Float[Tensor, "nodes width"],
        mass: Float[Tensor, " nodes"],
    ) -> Float[Tensor, "nodes dim"]:
        return mass[:, None] * self.acceleration(torch.cat([own, arrived], 1))


class Linear(nn.Module):
    """``dp/dt = W arrived + s(own)``: messages add up to a force, as in Newton's second law."""

    def __init__(
        self, own: int, width: int, dim: int, hidden: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.alone = perceptron(own, hidden, dim, generator)
        self.weight = nn.Parameter(torch.empty(width, dim))
        with torch.no_grad():
            self.weight.uniform_(-(width**-0.5), width**-0.5, generator=generator)

    def forward(
        self,
        own: Float[Tensor, "nodes columns"],
        arrived: Float[Tensor, "nodes width"],
        mass: Float[Tensor, " nodes"],
    ) -> Float[Tensor, "nodes dim"]:
        return arrived @ self.weight + self.alone(own)


NODES: Mapping[str, type[Published] | type[Linear]] = {"published": Published, "linear": Linear}


class MessageNetwork(VectorMessageModel):
    """Rates from messages as wide as the `regulariser` lets them be, `widest` at most.

    Symmetric under permutations and translations; under rotations and boosts only as far as it
    learns to be.
    """

    live: Tensor

    def __init__(
        self,
        dim: int,
        attributes: tuple[str, ...],
        regulariser: Regulariser,
        widest: int,
        hidden: int,
        generator: torch.Generator,
        node: str = "published",
    ) -> None:
        super().__init__()
        self.dim, self.attributes = dim, attributes
        self.regulariser, self.widest = regulariser, widest
        width = regulariser.width(dim, widest)
        outputs = 2 * width if regulariser.sampled else width
        self.edge = perceptron(dim + 2 * len(attributes), hidden, outputs, generator)
        self.node = NODES[node](dim + len(attributes), width, dim, hidden, generator)
        self.sum = MessageSum()
        self.register_buffer("live", torch.ones(width))

    def encode(self, state: State) -> Encoded:
        """What the edge network says of each edge of `both_ways`, cut-off components at zero."""
        edge_index = both_ways(state.pairs)
        source, target = edge_index
        d = displacement(state.q, edge_index, state.box)
        features = [
            d,
            *columns(state, self.attributes, source),
            *columns(state, self.attributes, target),
        ]
        out = self.edge(torch.cat(features, 1))
        if self.regulariser.sampled:
            mean, log_variance = out.chunk(2, 1)
            return Encoded(mean, log_variance)
        return Encoded(out * self.live if self.regulariser.annealed else out)

    def messages(self, state: State) -> VectorMessages:
        edge_index = both_ways(state.pairs)
        source, target = (
            {name: state.attributes[name][nodes] for name in self.attributes}
            for nodes in edge_index
        )
        d = displacement(state.q, edge_index, state.box)
        return VectorMessages(self.encode(state).mean, edge_index, d, source, target)

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        return state.velocity, self._momentum_rate(state, self.encode(state))

    def penalised_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"], Float[Tensor, ""]]:
        encoded = self.encode(state)
        rate = self._momentum_rate(state, encoded)
        return state.velocity, rate, self.regulariser.mean_penalty(encoded)

    def anneal(self, progress: float, state: State) -> None:
        """Cuts off the components that are weakest on `state`, down to the width of the hour."""
        count = self.regulariser.live(self.dim, self.widest, progress)
        if count < int(self.live.sum()):
            with torch.no_grad():
                self.live.copy_(strongest(self.encode(state).mean, count))

    def _momentum_rate(self, state: State, encoded: Encoded) -> Float[Tensor, "nodes dim"]:
        arrived = self.sum(self._sent(encoded), both_ways(state.pairs), state.num_nodes)
        own = columns(state, self.attributes, torch.arange(state.num_nodes))
        return self.node(torch.cat([state.velocity, *own], 1), arrived, state.mass)

    def _sent(self, encoded: Encoded) -> Float[Tensor, "edges width"]:
        if encoded.log_variance is None or not self.training:
            return encoded.mean
        noise = torch.randn(encoded.mean.shape, generator=self.noise, dtype=encoded.mean.dtype)
        return encoded.mean + noise * (0.5 * encoded.log_variance).exp()
