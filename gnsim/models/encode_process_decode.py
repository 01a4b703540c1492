"""Encode, process, decode: the graph network of learned particle simulators.

    e_ij, h_i = encoders of features of edges and nodes              encode
    e_ij += f(e_ij, h_j, h_i);  h_i += g(h_i, sum_j e'_ij)           process, several times
    y_i = decoder of h_i                                             decode

A. Sanchez-Gonzalez et al., Learning to Simulate Complex Physics with Graph Networks
(arXiv:2002.09405). The first layer of f is linear in e_ij, h_j and h_i together, so what it makes
of the nodes is computed once for each node and then gathered, not once for each edge. Edges stand
in the order of their targets, so that what arrives at a node is the sum of a segment.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Edges:
    """Directed edges in the order of their targets, and how many arrive at each node."""

    source: Int[Tensor, " edges"]
    target: Int[Tensor, " edges"]
    arriving: Int[Tensor, " nodes"]

    @classmethod
    def of_pairs(cls, pairs: Int[Tensor, "2 pairs"], nodes: int) -> "Edges":
        """Both directions of each pair."""
        source, target = torch.cat([pairs, pairs.flip(0)], 1)
        order = (target * nodes + source).argsort()
        return cls(source[order], target[order], target.bincount(minlength=nodes))


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
        self.of_edge = linear(width, width, generator, of=3 * width)
        self.of_source = linear(width, width, generator, of=3 * width, bias=False)
        self.of_target = linear(width, width, generator, of=3 * width, bias=False)
        self.edge = nn.Sequential(nn.ReLU(), *hidden_layers(width, generator))
        self.of_node = linear(width, width, generator, of=2 * width)
        self.of_arrived = linear(width, width, generator, of=2 * width, bias=False)
        self.node = nn.Sequential(nn.ReLU(), *hidden_layers(width, generator))

    def forward(
        self, h: Float[Tensor, "nodes width"], e: Float[Tensor, "edges width"], edges: Edges
    ) -> tuple[Float[Tensor, "nodes width"], Float[Tensor, "edges width"]]:
        first = self.of_edge(e)
        first = first + self.of_source(h).index_select(0, edges.source)
        first = first + self.of_target(h).index_select(0, edges.target)
        change = self.edge(first)
        arrived = torch.segment_reduce(change, "sum", lengths=edges.arriving, axis=0, unsafe=True)
        return h + self.node(self.of_node(h) + self.of_arrived(arrived)), e + change


class EncodeProcessDecode(nn.Module):
    """Outputs for each node from features of nodes and edges.

    Args:
        of_node: features of a node.
        of_edge: features of an edge.
        outputs: numbers of each node.
        width: of all layers (published: 128).
        steps: of message passing, each with weights of its own (published: 10).
        generator: what the weights are drawn from.
    """

    def __init__(
        self,
        of_node: int,
        of_edge: int,
        outputs: int,
        width: int,
        steps: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.node = Normed(of_node, width, generator)
        self.edge = Normed(of_edge, width, generator)
        self.process = nn.ModuleList(Process(width, generator) for _ in range(steps))
        self.decode = nn.Sequential(
            linear(width, width, generator),
            nn.ReLU(),
            linear(width, width, generator),
            nn.ReLU(),
            linear(width, outputs, generator),
        )

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def forward(
        self,
        of_node: Float[Tensor, "nodes features"],
        of_edge: Float[Tensor, "edges others"],
        edges: Edges,
    ) -> Float[Tensor, "nodes outputs"]:
        h, e = self.node(of_node), self.edge(of_edge)
        for step in self.process:
            h, e = step(h, e, edges)
        return self.decode(h)


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
