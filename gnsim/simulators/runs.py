"""Run folders: learned simulators into them, and whatever was trained there evaluated."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.discovery.threads import one_thread
from gnsim.errors import InputError
from gnsim.recipe import Recipe, trained
from gnsim.runs import RunFolder
from gnsim.simulators.evaluation import Evaluation, evaluate
from gnsim.simulators.files import require_place, write_evaluation
from gnsim.simulators.held_out import require_held_out, require_same_kind
from gnsim.simulators.protocol import RolloutProtocol
from gnsim.simulators.recipe import SimulatorRecipe, recipe_in
from gnsim.simulators.rolling import followed, whole_spread
from gnsim.simulators.tested_on import elsewhere, tested_part, true_hamiltonian
from gnsim.simulators.trained import TrainedSimulator
from gnsim.source_recipe import SourceRecipe, run_folder
from gnsim.state import Trajectory
from gnsim.training.simulator_fit import FittedSimulator, fit_simulator

#: Told what is being done, how much of it is done, of how much, and a remark.
Progress = Callable[[str, int, int, str], None]

_MODEL = "model.ckpt"
_USUAL = RolloutProtocol()


def _silent(what: str, done: int, of: int, remark: str) -> None:
    """Progress that nobody watches."""


class Evaluated(NamedTuple):
    """An evaluation, its table, and which data it is `of`, in words."""

    evaluation: Evaluation
    file: Path
    of: str


class BesideTruth(NamedTuple):
    """A rollout, and the data over the same times, which `of` tells in words.

    So many frames were `seen` and not predicted; `spread` is that of all positions of the data.
    """

    predicted: Trajectory
    truth: Trajectory
    seen: int
    of: str
    spread: Float[Tensor, " systems"]


@one_thread()
def train_simulator_into(
    path: Path, recipe: SimulatorRecipe, tell: Progress = _silent
) -> FittedSimulator:
    """The simulator of `recipe` into a run folder; training goes on from where it stands there."""

    def relay(step: int, steps: int, error: float) -> None:
        tell("training", step, steps, f"validation error {error:.3g}")

    dataset, config = recipe.dataset, recipe.config.simulator
    with run_folder(path, recipe):
        fitted = fit_simulator(
            dataset.train, dataset.valid, config, recipe.seed, path, dataset.content_hash, relay
        )
        fitted.save(path / _MODEL, dataset.content_hash)
    return fitted


@one_thread()
def evaluate_in(
    path: Path,
    protocol: RolloutProtocol = _USUAL,
    source: str | None = None,
    settings: Sequence[str] = (),
    tell: Progress = _silent,
) -> Evaluated:
    """What a run folder trained, over held-out trajectories.

    Those of its own data, or of `source` or its own source with other `settings` of the data; all
    of a file that is not its own.

    Raises:
        InputError: no run folder, nothing trained in it, or data or settings that do not go with
            it.
    """
    recipe = recipe_in(path)
    require_place(path)
    simulator, there = _beside_data(path, recipe, protocol, source, settings)
    truth, hamiltonian = there.dataset.test, true_hamiltonian(there)
    with RunFolder(path) as folder:
        found = evaluate(simulator, truth, protocol, hamiltonian, tell)
        file = write_evaluation(found, folder, there, own=there is recipe)
    return Evaluated(found, file, tested_part(there, there is recipe))


@one_thread()
def roll_out_in(
    path: Path,
    protocol: RolloutProtocol = _USUAL,
    source: str | None = None,
    settings: Sequence[str] = (),
    tell: Progress = _silent,
    accept: Callable[[Trajectory], None] = lambda truth: None,
) -> BesideTruth:
    """What a run folder trained, rolled out over the trajectories that `evaluate_in` tests on.

    `accept` is told these before anything long begins, and may refuse them. Raises as `evaluate_in`
    does.
    """
    recipe = recipe_in(path)
    simulator, there = _beside_data(path, recipe, protocol, source, settings)
    test = there.dataset.test
    accept(test)
    found, _ = followed(simulator, test, protocol, tell)
    stride, _ = protocol.frames_and_substeps(simulator, test)
    seen = simulator.remembered
    truth = test.frames(slice(0, None, stride)).frames(slice(seen + len(found)))
    q, p = (torch.cat([getattr(truth, x)[:seen], getattr(found, x)]) for x in ("q", "p"))
    of = tested_part(there, there is recipe)
    return BesideTruth(
        replace(found, t=truth.t, q=q, p=p), truth, seen, of, whole_spread(simulator, test)
    )


def _beside_data(
    path: Path,
    recipe: SimulatorRecipe | Recipe,
    protocol: RolloutProtocol,
    source: str | None,
    settings: Sequence[str],
) -> tuple[TrainedSimulator, SourceRecipe]:
    """What was trained, and the data that it is rolled out beside, which go with it."""
    there = elsewhere(recipe, source, settings)
    simulator = _simulator_in(path, recipe)
    protocol.require(simulator, there.dataset.test)
    if there is not recipe:
        require_same_kind(recipe.dataset, there.dataset)
        require_held_out(recipe.dataset, there.dataset)
    return simulator, there


def _simulator_in(path: Path, recipe: SimulatorRecipe | Recipe) -> TrainedSimulator:
    """What stands in a run folder. Raises InputError where nothing was trained on these data."""
    if isinstance(recipe, Recipe):
        fitted = trained(path, recipe)
        return TrainedSimulator.of_pairs(fitted, recipe.config.training, recipe.dataset.train)
    file = path / _MODEL
    if not file.is_file():
        raise InputError(f"{file}: there is no trained simulator yet; run gnsim train first")
    simulator = FittedSimulator.load(file, recipe.config.simulator, recipe.dataset.content_hash)
    if not 0 < simulator.interval < math.inf:
        raise InputError(
            f"{file}: header: interval: wanted a time above 0 between two frames, found "
            f"{simulator.interval:g}; train anew into another folder"
        )
    return TrainedSimulator.of_simulator(simulator)
