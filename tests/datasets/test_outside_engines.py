"""Truth against engines that others wrote; skipped where they are not installed."""

import numpy as np
import pytest
import torch

from gnsim.datasets import hamiltonian, simulate

#: of positions: IAS15 and DOP853 both work near rounding
REBOUND = 1e-10
#: of forces in double precision
FORCE = 1e-9
#: of positions: the error of velocity Verlet with 400 steps between frames
VERLET = 1e-7
WRONG = 1e-3


def by_rebound(path, gravity):
    """Positions of the only system of `path` at its times, from its first state."""
    rebound = pytest.importorskip("rebound", reason="rebound is not installed")
    simulation = rebound.Simulation()
    simulation.integrator, simulation.G = "ias15", gravity
    space = torch.zeros(2, path.num_nodes, 3, dtype=path.q.dtype)
    space[0, :, : path.dim], space[1, :, : path.dim] = path.q[0], path.velocity[0]
    for mass, q, v in zip(path.mass, *space, strict=True):
        names = ("m", "x", "y", "z", "vx", "vy", "vz")
        simulation.add(**dict(zip(names, map(float, (mass, *q, *v)), strict=True)))
    found = []
    for t in path.t.tolist():
        simulation.integrate(t)
        found.append([[p.x, p.y, p.z] for p in simulation.particles])
    return torch.tensor(found, dtype=torch.float64)[..., : path.dim]


def test_gravity_agrees_with_rebound():
    path = simulate("r2", trajectories=1, bodies=4, frames=30, interval=0.03, softening=0.0)
    found = by_rebound(path, 1.0)
    assert (found - path.q).abs().max() < REBOUND
    softened = simulate("r2", trajectories=1, bodies=4, frames=30, interval=0.03)
    assert (found - softened.q).abs().max() > WRONG


@pytest.mark.parametrize("dim", [2, 3])
def test_planets_agree_with_rebound(dim):
    path = simulate("nbody", trajectories=1, dim=dim, softening=0.0)
    size = path.q.abs().max()
    assert (by_rebound(path, 1e5) - path.q).abs().max() < REBOUND * size
    assert (by_rebound(path, 1.01e5) - path.q).abs().max() > WRONG * size


ENERGIES = {
    "lennard-jones": "4*((1/r)^12 - (1/r)^6)",
    "charge": "charge1*charge2/(r + 0.01)",
}


def context(openmm, name, path, step):
    """The system of `path` at its first frame; nm, ps, amu and kJ/mol are coherent units."""
    system = openmm.System()
    force = openmm.CustomNonbondedForce(ENERGIES[name])
    force.addPerParticleParameter("charge")
    for mass, charge in zip(path.mass.tolist(), path.attributes["charge"].tolist(), strict=True):
        system.addParticle(mass)
        force.addParticle([charge])
    system.addForce(force)
    verlet = openmm.CustomIntegrator(step)
    verlet.addComputePerDof("v", "v + 0.5*dt*f/m")
    verlet.addComputePerDof("x", "x + dt*v")
    verlet.addComputePerDof("v", "v + 0.5*dt*f/m")
    made = openmm.Context(system, verlet, openmm.Platform.getPlatformByName("Reference"))
    made.setPositions(path.q[0].tolist())
    made.setVelocities(path.velocity[0].tolist())
    return made, verlet


@pytest.mark.parametrize("name", ENERGIES)
def test_atoms_and_charges_agree_with_openmm(name):
    openmm = pytest.importorskip("openmm", reason="openmm is not installed")
    path = simulate(name, trajectories=1, bodies=4, frames=20)
    substeps = 400
    made, verlet = context(openmm, name, path, float(path.t[1]) / substeps)
    state = made.getState(getForces=True)
    force = torch.from_numpy(np.asarray(state.getForces(asNumpy=True)._value))
    true = hamiltonian(name).force(path[0])
    assert (force - true).abs().max() / true.abs().max() < FORCE
    for frame in range(1, len(path)):
        verlet.step(substeps)
        q = made.getState(getPositions=True).getPositions(asNumpy=True)._value
        assert np.abs(q - path.q[frame].numpy()).max() < VERLET
    other = simulate(name, trajectories=1, bodies=4, frames=20, equal_masses=True)
    assert np.abs(q - other.q[-1].numpy()).max() > WRONG
