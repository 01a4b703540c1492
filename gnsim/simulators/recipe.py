"""What the training of a learned simulator was told, and the data that it is evaluated on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from gnsim.datasets import SYSTEMS, Dataset, dynamics
from gnsim.dynamics import Hamiltonian
from gnsim.errors import InputError
from gnsim.recipe import check_alike
from gnsim.source_recipe import Origin, SourceRecipe
from gnsim.training.simulator import SimulatorConfig


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

        With other settings, the seed of simulated data is the next one unless they name it: those
        of the same seed could be among what was trained on.

        Raises:
            InputError: settings that are not of the data.
        """
        for setting in settings:
            if not setting.startswith("data."):
                raise InputError(
                    f"setting '{setting.partition('=')[0]}': wanted data.KEY=VALUE, for the "
                    "simulator is trained; to change it, train into another folder"
                )
        if source is not None:
            return SimulatorRecipe.of(source, self.seed, settings)
        if not settings:
            return self
        seeded = any(f.name == "seed" for f in fields(self.data)) and self.source in SYSTEMS
        mine = [f"data.{k}={v}" for k, v in asdict(self.data).items() if v is not None]
        other = [f"data.seed={self.data.seed + 1}"] if seeded else []
        return SimulatorRecipe.of(self.source, self.seed, [*mine, *other, *settings])
