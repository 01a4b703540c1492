"""Training of vector-message models, by Adam in one cycle; resumable to the same bits.

Cranmer et al. 2020 (arXiv:2006.11287). The fit of laws from trajectories is `gnsim.training.fit`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from gnsim.config import did_you_mean
from gnsim.errors import InputError, NonFiniteError
from gnsim.models.flat_hamiltonian import FlatHamiltonian
from gnsim.models.message_network import NODES, MessageNetwork
from gnsim.models.regularisers import REGULARISERS
from gnsim.models.vector_messages import VectorMessageModel
from gnsim.training.checkpoint import Checkpoint, flatten, unflatten
from gnsim.training.interruption import Interruption
from gnsim.training.model_file import PRECISIONS
from gnsim.training.rates import LOSSES, ExactRates, Source, training_loss
from gnsim.training.record import Record

FLAT_HAMILTONIAN = "flat hamiltonian"
_GRADIENT_NORM = 10.0
#: of a run, what changes from step to step
_PARTS = ("model", "optimiser", "schedule")
#: steps between two looks at which components are weakest, and batches that are looked at
_ANNEAL_EVERY, _PROBED = 50, 4

#: Told the step, the number of steps and the loss.
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class SupervisedConfig:
    """Settings of `learn`; `model` is a name of `REGULARISERS` or ``flat hamiltonian``.

    `node`, that of the message networks, is a name of `NODES`. Published: 300 hidden units, 1e6
    steps, a learning rate of 1e-3, 64 graphs of 4 bodies.
    """

    model: str = "l1"
    node: str = "published"
    widest: int = 100
    hidden: int = 64
    steps: int = 60_000
    graphs: int = 64
    learning_rate: float = 5e-3
    loss: str = "absolute"
    precision: str = "float32"
    save_every: int = 2_000

    def __post_init__(self) -> None:
        """Raises InputError for what cannot be trained with."""
        choices: dict[str, Mapping[str, Any]] = {
            "model": {**REGULARISERS, FLAT_HAMILTONIAN: None},
            "node": NODES,
            "loss": LOSSES,
            "precision": PRECISIONS,
        }
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise InputError(f"{name}: '{value}' is unknown; {did_you_mean(value, known)}")
        for name in ("widest", "hidden", "steps", "graphs", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: wanted 1 or more, found {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate: wanted above 0, found {self.learning_rate}")


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
    """One training run. Batches and noise are functions of (seed, step)."""

    def __init__(
        self, model: VectorMessageModel, source: Source, config: SupervisedConfig, seed: int
    ) -> None:
        self.model, self.source, self.config, self.seed = model, source, config, seed
        self.step = 0
        model.train()
        self.optimiser = torch.optim.Adam(model.parameters(), config.learning_rate, fused=True)
        self.schedule = OneCycleLR(self.optimiser, config.learning_rate, config.steps)

    def advance(self) -> float:
        """One step of the optimiser; the loss before it.

        Raises:
            NonFiniteError: the loss or the gradient is not finite.
        """
        generator = self._generator()
        self.model.noise.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        if self.step % _ANNEAL_EVERY == 0:
            state = self.source.start(_PROBED * self.config.graphs, generator)
            self.model.anneal(self.step / self.config.steps, state)
        misses = self.source.misses(self.model, self.config.graphs, generator)
        loss = training_loss(misses, self.config.loss)
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        if not bool(torch.isfinite(norm)):
            raise NonFiniteError(
                f"training step {self.step}: the loss is {float(loss.detach()):g} with a gradient "
                f"of {float(norm):g}; lower learning_rate, or resume from the last checkpoint"
            )
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        return float(loss.detach())

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a resumed run needs: tensors by name, and the rest as JSON holds it."""
        flat = {name: flatten(getattr(self, name).state_dict(), name) for name in _PARTS}
        tensors = {name: value for found, _ in flat.values() for name, value in found.items()}
        return tensors, {name: skeleton for name, (_, skeleton) in flat.items()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continues from where `checkpoint` was written."""
        for name in _PARTS:
            state = unflatten(checkpoint.header["parts"][name], checkpoint.tensors)
            getattr(self, name).load_state_dict(state)
        self.step = int(checkpoint.header["step"])

    def _generator(self) -> torch.Generator:
        word = np.random.SeedSequence([self.seed, self.step]).generate_state(1, np.uint64)[0] >> 1
        return torch.Generator().manual_seed(int(word))


def learn(
    model: VectorMessageModel,
    source: Source,
    config: SupervisedConfig,
    seed: int,
    folder: Path | None = None,
    data: str = "",
    progress: Progress | None = None,
) -> None:
    """Trains `model` on `source`, in place. With a `folder`, checkpoints go there.

    What stands in the folder is resumed; the weights end in the same bits. `data` names the data.

    Raises:
        InputError: the checkpoints in `folder` are of other data, settings or another seed.
        NonFiniteError: the loss or the gradient is not finite.
    """
    recipe = {"config": asdict(config), "seed": seed, "data": data}
    record = Record(folder, recipe)
    run = Supervised(model, source, config, seed)
    if (latest := record.latest()) is not None:
        run.restore(latest)
    with Interruption() as interruption:
        while run.step < config.steps:
            loss = run.advance()
            due = run.step % config.save_every == 0 or run.step == config.steps
            if record.checkpoints is not None and (due or interruption.signal):
                tensors, parts = run.tensors()
                record.checkpoints.save(run.step, tensors, {"recipe": recipe, "parts": parts})
            if progress is not None and due:
                progress(run.step, config.steps, loss)
            if interruption.signal:
                interruption.leave(interruption.signal)
    model.eval()


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
