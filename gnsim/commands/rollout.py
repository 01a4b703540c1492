"""``gnsim rollout``: what a run found or trained, along its held-out data."""

import math
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnsim.commands.options import Debug, Run
from gnsim.errors import ExitCode, InputError

if TYPE_CHECKING:
    from gnsim.discovery import Rollout
    from gnsim.simulators.runs import BesideTruth
    from gnsim.state import Trajectory


class Of(StrEnum):
    """What is rolled out."""

    LAW = "law"
    NETWORK = "network"
    BOTH = "both"


def rollout(
    run: Run,
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Of a simulator: other data of the same source (or of --on), as data.bodies=8.",
        ),
    ] = None,
    of: Annotated[
        Of | None,
        typer.Option("--of", help="What to roll out; both of a discovery if left out."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="Steps of the data; all where left out."),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="SOURCE",
            help="Of a simulator: other data: a name, a folder, or a file, of which all is taken.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="FILE.npz or FILE.h5; else rollout.npz in the folder of the run, of a simulator "
            "rollout.h5. Of a simulator also FILE.pvd for ParaView (FILE_0.pvd, ... of several "
            "trajectories), or a folder for rollout_0.npz, ... beside the truth under "
            "LagrangeBench's names.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Roll a law, a network or a simulator out over held-out data of a run, and write the paths.

    Of a discovery law, network or both: with both, the name of each is added to that of its file.
    """
    from gnsim.source_recipe import origin_of

    if not origin_of(run).simulator:
        return _rollout_of_discovery(run, settings or [], of or Of.BOTH, steps, on, out)
    if of not in (None, Of.NETWORK):
        raise InputError(f"--of: wanted network, the simulator of this run, found {of.value}")
    return _rollout_of_simulator(run, settings or [], steps, on, out)


def _rollout_of_simulator(
    run: Path, settings: list[str], steps: int | None, on: str | None, out: Path | None
) -> None:
    from gnsim.commands.progress import progress
    from gnsim.simulators import RolloutProtocol, roll_out_in

    out = out or run / "rollout.h5"
    _require_place(out)
    with progress() as tell:
        accept = partial(_require_fit, out)
        beside = roll_out_in(run, RolloutProtocol(steps=steps), on, settings, tell, accept)
    paths = _write_beside(out, beside.predicted, beside.truth)
    _tell(beside, paths[0] if len(paths) == 1 else f"{paths[0]} to {paths[-1].name}")


def _require_fit(out: Path, truth: "Trajectory") -> None:
    """Raises ValueError where the file could not hold rollouts along `truth`."""
    from gnsim.datasets import require_writable
    from gnsim.datasets.formats import WRITERS

    if out.suffix.lower() in WRITERS:
        require_writable(out, truth)


def _write_beside(out: Path, predicted: "Trajectory", truth: "Trajectory") -> list[Path]:
    from gnsim.datasets import write, write_rollouts, write_vtk

    if not out.suffix:
        out.mkdir(exist_ok=True)
        return write_rollouts(out, predicted, truth)
    if out.suffix.lower() == ".pvd":
        return write_vtk(out, predicted)
    write(out, predicted)
    return [out]


def _tell(beside: "BesideTruth", place: Path | str) -> None:
    """How far off a rollout of a simulator ends up; exits with 3 where systems are lost."""
    from gnsim.metrics import normalised_position_error
    from gnsim.simulators.rolling import lost

    found = beside.predicted
    off = float(normalised_position_error(found, beside.truth, beside.spread)[-1].median())
    steps = len(found) - 1 - beside.seen
    print(f"{beside.of}: {steps} steps, relative position error at the end {off:.2g} (median)")
    print(f"written to {place}")
    if dead := int(lost(found).sum()):
        print(f"{dead} of {found.num_systems} diverged to no number")
        raise typer.Exit(ExitCode.DIVERGED)


def _require_place(out: Path) -> None:
    """Raises InputError, before anything long begins, where nothing can be written to `out`."""
    from gnsim.commands.running import target

    if out.suffix:
        target(out, ["network"], (".pvd",))
        folder = out.with_suffix("") if out.suffix.lower() == ".pvd" else out.parent
    else:
        folder = out
    if not folder.parent.is_dir():
        raise InputError(f"--out: there is no folder '{folder.parent}'; make it first")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: wanted a folder, found a file '{folder}'; name another place")


def _rollout_of_discovery(
    run: Path, settings: list[str], of: Of, steps: int | None, on: str | None, out: Path | None
) -> None:
    from gnsim.api import rolled_out
    from gnsim.commands.progress import progress
    from gnsim.commands.running import target

    if settings or on is not None:
        raise InputError(
            f"{settings[0] if settings else '--on'}: wanted no other data: those of a discovery "
            "are rolled out over their own; gnsim evaluate measures a network on others"
        )
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
