"""Encode, process, decode: the graph network of learned particle simulators.

    e_ij, h_i = encoders of features of edges and nodes              encode
    e_ij += f(e_ij, h_j, h_i);  h_i += g(h_i, sum_j e'_ij)           process, several times
    y_i, z_ij = decoders of h_i and e_ij                             decode

A. Sanchez-Gonzalez et al., Learning to Simulate Complex Physics with Graph Networks
(arXiv:2002.09405). The first layer of f is linear in e_ij, h_j and h_i together, so what it makes
of the nodes is computed once for each node and then gathered, not once for each edge.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnsim.models.edge_update import EdgeWeights, rows_of_a_block, update_edges
from gnsim.models.vector_messages import both_ways


def by_target(pairs: Int[Tensor, "2 pairs"], nodes: int) -> Int[Tensor, "2 edges"]:
    """Both directions of each pair, in the order of their targets, then of their sources."""
    edge_index = both_ways(pairs)
    source, target = edge_index
    return edge_index[:, (target * nodes + source).argsort()]


class Normed(nn.Sequential):
    """Two hidden layers, and a normalised last one."""

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__(
            linear(inputs, width, generator),
            nn.ReLU(),
            *hidden_layers(width, generator),
        )


class Process(nn.Module):
    """One step of message passing: edges first, then nodes; both add to what they were."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.of_edge = linear(width, width, generator, of=3 * width, bias=False)
        self.of_source = linear(width, width, generator, of=3 * width, bias=False)
        self.of_target = linear(width, width, generator, of=3 * width)
        self.edge = nn.Sequential(nn.ReLU(), *hidden_layers(width, generator))
        self.of_node = linear(width, width, generator, of=2 * width)
        self.of_arrived = linear(width, width, generator, of=2 * width, bias=False)
        self.node = nn.Sequential(nn.ReLU(), *hidden_layers(width, generator))

    def forward(
        self,
        h: Float[Tensor, "nodes width"],
        e: Float[Tensor, "edges width"],
        edge_index: Int[Tensor, "2 edges"],
        products: torch.dtype,
    ) -> tuple[Float[Tensor, "nodes width"], Float[Tensor, "edges width"]]:
        """With matrix products of edges in the type `products`; overwrites e without gradients."""
        source, target = self.of_source(h).to(products), self.of_target(h).to(products)
        e, arrived = update_edges(e, source, target, edge_index, self._of_edges(products))
        return h + self.node(self.of_node(h) + self.of_arrived(arrived)), e

    def _of_edges(self, kind: torch.dtype) -> EdgeWeights:
        layers = [self.of_edge, *(self.edge[k] for k in (1, 3))]
        products = (x.to(kind) for layer in layers for x in layer.parameters())
        return EdgeWeights(*products, *self.edge[4].parameters())


class EncodeProcessDecode(nn.Module):
    """Outputs for each node, and each edge, from features of nodes and edges.

    Args:
        of_node: features of a node.
        of_edge: features of an edge.
        outputs: numbers of each node, and of each edge (published: none).
        width: of all layers (published: 128).
        steps: of message passing, each with weights of its own (published: 10).
        generator: what the weights are drawn from.

    `products` is the type that matrix products are taken in, if not that of the weights: in
    bfloat16, sums along edges and at nodes and the statistics of norms stay in that of the weights.
    """

    def __init__(
        self,
        of_node: int,
        of_edge: int,
        outputs: tuple[int, int],
        width: int,
        steps: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.products: torch.dtype | None = None
        self.width = width
        self.node = Normed(of_node, width, generator)
        self.edge = Normed(of_edge, width, generator)
        self.process = nn.ModuleList(Process(width, generator) for _ in range(steps))
        self.decode = decoder(width, outputs[0], generator)
        self.decode_edge = decoder(width, outputs[1], generator) if outputs[1] else None

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    def forward(
        self,
        of_node: Float[Tensor, "nodes features"],
        of_edge: Float[Tensor, "edges others"],
        edge_index: Int[Tensor, "2 edges"],
    ) -> tuple[Float[Tensor, "nodes outputs"], Float[Tensor, "edges edge_outputs"]]:
        products = self.products or self.dtype
        with torch.autocast("cpu", products, enabled=products != self.dtype):
            e = self._of_edges(self.edge, of_edge)
            h = self.node(of_node).to(self.dtype)
            for step in self.process:
                h, e = step(h, e, edge_index, products)
            z = e[:, :0] if self.decode_edge is None else self._of_edges(self.decode_edge, e)
            return self.decode(h).to(self.dtype), z

    def _of_edges(
        self, layers: nn.Module, x: Float[Tensor, "edges some"]
    ) -> Float[Tensor, "edges other"]:
        """What layers make of edges, a block at a time."""
        parts = x.split(rows_of_a_block(self.width))
        return torch.cat([layers(part).to(self.dtype) for part in parts])


def decoder(width: int, outputs: int, generator: torch.Generator) -> nn.Module:
    """Two hidden layers, and a last one without a norm."""
    return nn.Sequential(
        linear(width, width, generator),
        nn.ReLU(),
        linear(width, width, generator),
        nn.ReLU(),
        linear(width, outputs, generator),
    )


def linear(
    inputs: int, outputs: int, generator: torch.Generator, of: int | None = None, bias: bool = True
) -> nn.Linear:
    """A layer drawn from `generator`; as a part of one with `of` inputs in all."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    bound = (of or inputs) ** -0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


def hidden_layers(width: int, generator: torch.Generator) -> tuple[nn.Module, ...]:
    """What follows the first layer and its rectifier."""
    return (
        linear(width, width, generator),
        nn.ReLU(),
        linear(width, width, generator),
        nn.LayerNorm(width),
    )
