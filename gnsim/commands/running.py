"""What the commands that work on a run folder share."""

import os
from collections.abc import Sequence
from pathlib import Path

import typer

from gnsim.errors import InputError
from gnsim.recipe import Recipe
from gnsim.source_recipe import OF_SEARCH


def begin(
    source: str, seed: int, settings: Sequence[str] | None, out: Path | None
) -> tuple[Recipe, Path]:
    """What a run is told, and its folder: the one named, else one for the source and the seed."""
    recipe = Recipe.of(source, seed, settings or [])
    return recipe, out or Path("runs") / f"{Path(recipe.source).stem}-{recipe.seed}"


def lead(recipe: Recipe, folder: Path) -> None:
    """Under torchrun, processes other than the first only help to train, and end here.

    The first one holds the folder and writes, the others read the checkpoints that it reads.
    """
    if os.environ.get("RANK", "0") != "0":
        from gnsim import discovery

        data = recipe.dataset
        discovery.train(data, recipe.config, recipe.seed, folder, None, lambda *told: None)
        raise typer.Exit


def show(text: str, folder: Path) -> None:
    """Prints what a command found, and where it is."""
    print(text)
    print(f"\neverything is in {folder}")


def require_of_search(settings: Sequence[str]) -> None:
    """Raises InputError for settings that a trained network no longer leaves open."""
    for setting in settings:
        name = setting.partition("=")[0]
        if not name.startswith(OF_SEARCH):
            raise InputError(
                f"setting '{name}': wanted symbolic.KEY=VALUE or rollout.KEY=VALUE, for the "
                "network is trained; to change it, train into another folder"
            )


def target(out: Path, names: Sequence[str], more: Sequence[str] = ()) -> dict[str, Path]:
    """The file for each rollout, checked before anything long begins; `more` are other endings."""
    from gnsim.datasets.formats import WRITERS

    if out.suffix.lower() not in (known := [*WRITERS, *more]):
        wanted = ", ".join(sorted(known))
        raise InputError(f"--out: wanted a file ending in {wanted}, found '{out}'")
    if not out.parent.is_dir():
        raise InputError(f"--out: there is no folder '{out.parent}'; make it first")
    if len(names) == 1:
        return {names[0]: out}
    return {name: out.with_stem(f"{out.stem}-{name}") for name in names}
