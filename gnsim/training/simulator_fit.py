"""Training of a learned simulator through its integrator, and the trained one on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.errors import InputError
from gnsim.integrators.base import Integrator
from gnsim.models.gns import GNS
from gnsim.models.learned import Learned
from gnsim.models.scales import Shape
from gnsim.models.simulators import SIMULATORS
from gnsim.state import Trajectory
from gnsim.training.checkpoint import load, save
from gnsim.training.loop import Progress, run
from gnsim.training.model_file import (
    MOST_BODIES,
    PRECISIONS,
    WIDEST,
    model_part,
    model_tensors,
    whole,
)
from gnsim.training.one_step import OneStep
from gnsim.training.simulator_config import (
    MOST_PASSES,
    SimulatorConfig,
    in_precision,
    method,
    untrained,
)
from gnsim.training.window_errors import LOSSES, StepsOfFrames, window_errors

_VALIDATED = 200
_MOST_DIMENSIONS = 64


class Imitation:
    """A simulator, and the measured windows that it is to repeat."""

    def __init__(
        self, model: Learned, train: Trajectory, valid: Trajectory, config: SimulatorConfig
    ) -> None:
        dtype = PRECISIONS[config.precision]
        self.model, self.config = model, config
        self.integrator: Integrator = method(config.integrator, model)
        self.windows = StepsOfFrames(train.to(dtype), config.window, config.strides)
        held_out = StepsOfFrames(valid.to(dtype), config.window, config.strides)
        self.held_out = held_out.spread(_VALIDATED)

    def loss(self, step: int, generator: torch.Generator) -> Float[Tensor, ""]:
        """The mean of the chosen `LOSSES` over windows, steps, bodies, and of q and p alike."""
        path = self.windows.sample(self.config.graphs, generator)
        return LOSSES[self.config.loss](self._errors(path)).mean()

    def validation_error(self) -> float:
        """Root mean square of the errors of held-out windows, of all time steps."""
        with torch.no_grad():
            squares = [self._errors(path).square().mean() for path in self.held_out]
        return float(torch.stack(squares).mean().sqrt())

    def _errors(self, path: Trajectory) -> Float[Tensor, "kinds steps nodes dim"]:
        model = self.model
        errors = window_errors(model, model.scales, self.integrator, path, self.config.substeps)
        return model.judged(errors, path)


@dataclass(frozen=True)
class FittedSimulator:
    """A trained simulator, how it was trained, and its error on held-out windows.

    `interval` is the time between two frames of its data.
    """

    model: Learned
    config: SimulatorConfig
    interval: float
    validation_error: float

    def save(self, path: Path, data_hash: str = "") -> Path:
        """Writes ``model.ckpt``. Raises NonFiniteError if a weight is not finite."""
        header = {
            "simulator": _plan(self.model, self.config),
            "interval": self.interval,
            "validation_error": self.validation_error,
            "data": data_hash,
        }
        return save(path, model_tensors(self.model), header)

    @classmethod
    def load(cls, path: Path, config: SimulatorConfig, data_hash: str = "") -> "FittedSimulator":
        """Reads ``model.ckpt``, trained as `config` says.

        Raises:
            InputError: the file is damaged, no simulator of that kind, or was trained on other data
                than those of `data_hash`, where that is given.
        """
        checkpoint = load(path)
        header = checkpoint.header
        if data_hash and header.get("data") != data_hash:
            raise InputError(
                f"{path}: data: it was trained on other data than there are now; "
                "bring those data back, or train anew into another folder"
            )
        try:
            model = _built(header["simulator"], config)
            model.load_state_dict(model_part(checkpoint.tensors))
            return cls(model.eval(), config, *_numbers(header, "interval", "validation_error"))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path}: header: wanted the plan and the weights of the simulator "
                f"'{config.model}', found {type(error).__name__} {error}; "
                "name a model.ckpt that gnsim train wrote"
            ) from error


def fit_simulator(
    train: Trajectory,
    valid: Trajectory,
    config: SimulatorConfig,
    seed: int,
    folder: Path | None = None,
    data_hash: str = "",
    progress: Progress | None = None,
) -> FittedSimulator:
    """Trains the simulator of `config` on `train`; what stands in the `folder` is resumed.

    Raises:
        InputError: data too short for a window, or checkpoints of other data, settings or seed.
        NonFiniteError: a loss or gradient stopped being finite.
    """
    model = untrained(train, config, seed)
    task: OneStep | Imitation
    if isinstance(model, GNS):
        task = OneStep(model, train, valid, config)
    else:
        task = Imitation(model, train, valid, config)
    run(task, config, seed, folder, data_hash, progress)
    return FittedSimulator(task.model, config, train.interval, task.validation_error())


def _plan(model: Learned, config: SimulatorConfig) -> dict[str, Any]:
    return {**asdict(model.shape), "hidden": model.hidden, "model": config.model}


def _built(plan: Mapping[str, Any], config: SimulatorConfig) -> Learned:
    """The architecture of a plan from anywhere: nothing large is built unchecked."""
    told = {"model": config.model, "hidden": config.hidden, "radius": config.radius}
    if config.remembered:
        told |= {"history": config.history, "passes": config.passes}
    for name, value in told.items():
        if plan.get(name) != value:
            raise ValueError(f"a plan whose {name} is {plan.get(name)!r}, not {value!r}")
    types = tuple(whole(kind, "types", MOST_BODIES, 0) for kind in plan.get("types", ()))
    if list(types) != sorted(set(types)) or plan.get("walls", False) not in (True, False):
        raise ValueError("types that are not in order, or walls that are neither there nor not")
    names = tuple(plan["attributes"])
    if not all(isinstance(name, str) for name in names):
        raise ValueError("attributes that are no names")
    shape = Shape(
        whole(plan["dim"], "dim", _MOST_DIMENSIONS),
        whole(plan["bodies"], "bodies", MOST_BODIES),
        names,
        config.radius,
        bool(plan.get("walls", False)),
        types,
        whole(plan.get("history", 0), "history", MOST_PASSES, 0),
        whole(plan.get("passes", 1), "passes", MOST_PASSES),
    )
    hidden = whole(plan["hidden"], "hidden", WIDEST)
    model = SIMULATORS[config.model](shape, hidden, torch.Generator())
    return in_precision(model, config)


def _numbers(header: Mapping[str, Any], *names: str) -> list[float]:
    return [float(header[name]) for name in names]
