"""True laws as Hamiltonians, with samplers of initial states and accurate trajectories."""

from typing import Any

from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.settings import settings_from, unknown
from gnsim.datasets.splits import split
from gnsim.datasets.systems.pairs import PAIRS
from gnsim.datasets.systems.system import System
from gnsim.datasets.systems.truth import integrate
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.state import Trajectory

SYSTEMS: dict[str, System] = {system.name: system for system in PAIRS}


def simulate(name: str, **settings: Any) -> Trajectory:
    """Trajectories of a system of `SYSTEMS` as one batch, in float64 without units.

    `settings` are those of the system: ``trajectories, bodies, dim, frames, interval, seed``,
    ``equal_masses`` and the constants of its law. Raises ValueError for an unknown name or
    setting, and RuntimeError where the energy of the result is not conserved.
    """
    system = _system(name)
    return _simulated(system, settings_from(system.settings, name, settings))


def hamiltonian(name: str, **settings: Any) -> PairwiseHamiltonian:
    """The true Hamiltonian of a system of `SYSTEMS`, for the same `Simulator` as any other."""
    system = _system(name)
    return PairwiseHamiltonian(system.pair(settings_from(system.settings, name, settings)))


def _system(name: str) -> System:
    if name not in SYSTEMS:
        raise unknown("system", name, SYSTEMS)
    return SYSTEMS[name]


def _simulated(system: System, settings: Any) -> Trajectory:
    start = system.sample(settings)
    return integrate(
        PairwiseHamiltonian(system.pair(settings)), start, settings.frames, settings.interval
    )


def source(system: System) -> Source:
    """A system as a source of data sets: simulated, then split by trajectory."""

    def build(settings: Any) -> Dataset:
        train, valid, test = split(_simulated(system, settings), settings.seed)
        law = system.law(settings)
        return Dataset(system.name, train, valid, test, system.description, law=law)

    return Source(system.name, system.description, system.settings, build)
