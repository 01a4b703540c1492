"""``gnsim discover``: from trajectories to a law, in a folder that explains itself."""

import sys
from pathlib import Path

from gnsim.commands.options import Beyond, Debug, RunOut, RunSettings, Seed, Source, TimeLimit


def discover(
    source: Source,
    settings: RunSettings = None,
    out: RunOut = None,
    seed: Seed = 0,
    time_limit: TimeLimit = None,
    beyond: Beyond = None,
    debug: Debug = False,
) -> None:
    """Learn the interaction in trajectories, distil it into a law, and check the law.

    The folder gets law.json, report.html, figures, the network and its checkpoints. The same
    command again goes on where a run that was stopped stood, and shows what a finished one found.

    With --beyond LAW nothing is trained: what an accepted law leaves of the accelerations is
    weighed against its noise, and searched for pair forces of distance and relative velocity.
    """
    from gnsim.api import discover_into, finished
    from gnsim.commands.progress import progress
    from gnsim.commands.running import begin, lead, show
    from gnsim.report import summary

    if beyond is not None:
        return look_beyond(beyond, source, seed, settings, out, time_limit)
    recipe, folder = begin(source, seed, settings, out)
    if before := finished(folder, recipe, time_limit):
        remedy = f"gnsim distill {folder} searches again"
        print(f"gnsim: {folder} holds this run, finished, as follows; {remedy}", file=sys.stderr)
        return show(before, folder)
    lead(recipe, folder)
    with progress() as tell:
        found = discover_into(folder, recipe, time_limit=time_limit, progress=tell)
    show(summary(found), folder)


def look_beyond(
    law: Path,
    source: str,
    seed: int,
    settings: list[str] | None,
    out: Path | None,
    time_limit: float | None,
) -> None:
    """What a law leaves over, into a folder of its own."""
    from gnsim.beyond import beyond_into, finished_beyond, read_law, require_of_data
    from gnsim.commands.progress import progress
    from gnsim.commands.running import begin, show
    from gnsim.report.beyond import beyond_summary

    require_of_data(settings or [], time_limit, in_memory=False)
    known = read_law(law)
    recipe, folder = begin(source, seed, settings, out)
    folder = out or folder.with_name(f"{folder.name}-beyond")
    if before := finished_beyond(folder, recipe, known):
        print(f"gnsim: {folder} holds this search, finished, as follows", file=sys.stderr)
        return show(before, folder)
    with progress() as tell:
        found = beyond_into(folder, recipe, known, tell)
    show(beyond_summary(found), folder)
