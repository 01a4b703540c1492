"""What a discovery was told, which data it refuses, and the network that it trained."""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from gnsim.clips import Clips
from gnsim.datasets import Dataset
from gnsim.discovery import DiscoveryConfig, check_settings
from gnsim.errors import InputError
from gnsim.source_recipe import Origin, SourceRecipe
from gnsim.state import Trajectory
from gnsim.training.fit import Fitted
from gnsim.training.structure import check_structure
from gnsim.windows import WindowSampler

#: the law that was given: what tells the folder of a search beyond it from that of a discovery
GIVEN = "law_given.json"


@dataclass(frozen=True)
class Recipe(SourceRecipe[DiscoveryConfig]):
    """What a discovery was told, or one of its halves."""

    kind = DiscoveryConfig

    @classmethod
    def require_kind(cls, folder: Path, origin: "Origin") -> None:
        if origin.simulator:
            raise InputError(
                f"{folder}: holds the simulator '{origin.simulator.get('model')}', whose messages "
                f"are no forces of pairs; gnsim evaluate {folder} is for it, or name another folder"
            )

    def check_settings(self) -> None:
        check_settings(self.config)

    def check_data(self, dataset: Dataset) -> None:
        check_parts(dataset, self.config)


def trained(path: Path, recipe: Recipe) -> Fitted:
    """The network of a run folder. Raises InputError where none was trained on these data."""
    file = path / "model.ckpt"
    if (path / GIVEN).exists():
        raise InputError(
            f"{path}: holds what lies beyond a law, for which no network was trained; "
            "gnsim rollout --of law rolls the law out"
        )
    if not file.is_file():
        raise InputError(f"{file}: there is no trained network yet; run gnsim train first")
    return Fitted.load(file, recipe.dataset.content_hash)


def check_parts(dataset: Dataset, config: DiscoveryConfig) -> None:
    """Refuses data before anything long begins.

    Raises:
        InputError: as `check_alike`, or the data cannot have what is hidden or its terms.
    """
    check_structure(dataset.train, config.training)
    check_alike(dataset, max(1, config.training.window))


def check_alike(
    dataset: Dataset, window: int, cut: type[WindowSampler] | type[Clips] = WindowSampler
) -> None:
    """Refuses parts that do not go together, or of which no windows can be `cut`.

    Raises:
        InputError: a part is too short for its windows, has uneven times or, unless it is cut into
            clips, systems of unlike sizes; or parts differ in bodies (where clips may), dimension,
            attributes, units, box or walls.
    """
    some = {"bodies"} if cut is Clips else set()
    expected = _kind(dataset.train)
    for name, steps in {"train": window, "valid": window, "test": 1}.items():
        part: Trajectory = getattr(dataset, name)
        for what, value in _kind(part).items():
            if what in some:
                continue
            if value != expected[what]:
                raise InputError(
                    f"{dataset.name}: the part '{name}': wanted {what} as in 'train', "
                    f"{expected[what]}, found {value}; give parts of the same systems"
                )
        try:
            cut(part, steps)
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
        "walls": None if part.walls is None else part.walls.tolist(),
    }
