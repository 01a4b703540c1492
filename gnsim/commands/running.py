"""What the commands that work on a run folder share."""

import os
from collections.abc import Sequence
from pathlib import Path

from gnsim.errors import InputError
from gnsim.recipe import Recipe

_OF_SEARCH = ("symbolic.", "rollout.")


def folder_for(recipe: Recipe, out: Path | None) -> Path:
    """The folder that was named, else one for the source and the seed."""
    return out or Path("runs") / f"{Path(recipe.source).stem}-{recipe.seed}"


def follow(recipe: Recipe, folder: Path) -> bool:
    """Under torchrun, whether this process only helps to train, and has done so.

    The first process holds the folder and writes; the others read the checkpoints that it reads.
    """
    if os.environ.get("RANK", "0") == "0":
        return False
    from gnsim import discovery

    dataset = recipe.dataset
    discovery.train(dataset, recipe.config, recipe.seed, folder, None, lambda *told: None)
    return True


def require_of_search(settings: Sequence[str]) -> None:
    """Raises InputError for settings that a trained network no longer leaves open."""
    for setting in settings:
        name = setting.partition("=")[0]
        if not name.startswith(_OF_SEARCH):
            raise InputError(
                f"setting '{name}': wanted symbolic.KEY=VALUE or rollout.KEY=VALUE, for the "
                "network is trained; to change it, train into another folder"
            )


def target(out: Path, names: Sequence[str]) -> dict[str, Path]:
    """The file for each rollout, checked before anything long begins."""
    from gnsim.datasets.formats import WRITERS

    if out.suffix.lower() not in WRITERS:
        wanted = ", ".join(sorted(WRITERS))
        raise InputError(f"--out: wanted a file ending in {wanted}, found '{out}'")
    if not out.parent.is_dir():
        raise InputError(f"--out: there is no folder '{out.parent}'; make it first")
    if len(names) == 1:
        return {names[0]: out}
    return {name: out.with_stem(f"{out.stem}-{name}") for name in names}
