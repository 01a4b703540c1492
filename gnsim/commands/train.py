"""``gnsim train``: the network alone."""

from pathlib import Path

from gnsim.commands.options import Debug, Model, RunOut, RunSettings, Seed, Source, TimeLimit
from gnsim.errors import InputError

#: the one that laws are distilled from
_PAIRS = "pairs"
#: what the error of a simulator is over, where it is not that nothing moves
_UNLEARNED = {"gns": "no acceleration", "interaction": "constant velocity"}


def train(
    source: Source,
    settings: RunSettings = None,
    model: Model = _PAIRS,
    out: RunOut = None,
    seed: Seed = 0,
    time_limit: TimeLimit = None,
    debug: Debug = False,
) -> None:
    """Train the network of a discovery, or a simulator without a law: model.ckpt and training.csv.

    That of pairs is for `gnsim distill`; the others are simulators without a law, with settings
    simulator.KEY=VALUE. `gnsim rollout` and `gnsim evaluate` serve all of them.

    The same command again goes on where a run that was stopped stood. torchrun spreads that of
    pairs over several processes.
    """
    if model != _PAIRS:
        return _train_simulator(source, settings or [], model, out, seed, time_limit)
    from gnsim.api import train_into
    from gnsim.commands.progress import progress
    from gnsim.commands.running import begin, lead, show

    recipe, folder = begin(source, seed, settings, out)
    lead(recipe, folder)
    with progress() as tell:
        fitted = train_into(folder, recipe, time_limit=time_limit, progress=tell)
    for name, error in fitted.pilots.items():
        print(f"tried what may be hidden, '{name}': median relative error {error:.3g}")
    error = fitted.validation_error
    show(f"median relative error on validation windows: {error:.3g}", folder)


def _train_simulator(
    source: str,
    settings: list[str],
    model: str,
    out: Path | None,
    seed: int,
    time_limit: float | None,
) -> None:
    """A simulator that is no model of pairs, into a folder of its own."""
    from gnsim.commands.progress import progress
    from gnsim.commands.running import show
    from gnsim.config import did_you_mean
    from gnsim.models.simulators import SIMULATORS
    from gnsim.simulators import SimulatorRecipe, train_simulator_into
    from gnsim.simulators.recipe import RADIUS

    known = (_PAIRS, *SIMULATORS)
    if model not in known:
        raise InputError(f"--model: '{model}' is unknown; {did_you_mean(model, known)}")
    if time_limit is not None:
        raise InputError(
            f"--time-limit: wanted none with --model {model}, found {time_limit:g}; "
            "its steps are planned ahead: give simulator.steps"
        )
    if any(setting.startswith("simulator.model=") for setting in settings):
        raise InputError("simulator.model: wanted --model alone to name it; leave the setting out")
    recipe = SimulatorRecipe.of(source, seed, [*settings, f"simulator.model={model}"])
    folder = out or Path("runs") / f"{Path(recipe.source).stem}-{model}-{seed}"
    radius = recipe.config.simulator.radius
    if radius is not None and not any(word.startswith(f"{RADIUS}=") for word in settings):
        print(f"{RADIUS}={radius:g}: the default_connectivity_radius of metadata.json")
    with progress() as tell:
        fitted = train_simulator_into(folder, recipe, tell)
    error = fitted.validation_error
    remark = "" if error < 1 else ", which is no better"
    unlearned = _UNLEARNED.get(model, "standing still")
    show(f"error of held-out windows, over that of {unlearned}: {error:.3g}{remark}", folder)
