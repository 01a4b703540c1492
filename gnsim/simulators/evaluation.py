"""How good a learned simulator is on trajectories that it has not seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Hamiltonian
from gnsim.metrics import quantile
from gnsim.models.gns import TYPE
from gnsim.simulators.baselines import baselines
from gnsim.simulators.measures import DIVERGED, VALID, Compared, curves, measures
from gnsim.simulators.protocol import RolloutProtocol
from gnsim.simulators.rolling import Tell, followed, whole_spread
from gnsim.simulators.trained import TrainedSimulator
from gnsim.state import Trajectory


class Row(NamedTuple):
    """One measure over all trajectories. 99 in 100 of them are no worse than `p99`."""

    name: str
    unit: str
    mean: float
    median: float
    p99: float


@dataclass(frozen=True)
class Evaluation:
    """A table of measures, and curves over time of each system to draw."""

    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    truth: Trajectory
    curves: Mapping[str, Float[Tensor, "time systems"]]

    @property
    def diverged(self) -> int:
        """How many trajectories did, those that did not stay finite among them."""
        share = next(row.mean for row in self.rows if row.name == "diverged")
        return round(share * self.truth.num_systems)

    @property
    def systems(self) -> str:
        """How many trajectories of how many bodies, in words."""
        bodies, count = " or ".join(map(str, self.settings["bodies"])), self.truth.num_systems
        trajectories = "1 trajectory" if count == 1 else f"{count} trajectories"
        return f"{trajectories} of {bodies} {'body' if bodies == '1' else 'bodies'}"


def evaluate(
    trained: TrainedSimulator,
    truth: Trajectory,
    protocol: RolloutProtocol,
    hamiltonian: Hamiltonian | None,
    tell: Tell,
) -> Evaluation:
    """Rolls the simulator out from the first frames of `truth`, in double precision, and measures.

    `hamiltonian` is the true one, where it is known. Errors are over the spread of all of `truth`,
    however few of its steps are compared.

    Raises:
        InputError: simulator, protocol and data do not go together.
    """
    path, compared = followed(trained, truth, protocol, tell)
    of = Compared(
        path,
        compared,
        trained.model,
        whole_spread(trained, truth),
        hamiltonian,
        baselines(compared, truth.q[: trained.remembered].to(path.q)),
        trained.of_particles or TYPE in truth.attributes,
    )
    return Evaluation(
        {**_settings(trained, protocol, compared), "not_finite": int(of.dead.sum())},
        tuple(_row(*measure) for measure in measures(of)),
        compared,
        dict(curves(of)),
    )


def _settings(
    trained: TrainedSimulator, protocol: RolloutProtocol, truth: Trajectory
) -> dict[str, Any]:
    """All that the table depends on."""
    return {
        **trained.settings,
        "tested_integrator": type(trained.method(protocol.integrator)).__name__,
        "tested_step": protocol.step(trained),
        "trained_step": trained.step,
        "factor": protocol.factor,
        "states_compared": len(truth) - 1,
        "bodies": sorted(set(truth.batch.bincount().tolist())),
        "trajectories": truth.num_systems,
        "valid_threshold": VALID,
        "divergence_threshold": DIVERGED,
    }


def _row(name: str, unit: str, values: Tensor) -> Row:
    share = 0.01 if name.endswith("_time") else 0.99
    middle, worst = quantile(values, 0.5), quantile(values, share)
    return Row(name, unit, float(values.mean()), float(middle), float(worst))
