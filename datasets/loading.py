"""`load`: a data set by the name of a built-in source, or from a user's file or folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.files import read
from gnsim.datasets.findings import DataError, error
from gnsim.datasets.formats import READERS
from gnsim.datasets.hdf5 import read_hdf5
from gnsim.datasets.metadata import read_metadata
from gnsim.datasets.samples import SOURCES as SAMPLES
from gnsim.datasets.settings import settings_from, unknown, whole
from gnsim.datasets.sources import balls, charged, jpl, lj_fluid, materials, string_ball
from gnsim.datasets.splits import split
from gnsim.datasets.systems import SYSTEMS, source

_PARTICLES = (balls.SOURCE, string_ball.SOURCE, *materials.SOURCES, lj_fluid.SOURCE)
SOURCES: dict[str, Source] = {
    origin.name: origin
    for origin in (
        *(jpl.SOURCE, charged.SOURCE),
        *_PARTICLES,
        *SAMPLES,
        *map(source, SYSTEMS.values()),
    )
}


@dataclass(frozen=True)
class FileSettings:
    """`seed` of the split by trajectory; `window`, the number of steps that the data must allow."""

    seed: int = 0
    window: int = 1

    def __post_init__(self) -> None:
        whole(self.seed, "seed", 0)
        whole(self.window, "window", 1)


def load(source: str, **settings: Any) -> Dataset:
    """The data set of a built-in source, of a file, or of a folder with train, valid and test.h5.

    A file is split 60 / 20 / 20 %, by trajectory or, below three trajectories, in time. Raises
    ValueError for a name or a setting that does not exist, and DataError for a file that cannot
    be used.
    """
    if source in SOURCES:
        origin = SOURCES[source]
        return origin.build(settings_from(origin.settings, source, settings))
    path = Path(source)
    if not path.exists() and not _looks_like_path(source):
        raise unknown("data set", source, SOURCES)
    chosen = settings_from(FileSettings, source, settings)
    parts = (
        _folder(path, chosen) if path.is_dir() else split(read(path, chosen.window), chosen.seed)
    )
    train, valid, test = parts
    return Dataset(path.stem, train, valid, test, f"from {path.name}")


def load_to_test(source: str, **settings: Any) -> Dataset:
    """As `load`, of what nothing is learned from: a file is all there to be tested on."""
    path = Path(source)
    if source in SOURCES or not path.is_file():
        return load(source, **settings)
    whole = read(path)
    none = whole.frames(slice(0))
    return Dataset(path.stem, none, none, whole, f"from {path.name}")


def default_radius(source: str) -> float | None:
    """The connectivity radius that metadata name, of HDF5 files in a folder or of one of them."""
    path = Path(source)
    file = path / "train.h5" if path.is_dir() else path
    told = source not in SOURCES and READERS.get(file.suffix.lower()) is read_hdf5
    return read_metadata(file).radius if told else None


def _looks_like_path(source: str) -> bool:
    return "/" in source or "\\" in source or Path(source).suffix.lower() in READERS


def _folder(path: Path, settings: FileSettings) -> tuple:
    files = [path / f"{part}.h5" for part in ("train", "valid", "test")]
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        found = f"no {', '.join(absent)}"
        remedy = "name a single file, which is then split"
        raise DataError(path, [error("folder", found, "train.h5, valid.h5 and test.h5", remedy)])
    return tuple(read(file, settings.window) for file in files)
