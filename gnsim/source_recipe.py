"""What a run was told: ``config.yaml``, by which a run folder explains and repeats itself."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from gnsim.config import as_mapping, parse_settings, save_yaml
from gnsim.datasets import SOURCES, Dataset, load
from gnsim.datasets.loading import FileSettings
from gnsim.errors import InputError
from gnsim.runs import RunFolder

CONFIG = "config.yaml"
#: settings that a trained network leaves open
OF_SEARCH = ("symbolic.", "rollout.")

Config = TypeVar("Config")
#: not typing.Self, which the checks of types under pytest cannot read
Kind = TypeVar("Kind", bound="SourceRecipe")


@dataclass(frozen=True)
class SourceRecipe(ABC, Generic[Config]):
    """A source with the settings of its data, a seed, and all settings of what is done with them.

    `source` is a name of `gnsim.datasets.SOURCES`, or the path of a file or folder.
    """

    source: str
    seed: int
    data: Any
    config: Config

    #: the dataclass of `config`; its fields are sections of the settings
    kind: ClassVar[type]

    @classmethod
    @abstractmethod
    def require_kind(cls, folder: Path, origin: "Origin") -> None:
        """Raises InputError where what stands in `folder` is of another kind."""

    def check_settings(self) -> None:
        """Raises InputError for settings that cannot be used."""

    @abstractmethod
    def check_data(self, dataset: Dataset) -> None:
        """Raises InputError for data that cannot be used with these settings."""

    @classmethod
    def of(cls: type[Kind], source: str | Path, seed: int, settings: Sequence[str] = ()) -> Kind:
        """From ``key=value`` settings: those of `kind`, and ``data.KEY`` of the source.

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
    def read(cls: type[Kind], folder: Path, settings: Sequence[str] = ()) -> Kind:
        """From the ``config.yaml`` of a run folder, then `settings`."""
        path, origin = folder / CONFIG, origin_of(folder)
        cls.require_kind(folder, origin)
        name = origin.source
        if name not in SOURCES:
            name = str(folder.resolve() / name)  # an absolute path stays what it is
        return cls._parsed(name, origin.seed, settings, path)

    @classmethod
    def _parsed(
        cls: type[Kind],
        source: str,
        seed: int,
        settings: Sequence[str],
        file: Path | None = None,
    ) -> Kind:
        parsed: Any = parse_settings(_form(source, cls.kind), settings, file)
        parts = {part.name: getattr(parsed, part.name) for part in fields(cls.kind)}
        recipe = cls(source, seed, parsed.data, cls.kind(**parts))
        recipe.check_settings()
        return recipe

    @cached_property
    def dataset(self) -> Dataset:
        """The data, loaded once.

        Raises:
            ValueError: they cannot be read, or fail `check_data`.
        """
        dataset = load(self.source, **asdict(self.data))
        self.check_data(dataset)
        return dataset

    def with_dataset(self: Kind, dataset: Dataset) -> Kind:
        """The same recipe with its data at hand."""
        recipe = dataclasses.replace(self)
        recipe.__dict__["dataset"] = dataset
        return recipe

    def write(self, folder: Path) -> None:
        path, source = Path(self.source), self.source
        if source not in SOURCES and path.is_relative_to(folder.resolve()):
            source = str(path.relative_to(folder.resolve()))  # so that the folder can be moved
        form = _form(self.source, self.kind)
        content = form(source=source, seed=self.seed, data=self.data, **vars(self.config))
        save_yaml(content, folder / CONFIG)

    def difference(self: Kind, other: Kind) -> str:
        """The first thing that `other` says differently, in words; empty where there is none."""
        mine, theirs = _flat(self), _flat(other)
        for name in dict.fromkeys([*mine, *theirs]):
            if mine.get(name) != theirs.get(name):
                return f"{name} is {mine.get(name)} there, {theirs.get(name)} now"
        return ""


@contextmanager
def run_folder(path: Path, recipe: SourceRecipe) -> Iterator[RunFolder]:
    """The folder of a run, held by this process alone, with its ``config.yaml``.

    Raises:
        InputError: it holds another run, or files that are no run.
        RunLockedError: another process holds it.
    """
    refuse_foreign(path, but="data")
    with RunFolder(path) as folder:
        if (path / CONFIG).exists():
            if difference := type(recipe).read(path).difference(recipe):
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
class Origin:
    """``config.yaml`` as far as it is understood before the source is known."""

    source: str = "???"
    seed: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    symbolic: dict[str, Any] = field(default_factory=dict)
    rollout: dict[str, Any] = field(default_factory=dict)
    simulator: dict[str, Any] = field(default_factory=dict)


def origin_of(folder: Path) -> Origin:
    """Of a run folder. Raises InputError where there is none."""
    require_run(folder)
    return parse_settings(Origin, file=folder / CONFIG)


def _form(source: str, kind: type) -> type:
    """The dataclass of all settings that there are with this source, and with those of `kind`."""
    of_data = SOURCES[source].settings if source in SOURCES else FileSettings
    parts = {"data": of_data, **{name: type(part) for name, part in vars(kind()).items()}}
    return dataclasses.make_dataclass(
        "Settings",
        [
            ("source", str, field(default="")),
            ("seed", int, field(default=0)),
            *((name, part, field(default_factory=part)) for name, part in parts.items()),
        ],
        frozen=True,
    )


def _flat(recipe: SourceRecipe) -> dict[str, Any]:
    """All settings by their dotted names."""
    flat: dict[str, Any] = {"source": recipe.source, "seed": recipe.seed}
    parts = {"data": recipe.data, **vars(recipe.config)}
    for part, values in parts.items():
        flat |= {f"{part}.{name}": value for name, value in as_mapping(values).items()}
    return flat
