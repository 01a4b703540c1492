"""``gnsim data``: what there is to learn from, what is in a file, and files of simulated truth."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gnsim.commands.options import Debug, Settings
from gnsim.errors import ExitCode, InputError

app = typer.Typer(
    help="Data: what is built in, what is in your file, truth to try things on.",
    no_args_is_help=True,
)


@app.command("list")
def list_sources(debug: Debug = False) -> None:
    """Name the built-in sources and their settings."""
    from rich.console import Console
    from rich.table import Table

    from gnsim.config import as_mapping
    from gnsim.datasets import SOURCES, SYSTEMS

    settings = {name: as_mapping(source.settings()) for name, source in SOURCES.items()}
    common = _common([settings[name] for name in SYSTEMS])
    table = Table("name", "what it is", "its settings and their defaults", box=None)
    for name, source in SOURCES.items():
        own = {k: v for k, v in settings[name].items() if name not in SYSTEMS or k not in common}
        table.add_row(name, source.description, _written(own))
    console = Console(markup=False, highlight=False)
    console.print(table)
    console.print(
        f"\nThose from {next(iter(SYSTEMS))} on are simulated on demand, and have "
        f"{_written(common)} as well. noise is relative to the spread of positions and of "
        "velocities; with velocities=false they are left out, and estimated from the positions."
    )


def _common(settings: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings that all have, with one default."""
    first, *others = settings
    return {k: v for k, v in first.items() if all(k in o and o[k] == v for o in others)}


def _written(settings: dict[str, Any]) -> str:
    """As the command line takes them."""
    words = {True: "true", False: "false", None: "null"}
    given = {k: words[v] if isinstance(v, bool | None) else v for k, v in settings.items()}
    return " ".join(f"{name}={value}" for name, value in given.items())


@app.command("check")
def check_file(
    file: Annotated[Path, typer.Argument(help="An .npz or HDF5 file of trajectories.")],
    debug: Debug = False,
) -> None:
    """Say what is in a file, what is wrong with it and how to mend it (exit 2)."""
    from gnsim.datasets import check

    report = check(file)
    print(report)
    if not report.ok:
        raise typer.Exit(ExitCode.BAD_INPUT)


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="An .npz or HDF5 file of trajectories.")],
    out: Annotated[Path, typer.Option(help="FILE.npz, FILE.h5, or FILE.pvd for ParaView.")],
    pickled: Annotated[
        bool,
        typer.Option("--pickled", help="FILE is a data set of GNS, whose arrays are pickled."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Write trajectories in another format.

    A .pvd names a .vtp file of points for each frame, in a folder of its name; of several
    trajectories there is FILE_0.pvd, FILE_1.pvd, ... Pickled files are
    read for the arrays in them: nothing else that they hold is looked up or run.

    As in: gnsim data convert train.npz --pickled --out train.h5
    """
    from gnsim.datasets import read, read_pickled, write, write_vtk
    from gnsim.datasets.formats import WRITERS
    from gnsim.datasets.vtk import collections

    _require_free_file(out, (*WRITERS, ".pvd"))
    trajectory = read_pickled(file) if pickled else read(file)
    if out.suffix.lower() != ".pvd":
        write(out, trajectory)
        print(out)
        return
    for path in collections(out, trajectory.num_systems):
        _require_free_file(path, [".pvd"])
    print(*write_vtk(out, trajectory), sep="\n")


@app.command("make")
def make(
    name: Annotated[str, typer.Argument(help="A built-in name (see `gnsim data list`).")],
    out: Annotated[
        Path,
        typer.Option(help="FILE.npz or FILE.h5; or a folder for train.h5, valid.h5 and test.h5."),
    ],
    settings: Settings = None,
    debug: Debug = False,
) -> None:
    """Write the data of a built-in source: all parts to a folder, or what to learn from to a file.

    What is simulated is written to a file whole; of the solar system it is the training span, of
    the charged benchmark the training part.

    As in: gnsim data make r2 dim=2 interval=0.02 noise=0.01 velocities=false --out r2.npz
    """
    from gnsim.datasets.formats import WRITERS

    chosen = _settings(name, settings or [])
    if out.suffix:
        _require_free_file(out, WRITERS, "a folder or ")
    for path in _write_file(name, chosen, out) if out.suffix else _write_folder(name, chosen, out):
        print(path)


def _settings(name: str, settings: list[str]) -> dict[str, Any]:
    from gnsim.config import did_you_mean, parse_settings
    from gnsim.datasets import SOURCES

    if name not in SOURCES:
        raise InputError(f"no built-in source is called '{name}'; {did_you_mean(name, SOURCES)}")
    return asdict(parse_settings(SOURCES[name].settings, settings))


def _require_free_file(out: Path, endings: Iterable[str], other: str = "") -> None:
    if out.suffix.lower() not in endings:
        wanted = ", ".join(sorted(endings))
        raise InputError(f"--out: wanted {other}a file ending in {wanted}, found '{out}'")
    if not out.parent.is_dir():
        raise InputError(f"--out: there is no folder '{out.parent}'; make it first")
    if out.exists():  # it may be somebody's measurement
        raise InputError(f"--out: '{out}' exists; name another file, or remove this one first")


def _write_file(name: str, settings: dict[str, Any], out: Path) -> Iterator[Path]:
    from gnsim.datasets import SOURCES, write

    origin = SOURCES[name]
    chosen = origin.settings(**settings)
    write(out, origin.whole(chosen) if origin.whole else origin.build(chosen).train)
    yield out


def _write_folder(name: str, settings: dict[str, Any], out: Path) -> Iterator[Path]:
    from gnsim.datasets import load, write
    from gnsim.runs import RunFolder

    dataset = load(name, **settings)
    with RunFolder(out) as folder:
        for part in ("train", "valid", "test"):
            write(folder / f"{part}.h5", getattr(dataset, part))
            yield folder / f"{part}.h5"
