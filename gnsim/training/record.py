"""The record of a training run: how well it stands, its log and its checkpoints."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from gnsim.errors import InputError
from gnsim.runs import CsvLog
from gnsim.training.checkpoint import Checkpoint, CheckpointFolder
from gnsim.training.model_file import blueprint, model_part, model_tensors
from gnsim.training.step import Training

_COLUMNS = ("loss", "validation_error", "learning_rate")
_KEPT = "kept"


@runtime_checkable
class Logged(Protocol):
    """A run as far as its log knows it; `leads` where it is the one that writes."""

    step: int

    @property
    def leads(self) -> bool: ...

    @property
    def learning_rate(self) -> float: ...


@dataclass(frozen=True)
class Standing:
    """The best validation error so far, the validations since, and the weights it belongs to."""

    best: float
    stale: int
    kept: Mapping[str, Tensor]

    @classmethod
    def initial(cls, run: Training) -> "Standing":
        return cls(math.inf, 0, model_tensors(run.model, _KEPT))

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Standing":
        """As it was when `checkpoint` was written; the weights travel in the same file."""
        best = checkpoint.header["best"]
        kept = {n: v for n, v in checkpoint.tensors.items() if n.startswith(f"{_KEPT}.")}
        return cls(math.inf if best is None else best, checkpoint.header["stale"], kept)

    def after(self, error: float, run: Training) -> "Standing":
        """After one more validation."""
        if error < self.best:
            return Standing(error, 0, model_tensors(run.model, _KEPT))
        return Standing(self.best, self.stale + 1, self.kept)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The best ones, as a state of the model."""
        return model_part(self.kept, _KEPT)


class Record:
    """``training.csv`` and ``checkpoints/`` of a run folder; nothing where there is no folder.

    `recipe` is what a resumed run must share with the one before: ``data``, ``seed``, ``config``.
    """

    def __init__(self, folder: Path | None, recipe: Mapping[str, Any]) -> None:
        self.folder, self.recipe = folder, recipe
        self.checkpoints = None if folder is None else CheckpointFolder(folder / "checkpoints")
        self.log: CsvLog | None = None

    def latest(self) -> Checkpoint | None:
        """Where a run stopped in this folder.

        Raises:
            InputError: it was a run with other data, settings or seed, or all is damaged.
        """
        latest = None if self.checkpoints is None else self.checkpoints.latest()
        if self.checkpoints is not None and latest is not None:
            _require_same(latest.header.get("recipe", {}), self.recipe, self.checkpoints.path)
        return latest

    def open(self, run: Logged, resumed: bool) -> None:
        """Begins to write, in the one process that does."""
        if not run.leads:
            self.checkpoints = None
        elif self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / "training.csv"
            self.log = CsvLog(path, _COLUMNS, run.step if resumed else None)

    def row(self, run: Logged, loss: float, error: float | None) -> None:
        if self.log is not None:
            values = (loss, error, run.learning_rate)
            self.log.append(run.step, dict(zip(_COLUMNS, values, strict=True)))

    def save(
        self, run: Training, standing: Standing, facts: Mapping[str, Any], best: bool = False
    ) -> None:
        """A checkpoint of the step that was just taken, as the best one too where it is."""
        if self.checkpoints is None:
            return
        tensors, skeleton = run.tensors()
        header = {
            **facts,
            "recipe": self.recipe,
            "optimiser": skeleton,
            "best": standing.best if math.isfinite(standing.best) else None,
            "stale": standing.stale,
            "model": blueprint(run.model),
        }
        self.checkpoints.save(run.step, {**tensors, **standing.kept}, header, best=best)


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    for part in ("data", "seed", "config"):
        if found.get(part) != wanted[part]:
            raise InputError(
                f"{path}: its checkpoints were made with another {part}; "
                "give the same again to resume, or name another folder"
            )
