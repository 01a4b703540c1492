"""``gnsim distill``: from a trained network to a law."""

from gnsim.commands.options import Debug, Run, SearchSettings, TimeLimit


def distill(
    run: Run,
    settings: SearchSettings = None,
    time_limit: TimeLimit = None,
    debug: Debug = False,
) -> None:
    """Search the law in the network of a run folder, check it, and write it into the folder.

    Settings of the search and of the rollouts may differ from those of the run (symbolic.KEY=,
    rollout.KEY=); config.yaml then says so.
    """
    from gnsim.api import distill_in
    from gnsim.commands.progress import progress
    from gnsim.commands.running import require_of_search, show
    from gnsim.report import summary

    require_of_search(settings or [])
    with progress() as tell:
        found = distill_in(run, settings or [], time_limit=time_limit, progress=tell)
    show(summary(found), run)
