"""The fit: windows in, a trained `CoupledPairs` out; resumable to the same bits."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gnsim.config import did_you_mean
from gnsim.errors import InputError
from gnsim.integrators import INTEGRATORS
from gnsim.models.coupled import COUPLINGS, CoupledPairs
from gnsim.state import Trajectory
from gnsim.training.config import TrainingConfig
from gnsim.training.interruption import Interruption
from gnsim.training.model_file import PRECISIONS, load_model, read_structure, save_model
from gnsim.training.record import Record, Standing
from gnsim.training.step import Training
from gnsim.training.structure import Progress, check_terms, choose_structure


@dataclass(frozen=True)
class Fitted:
    """A trained model, its median relative error on the validation windows, and what was tried.

    `leads` is False in the processes of torchrun that are not to write.
    """

    model: CoupledPairs
    validation_error: float
    pilots: Mapping[str, float]
    leads: bool = True

    def save(self, path: Path, data_hash: str = "") -> None:
        """Writes ``model.ckpt``. Raises NonFiniteError if a weight is not finite."""
        facts = {
            "validation_error": _jsonable(self.validation_error),
            "pilots": {name: _jsonable(error) for name, error in self.pilots.items()},
            "data": data_hash,
        }
        save_model(path, self.model, facts)

    @classmethod
    def load(cls, path: Path, data_hash: str = "") -> "Fitted":
        """Reads ``model.ckpt``.

        Raises:
            InputError: the file is damaged, no pair model, or was trained on other data than those
                of `data_hash`, where that is given.
        """
        model, header = load_model(path)
        if data_hash and header.get("data") != data_hash:
            raise InputError(
                f"{path}: data: it was trained on other data than there are now; "
                "bring those data back, or train anew into another folder"
            )
        try:
            pilots = {str(k): _number(v) for k, v in header.get("pilots", {}).items()}
            return cls(model, _number(header.get("validation_error")), pilots)
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: header: wanted errors as numbers, found {error}; "
                "name a model.ckpt that gnsim train wrote"
            ) from error


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

    After `deadline`, a value of `time.monotonic`, no further step is taken. With a `folder`,
    checkpoints and ``training.csv`` go there, and what stands there is resumed. Under torchrun
    every process takes part in each step; the first one writes.

    Raises:
        InputError: an unknown integrator or coupling, data too short for a window, or checkpoints
            of other data, settings or seed in `folder`.
        NonFiniteError: a loss, gradient or weight stopped being finite.
    """
    check_training(config)
    tell = progress or (lambda phase, step, total, error: None)
    record = Record(folder, {"config": asdict(config), "seed": seed, "data": data_hash})
    latest = record.latest()
    if latest is None:
        structure, pilots = choose_structure(train, valid, config, seed, tell)
    else:
        structure = read_structure(latest.header["model"]["structure"])
        pilots = {name: _number(error) for name, error in latest.header["pilots"].items()}
    run = Training(train, valid, config, structure, seed)
    standing = Standing.initial(run)
    if latest is not None:
        run.restore(latest)
        standing = Standing.of(latest)
    record.open(run, resumed=latest is not None)
    facts = {"pilots": {k: _jsonable(v) for k, v in pilots.items()}}
    with Interruption() as interruption:
        standing = _steps(run, standing, record, facts, interruption, tell, deadline)
    if math.isfinite(standing.best):  # else time ended before the first validation
        run.model.load_state_dict(standing.weights)
    run.polish()
    if config.terms == "auto":
        run.keep(run.needed_terms())
    return Fitted(run.model, run.validate(), pilots, run.leads)


def _steps(
    run: Training,
    standing: Standing,
    record: Record,
    facts: Mapping[str, Any],
    interruption: Interruption,
    tell: Progress,
    deadline: float | None,
) -> Standing:
    """Steps until the schedule, the patience or the time ends; how it stands then."""
    config = run.config
    while run.step < config.steps and standing.stale < config.patience:
        late = deadline is not None and time.monotonic() > deadline and run.step > 0
        if run.agreed(late):
            record.save(run, standing, facts)
            break
        loss = run.advance(config.steps)
        due = run.step % config.validate_every == 0 or run.step == config.steps
        improved = False
        if due:
            error = run.validate()
            improved = error < standing.best
            standing = standing.after(error, run)
            record.row(run, loss, error)
        number = run.agreed(interruption.signal or 0)
        if due or number:
            record.save(run, standing, facts, best=improved)
        tell("training", run.step, config.steps, standing.best)
        if number:
            interruption.leave(number)
    return standing


def check_training(config: TrainingConfig) -> None:
    """Raises InputError for settings that cannot be trained with."""
    choices = {
        "integrator": INTEGRATORS,
        "coupling": ("auto", *COUPLINGS),
        "precision": PRECISIONS,
    }
    for name, known in choices.items():
        value = getattr(config, name)
        if value not in known:
            raise InputError(f"training.{name}: '{value}' is unknown; {did_you_mean(value, known)}")
    check_terms(config.terms)
    counts = ("steps", "pilot_steps", "substeps", "pairs_per_batch", "hidden")
    if config.window < 0:
        raise InputError(f"training.window: wanted 0 or more, found {config.window}")
    for name in (*counts, "validate_every", "patience"):
        if getattr(config, name) < 1:
            found = getattr(config, name)
            raise InputError(f"training.{name}: wanted 1 or more, found {found}")
    if not 0 < config.learning_rate < math.inf:
        found = config.learning_rate
        raise InputError(f"training.learning_rate: wanted a number above 0, found {found}")


def _jsonable(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
