"""``gnsim evaluate``: how good a trained simulator or network is on what it has not seen."""

from pathlib import Path
from typing import Annotated

import typer

from gnsim.commands.options import Debug


def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder that gnsim train made.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Other data of the same source (or of --on), as data.bodies=8.",
        ),
    ] = None,
    integrator: Annotated[
        str | None,
        typer.Option(help="Another integrator than in training (see `gnsim settings`)."),
    ] = None,
    dt: Annotated[
        float, typer.Option("--dt", metavar="FACTOR", help="The step, over that of the training.")
    ] = 1.0,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Compare so many states: one a step, or a frame where steps are shorter. All "
            "that there are data for, if left out.",
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="SOURCE", help="Other data: a name, a folder, or a file, tested whole."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Roll the simulator of a run out over held-out trajectories, and measure how far off it is.

    Errors of positions and momenta, of energy (the true one where it is known, and the
    simulator's own) and of what is conserved; how long it is valid. Over trajectories: the mean,
    the median, and what 99 in 100 are no worse than. A table (CSV, JSON) and a figure of it go to
    evaluation/ in the folder.

    Other settings of simulated data take the next data.seed, unless they name it; that of the
    training is refused.
    """
    from gnsim.commands.progress import progress
    from gnsim.commands.running import show
    from gnsim.simulators import RolloutProtocol, evaluate_in
    from gnsim.simulators.files import table

    protocol = RolloutProtocol(integrator, dt, steps)
    with progress() as tell:
        found, file, of = evaluate_in(run, protocol, on, settings or [], tell)
    said = found.settings
    times = "1 time" if said["states_compared"] == 1 else f"{said['states_compared']} times"
    print(
        f"{said['model']}, {said['tested_integrator']}, steps of {said['tested_step']:g}: {of}, "
        f"{found.systems}, compared at {times}"
    )
    if found.diverged:
        lost = f", {said['not_finite']} to no number" if said["not_finite"] else ""
        of = f"{found.diverged} of {said['trajectories']} diverged{lost}"
        print(f"{of}: errors that they have a part in say little; see divergence_time")
    unknown = (
        "" if "energy" in found.curves else "; no true energy: the law of these data is not known"
    )
    show(
        f"{table(found)}\n\nvalid: position error below {said['valid_threshold']:g} of the spread; "
        f"diverged: beyond {said['divergence_threshold']:g}{unknown}",
        file.parent,
    )
