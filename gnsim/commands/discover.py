"""``gnsim discover``: from trajectories to a law, in a folder that explains itself."""

import sys

from gnsim.commands.options import Debug, RunOut, RunSettings, Seed, Source, TimeLimit


def discover(
    source: Source,
    settings: RunSettings = None,
    out: RunOut = None,
    seed: Seed = 0,
    time_limit: TimeLimit = None,
    debug: Debug = False,
) -> None:
    """Learn the interaction in trajectories, distil it into a law, and check the law.

    The folder gets law.json, report.html, figures, the network and its checkpoints. The same
    command again goes on where a run that was stopped stood, and shows what a finished one found.
    """
    from gnsim.api import discover_into, finished
    from gnsim.commands.progress import progress
    from gnsim.commands.running import begin, lead, show
    from gnsim.report import summary

    recipe, folder = begin(source, seed, settings, out)
    if before := finished(folder, recipe, time_limit):
        remedy = f"gnsim distill {folder} searches again"
        print(f"gnsim: {folder} holds this run, finished, as follows; {remedy}", file=sys.stderr)
        return show(before, folder)
    lead(recipe, folder)
    with progress() as tell:
        found = discover_into(folder, recipe, time_limit=time_limit, progress=tell)
    show(summary(found), folder)
