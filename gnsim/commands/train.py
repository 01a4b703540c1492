"""``gnsim train``: the network alone."""

from gnsim.commands.options import Debug, RunOut, RunSettings, Seed, Source, TimeLimit


def train(
    source: Source,
    settings: RunSettings = None,
    out: RunOut = None,
    seed: Seed = 0,
    time_limit: TimeLimit = None,
    debug: Debug = False,
) -> None:
    """Train the network only: model.ckpt and training.csv, for `gnsim distill` and `rollout`.

    The same command again goes on where a run that was stopped stood. torchrun spreads it over
    several processes.
    """
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
