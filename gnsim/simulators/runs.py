"""Run folders: learned simulators into them, and whatever was trained there evaluated."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from gnsim.discovery.threads import one_thread
from gnsim.errors import InputError
from gnsim.recipe import Recipe, trained
from gnsim.runs import RunFolder
from gnsim.simulators.evaluation import Evaluation, evaluate
from gnsim.simulators.files import require_place, write_evaluation
from gnsim.simulators.held_out import require_held_out, require_same_kind
from gnsim.simulators.protocol import RolloutProtocol
from gnsim.simulators.recipe import SimulatorRecipe, recipe_in
from gnsim.simulators.tested_on import elsewhere, true_hamiltonian
from gnsim.simulators.trained import TrainedSimulator
from gnsim.source_recipe import run_folder
from gnsim.training.simulator_fit import FittedSimulator, fit_simulator

#: Told what is being done, how much of it is done, of how much, and a remark.
Progress = Callable[[str, int, int, str], None]

_MODEL = "model.ckpt"


@one_thread()
def train_simulator_into(path: Path, recipe: SimulatorRecipe, tell: Progress) -> FittedSimulator:
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
    protocol: RolloutProtocol,
    source: str | None,
    settings: Sequence[str],
    tell: Progress,
) -> tuple[Evaluation, Path]:
    """What a run folder trained, over held-out trajectories; the table, and where it is.

    Those of its own data, or of `source` or its own source with other `settings` of the data.

    Raises:
        InputError: no run folder, nothing trained in it, or data or settings that do not go with
            it.
    """
    recipe = recipe_in(path)
    require_place(path)
    there = elsewhere(recipe, source, settings)
    simulator = _simulator_in(path, recipe)
    truth, hamiltonian = there.dataset.test, true_hamiltonian(there)
    protocol.require(simulator, truth)
    if there is not recipe:
        require_same_kind(recipe.dataset, there.dataset)
        require_held_out(recipe.dataset, there.dataset)
    with RunFolder(path) as folder:
        found = evaluate(simulator, truth, protocol, hamiltonian, tell)
        return found, write_evaluation(found, folder, there, own=there is recipe)


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
