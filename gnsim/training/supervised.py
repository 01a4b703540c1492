"""Training of vector-message models on rates.

Cranmer et al. 2020 (arXiv:2006.11287). The fit of laws from trajectories is `gnsim.training.fit`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.flat_hamiltonian import FlatHamiltonian
from gnsim.models.message_network import NODES, MessageNetwork
from gnsim.models.regularisers import REGULARISERS
from gnsim.models.vector_messages import VectorMessageModel
from gnsim.training.loop import LoopConfig, Progress, run
from gnsim.training.model_file import PRECISIONS
from gnsim.training.rates import LOSSES, ExactRates, Source, training_loss

FLAT_HAMILTONIAN = "flat hamiltonian"
#: steps between two looks at which components are weakest, and batches that are looked at
_ANNEAL_EVERY, _PROBED = 50, 4


@dataclass(frozen=True)
class SupervisedConfig(LoopConfig):
    """Settings of `learn`; `model` is a name of `REGULARISERS` or ``flat hamiltonian``.

    `node`, that of the message networks, is a name of `NODES`. Published: 300 hidden units, 1e6
    steps, a learning rate of 1e-3, 64 graphs of 4 bodies.
    """

    model: str = "l1"
    node: str = "published"
    widest: int = 100
    hidden: int = 64

    def _choices(self) -> dict[str, Mapping[str, Any]]:
        models = {**REGULARISERS, FLAT_HAMILTONIAN: None}
        return {**super()._choices(), "loss": LOSSES, "model": models, "node": NODES}

    def _counts(self) -> Iterator[str]:
        yield from super()._counts()
        yield from ("widest", "hidden")


def untrained(
    config: SupervisedConfig, dim: int, attributes: tuple[str, ...], seed: int
) -> VectorMessageModel:
    """A model of `config`, with weights drawn from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    model: VectorMessageModel
    if config.model == FLAT_HAMILTONIAN:
        model = FlatHamiltonian(dim, attributes, config.hidden, generator)
    else:
        kind, widths = REGULARISERS[config.model], (config.widest, config.hidden)
        model = MessageNetwork(dim, attributes, kind, *widths, generator, config.node)
    return model.to(PRECISIONS[config.precision])


class Supervised:
    """A model, and the source of what it misses."""

    def __init__(self, model: VectorMessageModel, source: Source, config: SupervisedConfig) -> None:
        self.model, self.source, self.config = model, source, config

    def loss(self, step: int, generator: torch.Generator) -> Float[Tensor, ""]:
        """The mean error of a batch and the penalty; noise in messages is that of the step."""
        config = self.config
        self.model.noise.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        if step % _ANNEAL_EVERY == 0:
            state = self.source.start(_PROBED * config.graphs, generator)
            self.model.anneal(step / config.steps, state)
        misses = self.source.misses(self.model, config.graphs, generator)
        return training_loss(misses, config.loss)

    def validation_error(self) -> None:
        """Its tests are `summed_error`, and what its messages hold."""


def learn(
    model: VectorMessageModel,
    source: Source,
    config: SupervisedConfig,
    seed: int,
    folder: Path | None = None,
    data: str = "",
    progress: Progress | None = None,
) -> None:
    """Trains `model` on `source`, in place; see `gnsim.training.loop.run`."""
    run(Supervised(model, source, config), config, seed, folder, data, progress)


def summed_error(
    model: VectorMessageModel, rates: ExactRates, count: int, seed: int
) -> tuple[float, float]:
    """The published test loss, and the median relative error of an acceleration, of `count` states.

    The first is the sum of |da| over components and bodies, a mean over states.
    """
    state, wanted = rates.batch(count, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        error = model.vector_field(state)[1] / state.mass[:, None] - wanted
    relative = error.norm(dim=1) / wanted.norm(dim=1)
    return float(error.abs().sum()) / count, float(relative.median())
