"""What is measured of a rollout beside its truth: a value for each system, and curves over time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

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
    rmse_of_systems,
    valid_prediction_time,
)
from gnsim.particle_metrics import (
    beyond_walls,
    kinetic_energy_mse,
    kinetic_energy_of_positions,
    position_mse,
    sinkhorn_distance,
)
from gnsim.simulators.rolling import lost
from gnsim.state import Trajectory, Units

#: errors of positions over their spread from which a prediction is not valid, and has diverged
VALID, DIVERGED = 0.4, 10.0
#: steps of an error that LagrangeBench has in its tables
EARLY = 20
#: clouds of particles that are compared, of one system and of all: each takes about a second
_CLOUDS, _CLOUDS_OF_ALL = 10, 20

#: name, unit and the value for each system that was looked at
Measure = tuple[str, str, Float[Tensor, " some"]]


@dataclass(frozen=True)
class Compared:
    """A rollout of `model` beside its truth.

    `spread` is the `gnsim.metrics.position_spread` of all held-out frames, of which the truth may
    be the first. `hamiltonian` is the true one, where it is known; `baselines` are other motions
    from the same start; of a `material` are clouds and kinetic energies compared as well.
    """

    path: Trajectory
    truth: Trajectory
    model: Dynamics
    spread: Float[Tensor, " systems"]
    hamiltonian: Hamiltonian | None
    baselines: Mapping[str, Trajectory]
    material: bool

    @cached_property
    def dead(self) -> Bool[Tensor, " systems"]:
        """Which systems did not stay finite."""
        return lost(self.path)


def measures(of: Compared) -> Iterator[Measure]:
    """Times are better the longer they are, all others the smaller.

    Errors of the dead are infinite, so that no way to die is better than to be wrong.
    """
    path, truth, units = of.path, of.truth, of.truth.units
    for name, unit, values in _errors(of):
        yield name, unit, torch.where(of.dead | values.isnan(), torch.inf, values)
        yield from _to_compare(name, unit, of)
    if of.material:
        yield _of_clouds(of)
    diverged = valid_prediction_time(path, truth, DIVERGED, of.spread)
    yield "diverged", "share", (diverged < truth.t[-1] - truth.t[0]).to(diverged)
    yield "divergence_time", units.time, diverged
    valid = valid_prediction_time(path, truth, VALID, of.spread)
    yield "valid_prediction_time", units.time, valid


def _to_compare(name: str, unit: str, of: Compared) -> Iterator[Measure]:
    """The same as a measure of `name`, but of what the rollout is to be held against."""
    if name == "q_rmse":
        for baseline, moved in of.baselines.items():
            yield f"{name}_of_{baseline}", unit, rmse_of_systems(moved, of.truth).q
    if name == "beyond_walls":
        yield f"{name}_of_truth", unit, beyond_walls(of.truth)


def _errors(of: Compared) -> Iterator[Measure]:
    path, truth, units = of.path, of.truth, of.truth.units
    rmse = rmse_of_systems(path, truth)
    yield "q_rmse", units.length, rmse.q
    yield "p_rmse", _unit_of_momentum(units), rmse.p
    if of.hamiltonian is not None:
        error = energy_error(of.hamiltonian, path, truth)
        yield "energy_rmse", "of max(|H|, T)", error.square().mean(0).sqrt()
        drift = energy_drift(of.hamiltonian, path, energy_scale(of.hamiltonian, truth))
        yield from _drift("energy", drift, "max(|H|, T)", units)
    if isinstance(of.model, Hamiltonian):
        own = energy_drift(of.model, path, kinetic_scale(truth))
        yield from _drift("own_energy", own, "max T", units)
    if of.material:
        yield from _of_a_material(path, truth)
    if truth.walls is not None:
        yield "beyond_walls", units.length, beyond_walls(path)
    kept = conservation_error(path, truth)
    if kept.momentum is not None:
        yield "momentum_error", "of sum |p - m V|", kept.momentum
    if kept.angular_momentum is not None:
        yield "angular_momentum_error", "of sum |q - Q| |p - m V|", kept.angular_momentum


def _of_a_material(path: Trajectory, truth: Trajectory) -> Iterator[Measure]:
    """The measures of LagrangeBench, but for that of clouds."""
    squares = position_mse(path, truth)[1:]
    early = squares[:EARLY].mean(0)
    yield f"position_mse_{len(squares[:EARLY])}", truth.units.area, early
    yield "position_mse", truth.units.area, squares.mean(0)
    largest = kinetic_energy_of_positions(truth).amax(0)
    error = kinetic_energy_mse(path, truth).sqrt() / torch.where(largest > 0, largest, 1.0)
    yield "kinetic_energy_rmse", "of the largest", error


def _of_clouds(of: Compared) -> Measure:
    """Their Sinkhorn distance, the mean over a few frames of systems evenly chosen."""
    systems = of.truth.num_systems
    chosen = _even(0, systems - 1, min(systems, _CLOUDS_OF_ALL))
    frames = len(of.truth) - 1
    some = _even(0, frames, 1 + min(frames, _CLOUDS, _CLOUDS_OF_ALL // len(chosen)))[1:]
    path, truth = (x.systems(chosen) for x in (of.path, of.truth))
    apart = [sinkhorn_distance(path[k], truth[k]) for k in some.tolist()]
    values = torch.stack(apart).mean(0)
    worst = torch.where(of.dead[chosen] | values.isnan(), torch.inf, values)
    return "sinkhorn_distance", truth.units.area, worst


def _even(first: int, last: int, count: int) -> Tensor:
    """So many whole numbers."""
    return torch.linspace(first, last, count).round().long()


def _drift(name: str, drift: EnergyDrift, scale: str, units: Units) -> Iterator[Measure]:
    yield f"{name}_change", f"of {scale}", drift.largest
    yield f"{name}_drift", f"of {scale} per {units.time or 'unit of time'}", drift.slope.abs()


def curves(of: Compared) -> Iterator[tuple[str, Float[Tensor, "time systems"]]]:
    """What is drawn over time, by name."""
    path, truth = of.path, of.truth
    yield "position", normalised_position_error(path, truth, of.spread)
    if of.material:
        yield "position MSE", position_mse(path, truth)
    if of.hamiltonian is not None:
        yield "energy", energy_error(of.hamiltonian, path, truth).abs()
    if isinstance(of.model, Hamiltonian):
        yield "own energy", energy_change(of.model, path, kinetic_scale(truth)).abs()


def _unit_of_momentum(units: Units) -> str:
    named = units.mass and units.length and units.time
    return f"{units.mass} {units.length} / {units.time}" if named else ""
