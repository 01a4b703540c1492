"""Faults planted on purpose, each in a motion that is otherwise right: a named check sees each."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

import gnsim.graph
import gnsim.models.coupled
import gnsim.models.pairwise
from gnsim.dynamics import Dynamics
from gnsim.integrators import Leapfrog
from gnsim.integrators.symplectic import Composition
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.state import State
from gnsim.testing import Gravity, kepler

MASSES = (1.0, 0.5)
Patch = pytest.MonkeyPatch


def force_is_the_gradient() -> bool:
    hamiltonian, state = PairwiseHamiltonian(Gravity()), kepler(0.3)
    q = state.q.clone().requires_grad_()
    (slope,) = torch.autograd.grad(hamiltonian.potential(state.moved(q, state.p)).sum(), q)
    return bool((hamiltonian.force(state) + slope).abs().max() < 1e-12)


def accelerations_are_keplers() -> bool:
    """``a_i = G m_j (q_j - q_i) / r^3``, written out."""
    state = kepler(0.3)
    d = state.q[1] - state.q[0]
    pull = d / d.norm() ** 3
    expected = torch.stack([MASSES[1] * pull, -MASSES[0] * pull])
    found = PairwiseHamiltonian(Gravity()).vector_field(state)[1] / state.mass[:, None]
    return bool((found - expected).abs().max() < 1e-12)


def velocities_are_momenta_over_masses() -> bool:
    state = kepler(0.3)
    found = PairwiseHamiltonian(Gravity()).vector_field(state)[0]
    expected = state.p / torch.tensor(MASSES, dtype=torch.float64)[:, None]
    return bool((found - expected).abs().max() < 1e-15)


def every_pair_counts_once() -> bool:
    source, target = gnsim.graph.all_pairs(torch.tensor([0, 0, 0, 1, 1]))
    pairs = {frozenset(pair) for pair in zip(source.tolist(), target.tolist(), strict=True)}
    apart = {frozenset(pair) for pair in ((0, 1), (0, 2), (1, 2), (3, 4))}
    return pairs == apart and len(source) == len(apart)


def unlike_bodies_pull_as_they_should() -> bool:
    """Hidden sources: the heavy body barely moves, the light one falls."""
    model = CoupledPairs(PairwiseHamiltonian(Inverse()).pair, Structure("source"), 2).double()
    model.x = torch.tensor([5.0, 3.0], dtype=torch.float64)
    state = kepler(0.0)
    d = state.q[1] - state.q[0]
    expected = torch.stack([3.0 * d, -5.0 * d]) / d.norm() ** 3
    return bool((model.force(State(state.q, state.p, state.batch)) - expected).abs().max() < 1e-12)


def the_orbit_is_keplers() -> bool:
    """After one unit of time the exact solution, to the integrator's accuracy."""
    state, steps = kepler(0.0), 400
    hamiltonian, leapfrog = PairwiseHamiltonian(Gravity()), Leapfrog()
    for _ in range(steps):
        state = leapfrog.step(hamiltonian, state, 1.0 / steps)
    return bool((state.q - kepler(1.0).q).abs().max() < 1e-4)


def steps_run_backwards() -> bool:
    state, hamiltonian = kepler(0.0), PairwiseHamiltonian(Gravity())
    there = Leapfrog().step(hamiltonian, state, 0.1)
    back = Leapfrog().step(hamiltonian, there, -0.1)
    return bool((back.q - state.q).abs().max() < 1e-13)


class Inverse(Gravity):
    """Gravity whose masses are hidden."""

    def force(self, r: torch.Tensor, source: dict, target: dict) -> torch.Tensor:
        return 1 / r.square()


@dataclass(frozen=True)
class Fault:
    """How it is planted, and the checks that must see it."""

    plant: Callable[[Patch], None]
    seen_by: tuple[Callable[[], bool], ...]


def _sign(patch: Patch) -> None:
    right = gnsim.models.pairwise.displacement
    patch.setattr(gnsim.models.pairwise, "displacement", lambda *a: -right(*a))


def _half_step(patch: Patch) -> None:
    """The last half kick of leapfrog is forgotten."""
    right = Composition.step

    def step(self: Composition, dynamics: Dynamics, state: State, dt: float) -> State:
        after = right(self, dynamics, state, dt)
        return after.moved(after.q, after.p - 0.5 * dt * dynamics.vector_field(after)[1])

    patch.setattr(Composition, "step", step)


def _missing_mass(patch: Patch) -> None:
    patch.setattr(State, "velocity", property(lambda state: state.p))


def _self_loop(patch: Patch) -> None:
    right = gnsim.graph.all_pairs

    def pairs(batch: torch.Tensor) -> torch.Tensor:
        return torch.cat([right(batch), torch.arange(len(batch)).repeat(2, 1)], 1)

    patch.setattr(gnsim.graph, "all_pairs", pairs)


def _each_pair_twice(patch: Patch) -> None:
    right = gnsim.graph.all_pairs
    patch.setattr(gnsim.graph, "all_pairs", lambda batch: right(batch).repeat(1, 2))


def _swapped(patch: Patch) -> None:
    right = CoupledPairs._columns
    patch.setattr(CoupledPairs, "_columns", lambda self, state: right(self, state).flip(0))


def _dt_twice(patch: Patch) -> None:
    right = Composition.step
    patch.setattr(Composition, "step", lambda self, h, s, dt: right(self, h, s, 2 * dt))


FAULTS = {
    "sign of the displacement": Fault(_sign, (force_is_the_gradient, accelerations_are_keplers)),
    "half a kick forgotten": Fault(_half_step, (the_orbit_is_keplers, steps_run_backwards)),
    "mass left out of the velocity": Fault(_missing_mass, (velocities_are_momenta_over_masses,)),
    "self-loop": Fault(_self_loop, (every_pair_counts_once,)),
    "each pair twice": Fault(_each_pair_twice, (every_pair_counts_once,)),
    "source and target swapped": Fault(_swapped, (unlike_bodies_pull_as_they_should,)),
    "dt twice": Fault(_dt_twice, (the_orbit_is_keplers,)),
}
CHECKS = sorted({check for fault in FAULTS.values() for check in fault.seen_by}, key=str)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_without_a_fault_every_check_passes(check: Callable[[], bool]) -> None:
    assert check()


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_seen(name: str, monkeypatch: Patch) -> None:
    FAULTS[name].plant(monkeypatch)
    for check in FAULTS[name].seen_by:
        assert not check(), f"{check.__name__} does not see: {name}"
