"""``gnsim discover``: from trajectories to a law, in a folder that explains itself."""

from gnsim.commands.options import Debug, RunOut, Seed, Settings, Source, TimeLimit


def discover(
    source: Source,
    settings: Settings = None,
    out: RunOut = None,
    seed: Seed = 0,
    time_limit: TimeLimit = None,
    debug: Debug = False,
) -> None:
    """Learn the interaction in trajectories, distil it into a law, and check the law.

    The folder gets law.json, report.html, figures, the network and its checkpoints. The same
    command again goes on where a run that was stopped stood.
    """
    from gnsim.api import discover_into
    from gnsim.commands.progress import progress
    from gnsim.commands.running import folder_for, follow
    from gnsim.recipe import Recipe

    recipe = Recipe.of(source, seed, settings or [])
    folder = folder_for(recipe, out)
    if follow(recipe, folder):
        return
    with progress() as tell:
        found = discover_into(folder, recipe, time_limit=time_limit, progress=tell)
    from gnsim.report import summary

    print(summary(found, folder))
