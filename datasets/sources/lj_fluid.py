"""A Lennard-Jones fluid in a periodic box, moved by OpenMM on its reference platform (float64).

Reduced units: the depth of the well, the distance where V is zero and the mass are one. The force
is switched off smoothly up to the cut-off. Velocity Verlet keeps energy: over 1,500 steps (300
frames) it swings by 1e-4 of the kinetic energy and drifts by 4e-6 of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gnsim.datasets.engines import engine
from gnsim.datasets.settings import positive, require, whole
from gnsim.datasets.sources.particles import ParticleSettings, Run, particles, together
from gnsim.datasets.systems.samplers import stream
from gnsim.state import Trajectory

#: longest time step
_STEP = 0.002
#: share of the cut-off from which on the force is switched off
_SWITCH = 0.8
#: times of equilibration, each ended by a rescaling of velocities, and how long each takes
_RESCALED, _BETWEEN = 50, 0.2


@dataclass(frozen=True)
class FluidSettings(ParticleSettings):
    """Number of atoms, their density and temperature, and the cut-off of the force."""

    trajectories: int = 10
    frames: int = 500
    interval: float = 0.01
    bodies: int = 128
    dim: int = 3
    density: float = 0.8
    temperature: float = 1.0
    cutoff: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.bodies, "bodies", 2)
        require(self.dim in (2, 3), "dim", "2 or 3", self.dim)
        for name in ("density", "temperature", "cutoff"):
            positive(getattr(self, name), name)
        wanted = f"at most half of the box of {self.bodies} atoms, {self.side / 2:.4g}"
        require(2 * self.cutoff <= self.side, "cutoff", wanted, self.cutoff)

    @property
    def side(self) -> float:
        """Of the box."""
        return (self.bodies / self.density) ** (1 / self.dim)


class Fluid:
    """The atoms in OpenMM, whose nm, ps, amu and kJ/mol are coherent: all are one here.

    In the plane they have a third coordinate that stays zero.
    """

    def __init__(self, settings: FluidSettings, openmm: Any) -> None:
        self.openmm, self.dim = openmm, settings.dim
        self.steps = int(np.ceil(settings.interval / _STEP))
        step = settings.interval / self.steps
        self.integrator = openmm.CustomIntegrator(step)
        self.integrator.addComputePerDof("v", "v + 0.5 * dt * f / m")
        self.integrator.addComputePerDof("x", "x + dt * v")
        self.integrator.addComputePerDof("v", "v + 0.5 * dt * f / m")
        platform = openmm.Platform.getPlatformByName("Reference")
        self.context = openmm.Context(_system(settings, openmm), self.integrator, platform)
        self.rest = round(_BETWEEN / step)

    def place(self, q: Float[np.ndarray, "atoms dim"], v: Float[np.ndarray, "atoms dim"]) -> None:
        flat = ((0, 0), (0, 3 - self.dim))
        self.context.setPositions(np.pad(q, flat))
        self.context.setVelocities(np.pad(v, flat))

    def seen(self) -> tuple[Float[np.ndarray, "atoms dim"], Float[np.ndarray, "atoms dim"]]:
        """Positions, which do not jump at the sides of the box, and velocities at the same time."""
        state = self.context.getState(getPositions=True, getVelocities=True)
        q, v = state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True)
        return q._value[:, : self.dim].copy(), v._value[:, : self.dim].copy()

    def equilibrate(self, temperature: float) -> None:
        """At the end the kinetic energy is that of the temperature, the momentum zero."""
        for _ in range(_RESCALED):
            self.integrator.step(self.rest)
            q, v = self.seen()
            self.place(q, _scaled(v, temperature))


def _system(settings: FluidSettings, openmm: Any) -> Any:
    side = settings.side
    depth = side if settings.dim == 3 else 2 * settings.cutoff
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors((side, 0, 0), (0, side, 0), (0, 0, depth))
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(settings.cutoff)
    force.setUseSwitchingFunction(True)
    force.setSwitchingDistance(_SWITCH * settings.cutoff)
    force.setUseDispersionCorrection(False)
    for _ in range(settings.bodies):
        system.addParticle(1.0)
        force.addParticle(0.0, 1.0, 1.0)
    system.addForce(force)
    return system


def _scaled(
    v: Float[np.ndarray, "atoms dim"], temperature: float
) -> Float[np.ndarray, "atoms dim"]:
    v = v - v.mean(0)
    return v * np.sqrt(temperature / np.square(v).sum() * (v.size - v.shape[1]))


def _start(
    settings: FluidSettings, random: np.random.Generator
) -> tuple[Float[np.ndarray, "atoms dim"], Float[np.ndarray, "atoms dim"]]:
    """Sites of a square or cubic lattice, and velocities of twice the temperature to melt it."""
    per_side = int(np.ceil(settings.bodies ** (1 / settings.dim) - 1e-9))
    sites = np.stack(np.meshgrid(*[np.arange(per_side)] * settings.dim), -1)
    sites = sites.reshape(-1, settings.dim)
    some = random.permutation(len(sites))[: settings.bodies]
    v = random.standard_normal((settings.bodies, settings.dim))
    return sites[some] * settings.side / per_side, _scaled(v, 2 * settings.temperature)


def _run(settings: FluidSettings, random: np.random.Generator, fluid: Fluid) -> Run:
    fluid.place(*_start(settings, random))
    fluid.equilibrate(settings.temperature)
    frames = [fluid.seen()]
    for _ in range(settings.frames - 1):
        fluid.integrator.step(fluid.steps)
        frames.append(fluid.seen())
    q, v = (np.stack(parts) for parts in zip(*frames, strict=True))
    return Run(q, v, {})


def simulated(settings: FluidSettings) -> Trajectory:
    """All boxes of the fluid. Raises InputError without OpenMM."""
    fluid = Fluid(settings, engine("openmm", "lj-fluid"))
    runs = [
        _run(settings, stream(settings.seed, system), fluid)
        for system in range(settings.trajectories)
    ]
    box = torch.full((settings.dim,), settings.side, dtype=torch.float64)
    return together(runs, settings.interval, box=box)


SOURCE = particles(
    "lj-fluid",
    "atoms of a fluid in a periodic box, V = 4 (r^-12 - r^-6) switched off up to cutoff (OpenMM)",
    FluidSettings,
    simulated,
)
