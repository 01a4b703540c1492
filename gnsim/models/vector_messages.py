"""Messages that are vectors, and what the two models that send them share."""

from abc import abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnsim.dynamics import Dynamics
from gnsim.models.pairwise import Attributes
from gnsim.state import State


@dataclass(frozen=True)
class VectorMessages:
    """What each source sends to its target, as vectors without a meaning of their own.

    `edge_index` names source and target of each edge, `displacement` is ``q_j - q_i``. The radial
    forces of pair models are `gnsim.models.pairwise.Messages`.
    """

    vectors: Float[Tensor, "edges width"]
    edge_index: Int[Tensor, "2 edges"]
    displacement: Float[Tensor, "edges dim"]
    source: Attributes
    target: Attributes


class VectorMessageModel(Dynamics):
    """A dynamics that is trained on rates and read by its vector messages.

    In training, models that sample their messages take the noise from the generator `noise`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.noise = torch.Generator()

    @abstractmethod
    def messages(self, state: State) -> VectorMessages:
        """The messages along all edges, without noise."""

    @abstractmethod
    def penalised_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"], Float[Tensor, ""]]:
        """``dq/dt``, ``dp/dt`` and the regulariser's penalty, a mean over the edges."""

    def anneal(self, progress: float, state: State) -> None:
        """Adapts the model to the share of the training that is done."""


def both_ways(pairs: Int[Tensor, "2 pairs"]) -> Int[Tensor, "2 edges"]:
    """Directed edges: each pair once in either direction, the reversed ones after all others."""
    return torch.cat([pairs, pairs.flip(0)], 1)


def columns(
    state: State, names: tuple[str, ...], nodes: Int[Tensor, " edges"]
) -> list[Float[Tensor, "edges 1"]]:
    """Attributes of the bodies `nodes`, each a column."""
    return [state.attributes[name][nodes, None] for name in names]


def perceptron(
    inputs: int, hidden: int, outputs: int, generator: torch.Generator, bias: bool = True
) -> nn.Sequential:
    """Three hidden layers, as published, with SiLU for ReLU: forces have no kinks."""
    widths = (inputs, hidden, hidden, hidden, outputs)
    layers: list[nn.Module] = []
    for k, (fan_in, fan_out) in enumerate(pairwise(widths)):
        linear = nn.Linear(fan_in, fan_out, bias=bias or k < 3)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
        layers += [linear, nn.SiLU()]
    return nn.Sequential(*layers[:-1])
