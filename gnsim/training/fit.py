"""The fit: windows in, a trained `CoupledPairs` out; resumable to the same bits.

Batches are functions of (seed, step), so that a run that was killed and started again takes the
same steps as one that was not.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnsim.config import did_you_mean
from gnsim.errors import InputError, NonFiniteError
from gnsim.integrators import INTEGRATORS
from gnsim.models.coupled import COUPLINGS, CoupledPairs
from gnsim.models.radial import RadialNetwork
from gnsim.runs import CsvLog
from gnsim.state import Trajectory
from gnsim.training.checkpoint import Checkpoint, CheckpointFolder, flatten, load, unflatten
from gnsim.training.config import TrainingConfig
from gnsim.training.interruption import Interruption
from gnsim.training.loss import ProjectedLoss
from gnsim.windows import WindowSampler

_VALIDATION_WINDOWS = 300
_SCALE_WINDOWS = 500
_POLISH_WINDOWS = 1000
_POLISH_ROUNDS = 3
_WARM_UP_STEPS = 30
_GRADIENT_NORM = 1.0
_LINE_SPEED = 2.0
_START_WINDOWS = 64
_START_SLOPES = (-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_START_OFFSETS = (-1.0, 0.0, 1.0)

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}

#: Told the phase, the step, the number of steps and the last validation error.
Progress = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class Fitted:
    """A trained model, its median relative error on the validation windows, and what was tried."""

    model: CoupledPairs
    validation_error: float
    pilots: Mapping[str, float]


class Training:
    """One training run: its loss, optimiser and position in the schedule."""

    def __init__(
        self, train: Trajectory, valid: Trajectory, config: TrainingConfig, coupling: str, seed: int
    ) -> None:
        from lightning_fabric import Fabric

        self.config, self.seed, self.step = config, seed, 0
        dtype = PRECISIONS[config.precision]
        self.sampler = WindowSampler(train.to(dtype), config.window)
        self.held_out = WindowSampler(valid.to(dtype), config.window).spread(_VALIDATION_WINDOWS)
        self.fabric = Fabric(devices=_devices(), accelerator="auto")
        self.fabric.launch()
        self.model = untrained(train, config, coupling, seed)
        self._scale_network()
        self.loss = ProjectedLoss(self.model, INTEGRATORS[config.integrator](), config.substeps)
        self._start_line()
        optimiser = torch.optim.Adam(_groups(self.model.pair, config.learning_rate), eps=1e-16)
        self.wrapped, self.optimiser = self.fabric.setup(self.loss, optimiser)
        pairs = self.sampler.bodies * (self.sampler.bodies - 1) // 2
        self.batch_size = max(8, config.pairs_per_batch // pairs)

    def advance(self, schedule: int) -> float:
        """One optimiser step of a cosine schedule of so many steps; the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * _schedule(self.step, schedule)
        words = [self.seed, self.step, self.fabric.global_rank]
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
        )
        loss = self.wrapped(self.sampler.sample(self.batch_size, generator))
        self._require_finite("loss", loss)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self._require_finite("gradient", norm)
        self.optimiser.step()
        self.loss.correction = self.fabric.all_reduce(self.loss.correction, reduce_op="mean")
        self.loss.accept_correction()
        self.step += 1
        return float(loss.detach().exp())

    def validate(self) -> float:
        """Median relative error of the held-out windows."""
        with torch.no_grad():
            errors, _ = self.loss.errors(self.held_out)
        return float(errors.norm(dim=-1).median())

    def polish(self) -> None:
        """Solves the couplings once more, from many windows at once."""
        windows = self.sampler.spread(_POLISH_WINDOWS)
        for _ in range(_POLISH_ROUNDS):
            with torch.no_grad():
                self.loss(windows)
            self.loss.accept_correction()

    def tensors(self) -> tuple[dict[str, Tensor], Any]:
        """Everything that a resumed run needs: tensors by name, and the rest of the optimiser."""
        optimiser, skeleton = flatten(self.optimiser.state_dict(), "optimiser")
        return {**model_tensors(self.model), **optimiser}, skeleton

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continues from where `checkpoint` was written."""
        self.model.load_state_dict(_model_part(checkpoint.tensors))
        state = unflatten(checkpoint.header["optimiser"], checkpoint.tensors)
        self.optimiser.load_state_dict(state)
        self.step = int(checkpoint.header["step"])

    def _scale_network(self) -> None:
        windows = self.sampler.spread(_SCALE_WINDOWS)
        state = windows.path[0]
        source, target = state.pairs
        r = (state.q[source] - state.q[target]).norm(dim=1)
        self.model.pair.fit_scales(r, windows.path.attributes)

    def _start_line(self) -> None:
        """Starts from the straight line through log r that explains most.

        The loss is flat in the slope until it is nearly right, so a descent alone needs luck.
        """
        windows = self.sampler.spread(_START_WINDOWS)
        line = self.model.pair.linear

        def loss(start: tuple[float, float]) -> float:
            with torch.no_grad():
                line.weight[0, 0], line.bias[0] = start
                self.model.x.zero_()
                for _ in range(2):
                    value = float(self.loss(windows))
                    self.loss.accept_correction()
            return value if np.isfinite(value) else float("inf")

        loss(min(itertools.product(_START_SLOPES, _START_OFFSETS), key=loss))

    def _require_finite(self, what: str, value: Tensor) -> None:
        if not bool(torch.isfinite(value)):
            raise NonFiniteError(
                f"training step {self.step}: the {what} is {float(value):g}; nothing was written "
                "since the last checkpoint; lower learning_rate or raise substeps"
            )


def fit(
    train: Trajectory,
    valid: Trajectory,
    config: TrainingConfig,
    seed: int,
    folder: Path | None = None,
    data_hash: str = "",
    progress: Progress | None = None,
    deadline: float | None = None,
) -> Fitted:
    """Trains on `train`, keeping the weights that predict `valid` best.

    After `deadline`, a value of `time.monotonic`, no further step is taken.
    With a `folder`, checkpoints and ``training.csv`` go there, and what stands there is resumed.

    Raises:
        InputError: an unknown integrator or coupling, data too short for a window, or checkpoints
            of other data, settings or seed in `folder`.
        NonFiniteError: a loss, gradient or weight stopped being finite.
    """
    _check(config)
    tell = progress or (lambda phase, step, total, error: None)
    recipe = {"config": vars(config), "seed": seed, "data": data_hash}
    checkpoints = None if folder is None else CheckpointFolder(folder / "checkpoints")
    latest = None if checkpoints is None else checkpoints.latest()
    if latest is not None:
        _require_same(latest.header["recipe"], recipe, checkpoints.path)
        coupling, pilots = latest.header["coupling"], latest.header["pilots"]
    else:
        coupling, pilots = choose_coupling(train, valid, config, seed, tell)
    run = Training(train, valid, config, coupling, seed)
    best, stale = float("inf"), 0
    if latest is not None:
        run.restore(latest)
        best, stale = latest.header["best"], latest.header["stale"]
    log = None
    if folder is not None:
        columns = ["loss", "validation_error", "learning_rate"]
        log = CsvLog(folder / "training.csv", columns, None if latest is None else run.step)
    kept = model_tensors(run.model)
    if checkpoints is not None and latest is not None and checkpoints.best.exists():
        kept = _model_part(load(checkpoints.best).tensors)
    with Interruption() as interruption:
        while run.step < config.steps and stale < config.patience:
            if deadline is not None and time.monotonic() > deadline and run.step > 0:
                break
            loss = run.advance(config.steps)
            due = run.step % config.validate_every == 0 or run.step == config.steps
            if not due and interruption.signal is None:
                tell("training", run.step, config.steps, best)
                continue
            error, improved = None, False
            if due:
                error = run.validate()
                improved, stale = error < best, 0 if error < best else stale + 1
                if improved:
                    best, kept = error, model_tensors(run.model)
                rate = run.optimiser.param_groups[0]["lr"]
                if log is not None:
                    log.append(
                        run.step, dict(zip(log.columns[1:], (loss, error, rate), strict=True))
                    )
            if checkpoints is not None and run.fabric.is_global_zero:
                tensors, skeleton = run.tensors()
                header = {
                    "recipe": recipe,
                    "coupling": coupling,
                    "pilots": pilots,
                    "optimiser": skeleton,
                    "best": best,
                    "stale": stale,
                    "model": blueprint(run.model),
                }
                checkpoints.save(run.step, tensors, header, best=improved)
            tell("training", run.step, config.steps, best)
            if interruption.signal is not None:
                interruption.leave()
    run.model.load_state_dict(_model_part(kept))
    run.polish()
    return Fitted(run.model, run.validate(), pilots)


def choose_coupling(
    train: Trajectory, valid: Trajectory, config: TrainingConfig, seed: int, tell: Progress
) -> tuple[str, dict[str, float]]:
    """Which hidden couplings the data ask for: a short training of each, the fewest that suffice.

    Only where the file gives no masses; given masses are taken as they are. A coupling with hidden
    numbers must halve the error of the one before it to be preferred.
    """
    if config.coupling != "auto":
        return config.coupling, {}
    if "mass" in train.attributes:
        return "none", {}
    schedule = replace(config, steps=config.pilot_steps)
    errors: dict[str, float] = {}
    for name in COUPLINGS:
        run = Training(train, valid, schedule, name, seed)
        while run.step < schedule.steps:
            run.advance(schedule.steps)
            tell(f"trying hidden masses: {name}", run.step, schedule.steps, float("nan"))
        run.polish()
        errors[name] = run.validate()
    chosen = "none"
    for name, error in errors.items():
        if error < 0.5 * errors[chosen]:
            chosen = name
    return chosen, errors


def untrained(train: Trajectory, config: TrainingConfig, coupling: str, seed: int) -> CoupledPairs:
    """A model for these bodies and attributes, with weights drawn from `seed`."""
    bodies = train.num_nodes // train.num_systems
    names = tuple(sorted(name for name, value in train.attributes.items() if _varies(value)))
    generator = torch.Generator().manual_seed(seed)
    network = RadialNetwork(names, config.hidden, generator)
    return CoupledPairs(network, coupling, bodies).to(PRECISIONS[config.precision])


def blueprint(model: CoupledPairs) -> dict[str, Any]:
    """What `load_model` needs to build the same architecture again."""
    return {
        "attributes": list(model.pair.attributes),
        "hidden": model.pair.hidden,
        "coupling": model.coupling.name,
        "bodies": model.bodies,
        "precision": str(model.x.dtype).removeprefix("torch."),
    }


def load_model(path: Path) -> CoupledPairs:
    """The model of a checkpoint or of ``model.ckpt``.

    Raises:
        DamagedCheckpointError: the file is damaged or no checkpoint of a pair model.
    """
    checkpoint = load(path)
    try:
        plan = checkpoint.header["model"]
        network = RadialNetwork(tuple(plan["attributes"]), plan["hidden"], torch.Generator())
        model = CoupledPairs(network, plan["coupling"], plan["bodies"])
        model.to(PRECISIONS[plan["precision"]])
        model.load_state_dict(_model_part(checkpoint.tensors))
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{path}: header: wanted the plan and the weights of a pair model, found {error}; "
            "name a model.ckpt that gnsim train wrote"
        ) from error
    return model


def model_tensors(model: CoupledPairs) -> dict[str, Tensor]:
    """Weights and buffers by name, copied."""
    return {f"model.{name}": value.clone() for name, value in model.state_dict().items()}


def _model_part(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("model."): value
        for name, value in tensors.items()
        if name.startswith("model.")
    }


def _varies(value: Tensor) -> bool:
    return bool((value != value[0]).any())


def _groups(network: RadialNetwork, rate: float) -> list[dict[str, Any]]:
    """The straight line through log r goes ahead of the network that bends it."""
    return [
        {"params": network.linear.parameters(), "lr": rate, "peak": _LINE_SPEED * rate},
        {"params": network.body.parameters(), "lr": rate, "peak": rate},
    ]


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to a thousandth."""
    warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
    return warm * (0.5 * (1 + float(np.cos(np.pi * step / steps))) + 1e-3)


def _devices() -> int | str:
    """All that torchrun gives, else one."""
    import os

    return "auto" if "WORLD_SIZE" in os.environ else 1


def _check(config: TrainingConfig) -> None:
    choices = {
        "integrator": INTEGRATORS,
        "coupling": ("auto", *COUPLINGS),
        "precision": PRECISIONS,
    }
    for name, known in choices.items():
        value = getattr(config, name)
        if value not in known:
            raise InputError(f"{name}: '{value}' is unknown; {did_you_mean(value, known)}")
    for name in ("steps", "pilot_steps", "window", "substeps", "pairs_per_batch", "hidden"):
        if getattr(config, name) < 1:
            raise InputError(f"{name}: wanted 1 or more, found {getattr(config, name)}")


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    for part in ("data", "seed", "config"):
        if found.get(part) != wanted[part]:
            raise InputError(
                f"{path}: its checkpoints were made with another {part}; "
                "give the same again to resume, or name another folder"
            )
