"""The training loop: Adam in one cycle, resumable to the same bits."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from gnsim.config import did_you_mean
from gnsim.errors import InputError, NonFiniteError
from gnsim.training.checkpoint import Checkpoint, flatten, unflatten
from gnsim.training.interruption import Interruption
from gnsim.training.model_file import PRECISIONS
from gnsim.training.record import Record

_GRADIENT_NORM = 10.0
#: of a run, what changes from step to step
_PARTS = ("model", "optimiser", "schedule")

#: Told the step, the number of steps, and the validation error, or the loss where there is none.
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class LoopConfig:
    """Settings of `run`, for whatever is trained.

    `loss` is one of the task's own. There are `steps` of the optimiser. Each sees a batch of
    `graphs` systems. Every `save_every` of them a checkpoint is written and held-out data are
    looked at.
    """

    steps: int = 60_000
    graphs: int = 64
    learning_rate: float = 5e-3
    loss: str = "absolute"
    precision: str = "float32"
    save_every: int = 2_000

    #: what stands before the name of a setting
    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Raises InputError for what cannot be trained with."""
        for name, known in self._choices().items():
            if (value := getattr(self, name)) not in known:
                hint = did_you_mean(value, known)
                raise InputError(f"{self.section}{name}: '{value}' is unknown; {hint}")
        for name in self._counts():
            if (count := getattr(self, name)) < 1:
                raise InputError(f"{self.section}{name}: wanted 1 or more, found {count}")
        if not 0 < self.learning_rate < math.inf:
            found = self.learning_rate
            raise InputError(f"{self.section}learning_rate: wanted above 0, found {found}")

    def _choices(self) -> dict[str, Mapping[str, Any]]:
        """What there is to choose from, by setting."""
        return {"precision": PRECISIONS}

    def _counts(self) -> Iterator[str]:
        """Settings that are whole numbers from one on."""
        yield from ("steps", "graphs", "save_every")


@runtime_checkable
class Task(Protocol):
    """What is to be learned."""

    @property
    def model(self) -> nn.Module: ...

    def loss(self, step: int, generator: torch.Generator) -> Float[Tensor, ""]:
        """The loss of a batch; all that is random comes from the `generator` of the step."""

    def validation_error(self) -> float | None:
        """How far off the model is on held-out data; None where there are none."""


class Loop:
    """One training run. Batches and noise are functions of (seed, step)."""

    leads = True

    def __init__(self, task: Task, config: LoopConfig, seed: int) -> None:
        self.task, self.config, self.seed = task, config, seed
        self.model = task.model
        self.step = 0
        self.model.train()
        self.optimiser = torch.optim.Adam(self.model.parameters(), config.learning_rate, fused=True)
        self.schedule = OneCycleLR(self.optimiser, config.learning_rate, config.steps)

    @property
    def learning_rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    def advance(self) -> float:
        """One step of the optimiser; the loss before it.

        Raises:
            NonFiniteError: the loss or the gradient is not finite.
        """
        loss = self.task.loss(self.step, self._generator())
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


def run(
    task: Task,
    config: LoopConfig,
    seed: int,
    folder: Path | None = None,
    data: str = "",
    progress: Progress | None = None,
) -> None:
    """Trains the model of `task`, in place. With a `folder`, checkpoints and a log go there.

    What stands in the folder is resumed; the weights end in the same bits. `data` names the data.

    Raises:
        InputError: the checkpoints in `folder` are of other data, settings or another seed.
        NonFiniteError: the loss or the gradient is not finite.
    """
    recipe = {"config": asdict(config), "seed": seed, "data": data}
    record = Record(folder, recipe)
    loop = Loop(task, config, seed)
    if (latest := record.latest()) is not None:
        loop.restore(latest)
    record.open(loop, resumed=latest is not None)
    with Interruption() as interruption:
        while loop.step < config.steps:
            loss, error = loop.advance(), None
            due = loop.step % config.save_every == 0 or loop.step == config.steps
            if due:
                error = task.validation_error()
                record.row(loop, loss, error)
            if record.checkpoints is not None and (due or interruption.signal):
                tensors, parts = loop.tensors()
                record.checkpoints.save(loop.step, tensors, {"recipe": recipe, "parts": parts})
            if progress is not None and due:
                progress(loop.step, config.steps, loss if error is None else error)
            if interruption.signal:
                interruption.leave(interruption.signal)
    loop.model.eval()
