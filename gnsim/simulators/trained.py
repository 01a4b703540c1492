"""Whatever was trained, as one type to evaluate: a learned simulator, or a network of pairs."""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

from gnsim.dynamics import Dynamics
from gnsim.integrators import Integrator
from gnsim.models.gns import TYPE
from gnsim.models.learned import Learned
from gnsim.models.radial import RadialNetwork
from gnsim.models.state_mlp import StateMLP
from gnsim.state import Trajectory
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import Fitted
from gnsim.training.model_file import written
from gnsim.training.simulator_config import AUTO, method
from gnsim.training.simulator_fit import FittedSimulator

#: the network of pairs among the names of models
PAIRS = "pairs"


@dataclass(frozen=True)
class TrainedSimulator:
    """A model that runs in double precision, and what its training says of how to roll it out.

    It was trained for `dim` dimensions and reads `attributes`; for systems of so many `bodies`, or
    of any number where that is None: `for_other_bodies` says what to do about others. `step` is the
    time of the shortest step of the training, taken in `substeps` of the `integrator`. `settings`
    tell all of the training, and what it found. The model sees so many `remembered` frames before
    the present, and then knows no step but that of the training, nor other `types` of particles.
    """

    name: str
    model: Dynamics
    dim: int
    attributes: tuple[str, ...]
    bodies: int | None
    for_other_bodies: str
    integrator: str
    step: float
    substeps: int
    settings: Mapping[str, Any]
    remembered: int = 0
    types: tuple[int, ...] = ()

    @classmethod
    def of_simulator(cls, fitted: FittedSimulator) -> "TrainedSimulator":
        config, shape = fitted.config, fitted.model.shape
        return cls(
            config.model,
            _precise(fitted.model),
            shape.dim,
            (*shape.attributes, *([TYPE] if shape.types else [])),
            shape.bodies if isinstance(fitted.model, StateMLP) else None,
            "train it anew for these, or a graph network, which runs for any",
            config.integrator,
            config.shortest * fitted.interval,
            config.substeps,
            {**asdict(config), "validation_error": fitted.validation_error},
            config.remembered,
            shape.types,
        )

    @classmethod
    def of_pairs(
        cls, fitted: Fitted, config: TrainingConfig, train: Trajectory
    ) -> "TrainedSimulator":
        """A network of pairs that learned from `train`."""
        model, error = fitted.model, fitted.validation_error
        if not isinstance(model.pair, RadialNetwork):
            raise TypeError(f"wanted a RadialNetwork, found a {type(model.pair).__name__}")
        of_terms = {term.weight for term in model.terms if term.weight}
        told = {
            "structure": written(model.structure),
            "median_relative_error": error if math.isfinite(error) else None,
        }
        return cls(
            PAIRS,
            deepcopy(model).double().canonical(),
            train.dim,
            tuple(sorted({*model.pair.attributes, *of_terms})),
            None if model.coupling.of == "nobody" else model.bodies,
            "a number was inferred for each body of the training",
            config.integrator,
            train.interval,
            config.substeps,
            {"model": PAIRS, **asdict(config), **told},
        )

    @property
    def of_particles(self) -> bool:
        """Whether it is made for materials: it sees a past, or as far as a connectivity radius."""
        return self.remembered > 0 or self.settings.get("radius") is not None

    def method(self, name: str | None) -> Integrator:
        """The integrator of a name; its own for None and ``auto``."""
        return method(self.integrator if name in (None, AUTO) else name, self.model)


def _precise(model: Learned) -> Dynamics:
    """In double precision, but for layers that keep theirs."""
    copy = deepcopy(model)
    return copy if model.keeps_precision else copy.double()
