"""What the training of a learned simulator was told, and the data that it is evaluated on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gnsim.config import as_mapping
from gnsim.datasets import SOURCES, SYSTEMS, Dataset, dynamics
from gnsim.dynamics import Hamiltonian
from gnsim.errors import InputError
from gnsim.recipe import check_alike
from gnsim.source_recipe import Origin, SourceRecipe
from gnsim.training.simulator_config import SimulatorConfig


@dataclass(frozen=True)
class SimulatorSettings:
    """All settings of the training of a simulator."""

    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)


@dataclass(frozen=True)
class SimulatorRecipe(SourceRecipe[SimulatorSettings]):
    """A source, a seed, and how a simulator is trained on it."""

    kind = SimulatorSettings

    @classmethod
    def require_kind(cls, folder: Path, origin: Origin) -> None:
        if not origin.simulator:
            raise InputError(
                f"{folder}: holds a model of pairs, which gnsim rollout and gnsim distill are for; "
                "name a folder that gnsim train --model wrote"
            )

    def check_data(self, dataset: Dataset) -> None:
        check_alike(dataset, self.config.simulator.span)

    @property
    def true_hamiltonian(self) -> Hamiltonian | None:
        """The true H of a simulated source; None where nobody knows it, or energy is not kept."""
        if self.source not in SYSTEMS:
            return None
        moving = dynamics(self.source, **asdict(self.data))
        return moving if isinstance(moving, Hamiltonian) else None

    def elsewhere(self, source: str | None, settings: Sequence[str]) -> "SimulatorRecipe":
        """The same with other data: of `source`, or this one with other ``data.KEY`` settings.

        The seed of simulated data of this source is the next one unless they name it: those of the
        same seed could be among what was trained on.

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
        if source is not None and not self._is_own(source):
            return SimulatorRecipe.of(source, self.seed, settings)
        if not settings and (source is None or self.source not in SYSTEMS):
            return self
        if self.source not in SOURCES:
            raise InputError(
                f"setting '{settings[0].partition('=')[0]}': wanted none with the file of the "
                "training, which would be split anew, its test part into what was trained on; "
                "give other data with --on"
            )
        return self._with(settings)

    def _is_own(self, source: str) -> bool:
        if source in SOURCES or self.source in SOURCES:
            return source == self.source
        return Path(source).resolve() == Path(self.source).resolve()

    def _with(self, settings: Sequence[str]) -> "SimulatorRecipe":
        """This built-in source with other settings; itself where they are its own."""
        mine = [f"data.{k}={v}" for k, v in as_mapping(self.data).items() if v is not None]
        seeded = self.source in SYSTEMS
        other = [f"data.seed={self.data.seed + 1}"] if seeded else []
        there = SimulatorRecipe.of(self.source, self.seed, [*mine, *other, *settings])
        if there.data == self.data:
            return self
        if seeded and there.data.seed == self.data.seed:
            raise InputError(
                f"data.seed: wanted another than {self.data.seed}, that of the training, for its "
                "trajectories could be among these; leave it out for the next one"
            )
        return there
