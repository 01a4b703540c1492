"""True laws as dynamics, with samplers of initial states and accurate trajectories."""

from functools import partial
from typing import Any

from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.settings import settings_from, unknown
from gnsim.datasets.splits import split
from gnsim.datasets.systems.fields import FIELDS
from gnsim.datasets.systems.heavy_star import HEAVY_STAR
from gnsim.datasets.systems.observation import observed
from gnsim.datasets.systems.published import PUBLISHED
from gnsim.datasets.systems.simulation import simulated
from gnsim.datasets.systems.system import System
from gnsim.datasets.systems.wells import WELLS
from gnsim.models.pairwise import Driven, PairwiseHamiltonian
from gnsim.state import Trajectory

SYSTEMS: dict[str, System] = {
    system.name: system for system in (*PUBLISHED, *FIELDS, *WELLS, HEAVY_STAR)
}


def simulate(name: str, **settings: Any) -> Trajectory:
    """Trajectories of a system of `SYSTEMS` as one batch, in float64 without units.

    `settings` are those of the system: ``trajectories, bodies, dim, frames, interval, seed,
    equal_masses, noise, velocities`` and the constants of its law. Raises ValueError for an
    unknown name or setting, and RuntimeError where no trajectories are found that keep energy.
    """
    system = _system(name)
    chosen: Any = settings_from(system.settings, name, settings)
    return _whole(system, chosen)


def _whole(system: System, settings: Any) -> Trajectory:
    return observed(simulated(system, settings).path, settings)


def dynamics(name: str, **settings: Any) -> PairwiseHamiltonian | Driven:
    """What moves a system of `SYSTEMS`, for the same `Simulator` as any other."""
    system = _system(name)
    return system.dynamics(settings_from(system.settings, name, settings))


def hamiltonian(name: str, **settings: Any) -> PairwiseHamiltonian:
    """The true Hamiltonian of a system of `SYSTEMS`, without forces that depend on velocities."""
    moving = dynamics(name, **settings)
    return moving.hamiltonian if isinstance(moving, Driven) else moving


def _system(name: str) -> System:
    if name not in SYSTEMS:
        raise unknown("system", name, SYSTEMS)
    return SYSTEMS[name]


def source(system: System) -> Source:
    """A system as a source of data sets: simulated, then split by trajectory."""

    def build(settings: Any) -> Dataset:
        truth = simulated(system, settings)
        train, valid, test = split(observed(truth.path, settings), settings.seed)
        return Dataset(
            system.name,
            train,
            valid,
            test,
            "; ".join(filter(None, (system.description, truth.remark))),
            law=system.law(settings),
            terms=system.terms(settings),
            constants=system.constants(settings),
        )

    return Source(system.name, system.description, system.settings, build, partial(_whole, system))
