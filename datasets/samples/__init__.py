"""Small data of the sources that need an engine, made by them, so that trying needs none.

``python -m gnsim.datasets.samples.make NAME`` makes one anew, with the settings in `SAMPLES`.
Numbers have single precision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.files import read
from gnsim.datasets.settings import whole
from gnsim.datasets.splits import split
from gnsim.state import Trajectory

_OF_MATERIAL: dict[str, Any] = {"trajectories": 5, "particles": 100, "frames": 100}
#: the settings of each sample, by the name of its source
SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "balls": {"trajectories": 15, "frames": 250},
    "water-drop": {**_OF_MATERIAL, "interval": 0.005},
    "sand-column": {**_OF_MATERIAL, "interval": 0.005},
    "lj-fluid": {"trajectories": 5, "bodies": 64, "dim": 2, "frames": 70, "interval": 0.02},
}
#: samples that hold positions alone, as the data sets of GNS do: velocities would double them
POSITIONS = ("water-drop", "sand-column")


@dataclass(frozen=True)
class SampleSettings:
    """`seed` of the split by trajectory."""

    seed: int = 0

    def __post_init__(self) -> None:
        whole(self.seed, "seed", 0)


def sample(name: str) -> Trajectory:
    """All trajectories of the sample of a source."""
    with resources.as_file(resources.files(__name__) / f"{name}.npz") as path:
        return read(path)


def _described(name: str) -> str:
    settings = " ".join(f"{key}={value}" for key, value in SAMPLES[name].items())
    remark = ", without velocities" if name in POSITIONS else ""
    return f"ready-made: '{name}' with {settings}{remark}"


def _source(name: str) -> Source:
    def build(settings: SampleSettings) -> Dataset:
        return Dataset(f"{name}-sample", *split(sample(name), settings.seed), _described(name))

    return Source(
        f"{name}-sample", _described(name), SampleSettings, build, lambda settings: sample(name)
    )


SOURCES = tuple(map(_source, SAMPLES))
