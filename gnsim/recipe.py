"""What a run was told: ``config.yaml``, by which a run folder explains and repeats itself."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from gnsim.config import as_mapping, parse_settings, save_yaml
from gnsim.datasets import SOURCES, Dataset, load
from gnsim.datasets.loading import FileSettings
from gnsim.discovery import DiscoveryConfig, check_settings
from gnsim.errors import InputError
from gnsim.runs import RunFolder
from gnsim.state import Trajectory
from gnsim.training.structure import check_structure
from gnsim.windows import WindowSampler

CONFIG = "config.yaml"
#: settings that a trained network leaves open
OF_SEARCH = ("symbolic.", "rollout.")


@dataclass(frozen=True)
class Recipe:
    """A source with the settings of its data, a seed, and all settings of the discovery.

    `source` is a name of `gnsim.datasets.SOURCES`, or the path of a file or folder.
    """

    source: str
    seed: int
    data: Any
    config: DiscoveryConfig

    @classmethod
    def of(cls, source: str | Path, seed: int, settings: Sequence[str] = ()) -> "Recipe":
        """From ``key=value`` settings: those of `DiscoveryConfig`, and ``data.KEY`` of the source.

        Raises:
            InputError: an unknown source or setting, or a value of another type.
        """
        name = str(source)
        if name not in SOURCES:
            if not Path(name).exists():
                load(name)  # says what is wrong with the name
            name = str(Path(name).resolve())
        return cls._parsed(name, seed, settings)

    @classmethod
    def read(cls, folder: Path, settings: Sequence[str] = ()) -> "Recipe":
        """From the ``config.yaml`` of a run folder, then `settings`."""
        require_run(folder)
        path = folder / CONFIG
        origin = parse_settings(_Origin, file=path)
        name = origin.source
        if name not in SOURCES:
            name = str(folder.resolve() / name)  # an absolute path stays what it is
        return cls._parsed(name, origin.seed, settings, path)

    @classmethod
    def _parsed(
        cls, source: str, seed: int, settings: Sequence[str], file: Path | None = None
    ) -> "Recipe":
        parsed: Any = parse_settings(_form(source), settings, file)
        parts = {part.name: getattr(parsed, part.name) for part in fields(DiscoveryConfig)}
        recipe = cls(source, seed, parsed.data, DiscoveryConfig(**parts))
        check_settings(recipe.config)
        return recipe

    @cached_property
    def dataset(self) -> Dataset:
        """The data, loaded once.

        Raises:
            ValueError: they cannot be read, or fail `check_parts`.
        """
        dataset = load(self.source, **asdict(self.data))
        check_parts(dataset, self.config)
        return dataset

    def with_dataset(self, dataset: Dataset) -> "Recipe":
        """The same recipe with its data at hand."""
        recipe = dataclasses.replace(self)
        recipe.__dict__["dataset"] = dataset
        return recipe

    def write(self, folder: Path) -> None:
        path, source = Path(self.source), self.source
        if source not in SOURCES and path.is_relative_to(folder.resolve()):
            source = str(path.relative_to(folder.resolve()))  # so that the folder can be moved
        form = _form(self.source)
        content = form(source=source, seed=self.seed, data=self.data, **vars(self.config))
        save_yaml(content, folder / CONFIG)

    def difference(self, other: "Recipe") -> str:
        """The first thing that `other` says differently, in words; empty where there is none."""
        mine, theirs = _flat(self), _flat(other)
        for name in dict.fromkeys([*mine, *theirs]):
            if mine.get(name) != theirs.get(name):
                return f"{name} is {mine.get(name)} there, {theirs.get(name)} now"
        return ""


def check_parts(dataset: Dataset, config: DiscoveryConfig) -> None:
    """Refuses data before anything long begins.

    Raises:
        InputError: a part is too short for its windows or has uneven times, parts differ in
            bodies, dimension, attributes, units or box, or cannot have what is hidden or its terms.
    """
    check_structure(dataset.train, config.training)
    expected = _kind(dataset.train)
    window = max(1, config.training.window)
    for name, steps in {"train": window, "valid": window, "test": 1}.items():
        part: Trajectory = getattr(dataset, name)
        for what, value in _kind(part).items():
            if value != expected[what]:
                raise InputError(
                    f"{dataset.name}: the part '{name}': wanted {what} as in 'train', "
                    f"{expected[what]}, found {value}; give parts of the same systems"
                )
        try:
            WindowSampler(part, steps)
        except ValueError as error:
            raise InputError(f"{dataset.name}: the part '{name}': {error}") from error


def _kind(part: Trajectory) -> dict[str, Any]:
    """What all parts of a data set have in common."""
    return {
        "bodies": sorted(set(part.batch.bincount().tolist())),
        "dim": part.dim,
        "attributes": sorted(part.attributes),
        "units": astuple(part.units),
        "box": None if part.box is None else part.box.tolist(),
    }


@contextmanager
def run_folder(path: Path, recipe: Recipe) -> Iterator[RunFolder]:
    """The folder of a run, held by this process alone, with its ``config.yaml``.

    Raises:
        InputError: it holds another run, or files that are no run.
        RunLockedError: another process holds it.
    """
    refuse_foreign(path, but="data")
    with RunFolder(path) as folder:
        if (path / CONFIG).exists():
            if difference := Recipe.read(path).difference(recipe):
                raise InputError(
                    f"{path}: holds a run with other settings: {difference}; "
                    f"give the same settings to go on with it, {_way(path, difference)}"
                )
        else:
            recipe.write(path)
        yield folder


def _way(path: Path, difference: str) -> str:
    """How to have the setting that differs."""
    if not difference.startswith(OF_SEARCH):
        return "or name another folder"
    name = difference.partition(" ")[0]
    return f"or search again in its network with gnsim distill {path} {name}=VALUE"


def require_run(folder: Path) -> None:
    """Raises InputError where `folder` is not there, or no run wrote it."""
    if not (folder / CONFIG).is_file():
        found = f"no {CONFIG} in it" if folder.is_dir() else "no such folder"
        raise InputError(
            f"{folder}: wanted a run folder, found {found}; "
            "name one that gnsim discover or gnsim train wrote"
        )


def refuse_foreign(path: Path, but: str = "") -> None:
    """Raises InputError for a folder that has files (other than `but`) and is no run folder."""
    if not path.is_dir() or (path / CONFIG).exists():
        return
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    if foreign := [name for name in names if name != but]:
        raise InputError(
            f"{path}: wanted an empty folder or one of a run, found '{foreign[0]}' and no "
            f"{CONFIG}; name another folder"
        )


@dataclass(frozen=True)
class _Origin:
    """``config.yaml`` as far as it is understood before the source is known."""

    source: str = "???"
    seed: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    symbolic: dict[str, Any] = field(default_factory=dict)
    rollout: dict[str, Any] = field(default_factory=dict)


def _form(source: str) -> type:
    """The dataclass of all settings that there are with this source."""
    kind = SOURCES[source].settings if source in SOURCES else FileSettings
    parts = {"data": kind, **{name: type(part) for name, part in vars(DiscoveryConfig()).items()}}
    return dataclasses.make_dataclass(
        "Settings",
        [
            ("source", str, field(default="")),
            ("seed", int, field(default=0)),
            *((name, part, field(default_factory=part)) for name, part in parts.items()),
        ],
        frozen=True,
    )


def _flat(recipe: Recipe) -> dict[str, Any]:
    """All settings by their dotted names."""
    flat: dict[str, Any] = {"source": recipe.source, "seed": recipe.seed}
    parts = {"data": recipe.data, **vars(recipe.config)}
    for part, values in parts.items():
        flat |= {f"{part}.{name}": value for name, value in as_mapping(values).items()}
    return flat
