"""``gnsim rollout``: network and law of a run, from its held-out data on."""

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnsim.commands.options import Debug, Run
from gnsim.errors import ExitCode

if TYPE_CHECKING:
    from gnsim.discovery import Rollout


class Of(StrEnum):
    """What is rolled out."""

    LAW = "law"
    NETWORK = "network"
    BOTH = "both"


def rollout(
    run: Run,
    of: Annotated[Of, typer.Option("--of", help="What to roll out.")] = Of.BOTH,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="Steps of the data; all where left out."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="FILE.npz or FILE.h5; else rollout.npz in the folder of the run."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Roll out the law, the network or both over the held-out data of a run, and write the paths.

    With both, the name of each is added to the name of its file.
    """
    from gnsim.api import rolled_out
    from gnsim.commands.progress import progress
    from gnsim.commands.running import target
    from gnsim.source_recipe import require_run

    require_run(run)
    names = ("law", "network") if of is Of.BOTH else (of.value,)
    files = target(out or run / "rollout.npz", names)
    with progress() as tell:
        rollouts = rolled_out(run, names, steps, tell)
    from gnsim.datasets import write

    for name in names:
        result = rollouts[name]
        write(files[name], result.trajectory)
        print(_line(name, result), f"written to {files[name]}", sep="; ")
    if any(result.diverged for result in rollouts.values()):
        raise typer.Exit(ExitCode.DIVERGED)


def _line(name: str, result: "Rollout") -> str:
    """How far off a rollout ends up, in one line."""
    error = result.position_error
    median, worst = float(error[-1].median()), float(error.max())
    ended = f"; {result.diverged}" if result.diverged else ""
    kept = math.isfinite(result.energy_error)  # it is not where forces depend on velocities
    energy = f"; energy error {result.energy_error:.2g}" if kept else ""
    return (
        f"{name}: {len(result.trajectory) - 1} steps, relative position error at the end "
        f"{median:.2g} (median), largest {worst:.2g}{energy}{ended}"
    )
