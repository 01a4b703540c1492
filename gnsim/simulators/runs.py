"""Run folders of learned simulators."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from gnsim.discovery.threads import one_thread
from gnsim.errors import InputError
from gnsim.runs import RunFolder
from gnsim.simulators.evaluation import Evaluation, evaluate
from gnsim.simulators.files import require_place, write_evaluation
from gnsim.simulators.held_out import require_held_out, require_same_kind
from gnsim.simulators.protocol import RolloutProtocol
from gnsim.simulators.recipe import SimulatorRecipe
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
    """The simulator of a run folder over held-out trajectories; the table, and where it is.

    Those of its own data, or of `source` or its own source with other `settings` of the data.

    Raises:
        InputError: no run folder of a simulator, no trained one in it, or data or settings that do
            not go with it.
    """
    recipe = SimulatorRecipe.read(path)
    file = path / _MODEL
    if not file.is_file():
        raise InputError(f"{file}: there is no trained simulator yet; run gnsim train first")
    require_place(path)
    there = recipe.elsewhere(source, settings)
    fitted = FittedSimulator.load(file, recipe.config.simulator, recipe.dataset.content_hash)
    if not 0 < fitted.interval < math.inf:
        raise InputError(
            f"{file}: header: interval: wanted a time above 0 between two frames, found "
            f"{fitted.interval:g}; train anew into another folder"
        )
    truth, hamiltonian = there.dataset.test, there.true_hamiltonian
    protocol.require(fitted, truth)
    if there is not recipe:
        require_same_kind(recipe.dataset, there.dataset)
        require_held_out(recipe.dataset, there.dataset)
    with RunFolder(path) as folder:
        found = evaluate(fitted, truth, protocol, hamiltonian, tell)
        return found, write_evaluation(found, folder, there, own=there is recipe)
