"""The data that a trained simulator is tested on: its own held-out ones, or others."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gnsim.config import as_mapping
from gnsim.datasets import SOURCES, SYSTEMS, dynamics, load_to_test
from gnsim.dynamics import Hamiltonian
from gnsim.errors import InputError
from gnsim.source_recipe import SourceRecipe


def true_hamiltonian(recipe: SourceRecipe) -> Hamiltonian | None:
    """The true H of a simulated source; None where nobody knows it, or energy is not kept."""
    if recipe.source not in SYSTEMS:
        return None
    moving = dynamics(recipe.source, **asdict(recipe.data))
    return moving if isinstance(moving, Hamiltonian) else None


def elsewhere(recipe: SourceRecipe, source: str | None, settings: Sequence[str]) -> SourceRecipe:
    """The same with other data: of `source`, or its own one with other ``data.KEY`` settings.

    Of another file all is tested on, of named sources and of folders their test part. The seed of
    simulated data of its own source is the next one unless they name it: those of the same seed
    could be among what was trained on.

    Raises:
        InputError: settings that are not of the data, or would have it learned from what it is
            tested on: the seed of the training, or a file that is split anew.
    """
    for setting in settings:
        if not setting.startswith("data."):
            raise InputError(
                f"setting '{setting.partition('=')[0]}': wanted data.KEY=VALUE, for the "
                "simulator is trained; to change it, train into another folder"
            )
    if source is not None and not _is_own(recipe, source):
        return _of_another(recipe, source, settings)
    if not settings and (source is None or not _is_simulated(recipe)):
        return recipe
    if recipe.source not in SOURCES:
        raise InputError(
            f"setting '{settings[0].partition('=')[0]}': wanted none with the file of the "
            "training, which would be split anew, its test part into what was trained on; "
            "give other data with --on"
        )
    return _with(recipe, settings)


def tested_part(data: SourceRecipe, own: bool) -> str:
    """What of `data` is tested on, in words; whether they are the `own` ones of the run."""
    path = Path(data.source)
    if own or data.source in SOURCES:
        return f"the held-out part of {path.name}"
    return f"test.h5 of {path.name}" if path.is_dir() else f"all of {path.name}"


def _of_another(recipe: SourceRecipe, source: str, settings: Sequence[str]) -> SourceRecipe:
    if settings and Path(source).is_file() and source not in SOURCES:
        raise InputError(
            f"setting '{settings[0].partition('=')[0]}': wanted none with a file, all of which is "
            "tested on; leave it out"
        )
    return _to_test(type(recipe).of(source, recipe.seed, settings))


def _to_test(there: SourceRecipe) -> SourceRecipe:
    """With its data at hand, which need not be such as could be learned from."""
    return there.with_dataset(load_to_test(there.source, **asdict(there.data)))


def _is_simulated(recipe: SourceRecipe) -> bool:
    """Whether there are as many trajectories as one likes."""
    return hasattr(recipe.data, "trajectories")


def _is_own(recipe: SourceRecipe, source: str) -> bool:
    if source in SOURCES or recipe.source in SOURCES:
        return source == recipe.source
    return Path(source).resolve() == Path(recipe.source).resolve()


def _refuse_of_sample(source: str, settings: Sequence[str]) -> None:
    """Raises InputError for settings of what a ready-made sample was simulated by."""
    name = source.removesuffix("-sample")
    if name == source:
        return
    ready, simulated = (as_mapping(SOURCES[x].settings()) for x in (source, name))
    for setting in settings:
        key = setting.partition("=")[0].removeprefix("data.")
        if key in simulated and key not in ready:
            raise InputError(
                f"setting 'data.{key}': wanted none of a simulation, for {source} is ready-made; "
                f"give --on {name} {setting}, which simulates"
            )


def _with(recipe: SourceRecipe, settings: Sequence[str]) -> SourceRecipe:
    """The built-in source with other settings; `recipe` itself where they are its own."""
    _refuse_of_sample(recipe.source, settings)
    mine = [f"data.{k}={v}" for k, v in as_mapping(recipe.data).items() if v is not None]
    seeded = _is_simulated(recipe)
    other = [f"data.seed={recipe.data.seed + 1}"] if seeded else []
    there = type(recipe).of(recipe.source, recipe.seed, [*mine, *other, *settings])
    if there.data == recipe.data:
        return recipe
    if seeded and there.data.seed == recipe.data.seed:
        raise InputError(
            f"data.seed: wanted another than {recipe.data.seed}, that of the training, for its "
            "trajectories could be among these; leave it out for the next one"
        )
    return _to_test(there)
