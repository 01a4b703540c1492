"""How good a learned simulator is on trajectories that it has not seen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.dynamics import Dynamics, Hamiltonian
from gnsim.metrics import (
    EnergyDrift,
    conservation_error,
    energy_change,
    energy_drift,
    energy_error,
    energy_scale,
    kinetic_scale,
    normalised_position_error,
    quantile,
    rmse_of_systems,
    valid_prediction_time,
)
from gnsim.models.gns import TYPE
from gnsim.particle_metrics import (
    kinetic_energy_mse,
    kinetic_energy_of_positions,
    position_mse,
    sinkhorn_distance,
)
from gnsim.simulators.protocol import RolloutProtocol
from gnsim.simulators.rolling import Tell, followed, lost
from gnsim.simulators.trained import TrainedSimulator
from gnsim.state import Trajectory, Units

#: errors of positions over their spread from which a prediction is not valid, and has diverged
VALID, DIVERGED = 0.4, 10.0
#: steps of an error that LagrangeBench has in its tables
EARLY = 20
#: frames whose clouds of particles are compared, the first among them
_CLOUDS = 11


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


def evaluate(
    trained: TrainedSimulator,
    truth: Trajectory,
    protocol: RolloutProtocol,
    hamiltonian: Hamiltonian | None,
    tell: Tell,
) -> Evaluation:
    """Rolls the simulator out from the first frames of `truth`, in double precision, and measures.

    `hamiltonian` is the true one, where it is known.

    Raises:
        InputError: simulator, protocol and data do not go together.
    """
    path, truth = followed(trained, truth, protocol, tell)
    model = trained.model
    dead = lost(path)
    measures = tuple(_measures(path, truth, hamiltonian, model, dead))
    return Evaluation(
        {**_settings(trained, protocol, truth), "not_finite": int(dead.sum())},
        tuple(_row(*measure) for measure in measures),
        truth,
        dict(_curves(path, truth, hamiltonian, model)),
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


def _measures(
    path: Trajectory,
    truth: Trajectory,
    hamiltonian: Hamiltonian | None,
    model: Dynamics,
    dead: Bool[Tensor, " systems"],
) -> Iterator[tuple[str, str, Tensor]]:
    """Name, unit and the value for each system; times are better the longer they are.

    Errors of the `dead` are infinite, so that no way to die is better than to be wrong.
    """
    for name, unit, values in _errors(path, truth, hamiltonian, model):
        yield name, unit, torch.where(dead | values.isnan(), torch.inf, values)
    diverged = valid_prediction_time(path, truth, DIVERGED)
    yield "diverged", "share", (diverged < truth.t[-1] - truth.t[0]).to(diverged)
    yield "divergence_time", truth.units.time, diverged
    yield "valid_prediction_time", truth.units.time, valid_prediction_time(path, truth, VALID)


def _errors(
    path: Trajectory, truth: Trajectory, hamiltonian: Hamiltonian | None, model: Dynamics
) -> Iterator[tuple[str, str, Tensor]]:
    units = truth.units
    rmse = rmse_of_systems(path, truth)
    yield "q_rmse", units.length, rmse.q
    yield "p_rmse", _unit_of_momentum(units.mass, units.length, units.time), rmse.p
    if hamiltonian is not None:
        error = energy_error(hamiltonian, path, truth)
        yield "energy_rmse", "of max(|H|, T)", error.square().mean(0).sqrt()
        scale = energy_scale(hamiltonian, truth)
        yield from _drift("energy", energy_drift(hamiltonian, path, scale), "max(|H|, T)", units)
    if isinstance(model, Hamiltonian):
        own = energy_drift(model, path, kinetic_scale(truth))
        yield from _drift("own_energy", own, "max T", units)
    if TYPE in truth.attributes:
        yield from _of_a_material(path, truth)
    kept = conservation_error(path, truth)
    if kept.momentum is not None:
        yield "momentum_error", "of sum |p - m V|", kept.momentum
    if kept.angular_momentum is not None:
        yield "angular_momentum_error", "of sum |q - Q| |p - m V|", kept.angular_momentum


def _of_a_material(path: Trajectory, truth: Trajectory) -> Iterator[tuple[str, str, Tensor]]:
    """The measures of LagrangeBench, by the clouds of particles and their motion."""
    units = truth.units
    squares = position_mse(path, truth)[1:]
    early = squares[:EARLY].mean(0)
    area = f"{units.length}^2" if units.length else ""
    yield f"position_mse_{len(squares[:EARLY])}", area, early
    yield "position_mse", area, squares.mean(0)
    frames = torch.linspace(0, len(truth) - 1, min(_CLOUDS, len(truth))).round().long()[1:]
    clouds = [sinkhorn_distance(path[k], truth[k]) for k in frames.tolist()]
    yield "sinkhorn_distance", area, torch.stack(clouds).mean(0)
    largest = kinetic_energy_of_positions(truth).amax(0)
    error = kinetic_energy_mse(path, truth).sqrt() / torch.where(largest > 0, largest, 1.0)
    yield "kinetic_energy_rmse", "of the largest", error


def _drift(
    name: str, drift: EnergyDrift, scale: str, units: Units
) -> Iterator[tuple[str, str, Tensor]]:
    yield f"{name}_change", f"of {scale}", drift.largest
    yield f"{name}_drift", f"of {scale} per {units.time or 'unit of time'}", drift.slope.abs()


def _curves(
    path: Trajectory, truth: Trajectory, hamiltonian: Hamiltonian | None, model: Dynamics
) -> Iterator[tuple[str, Float[Tensor, "time systems"]]]:
    """What is drawn over time, by name."""
    yield "position", normalised_position_error(path, truth)
    if hamiltonian is not None:
        yield "energy", energy_error(hamiltonian, path, truth).abs()
    if isinstance(model, Hamiltonian):
        yield "own energy", energy_change(model, path, kinetic_scale(truth)).abs()


def _row(name: str, unit: str, values: Tensor) -> Row:
    share = 0.01 if name.endswith("_time") else 0.99
    middle, worst = quantile(values, 0.5), quantile(values, share)
    return Row(name, unit, float(values.mean()), float(middle), float(worst))


def _unit_of_momentum(mass: str, length: str, time: str) -> str:
    return f"{mass} {length} / {time}" if mass and length and time else ""
