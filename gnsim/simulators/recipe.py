"""What the training of a learned simulator was told."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gnsim.clips import Clips
from gnsim.datasets import Dataset, default_radius
from gnsim.errors import InputError
from gnsim.recipe import Recipe, check_alike
from gnsim.source_recipe import Origin, SourceRecipe, origin_of
from gnsim.training.simulator_config import SimulatorConfig, check_particles, check_radius

RADIUS = "simulator.radius"


@dataclass(frozen=True)
class SimulatorSettings:
    """All settings of the training of a simulator."""

    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)


@dataclass(frozen=True)
class SimulatorRecipe(SourceRecipe[SimulatorSettings]):
    """A source, a seed, and how a simulator is trained on it."""

    kind = SimulatorSettings

    @classmethod
    def of(cls, source: str | Path, seed: int, settings: Sequence[str] = ()) -> "SimulatorRecipe":
        """As `SourceRecipe.of`; a simulator of materials has the radius of the data, if none is
        given and they name one."""
        recipe = super().of(source, seed, settings)
        config = recipe.config.simulator
        given = any(word.startswith(f"{RADIUS}=") for word in settings)
        if given or not config.remembered:
            return recipe
        config = replace(config, radius=default_radius(recipe.source))
        return replace(recipe, config=SimulatorSettings(config))

    @classmethod
    def require_kind(cls, folder: Path, origin: Origin) -> None:
        if not origin.simulator:
            raise InputError(
                f"{folder}: holds a network of pairs, or was meant for one; name another folder"
            )

    def check_data(self, dataset: Dataset) -> None:
        config = self.config.simulator
        if config.remembered:
            check_alike(dataset, config.remembered + 1, Clips)
            check_particles({part: getattr(dataset, part) for part in ("train", "valid", "test")})
        else:
            check_alike(dataset, config.span)
        check_radius(dataset.train, config)


def recipe_in(folder: Path) -> SimulatorRecipe | Recipe:
    """What the run in a folder was told. Raises InputError where there is none."""
    return (SimulatorRecipe if origin_of(folder).simulator else Recipe).read(folder)
