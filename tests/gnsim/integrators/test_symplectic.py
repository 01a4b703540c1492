"""What is called symplectic keeps the symplectic form and can be run backwards."""

import math

import pytest
import torch

from gnsim.dynamics import Hamiltonian
from gnsim.integrators import INTEGRATORS, RK4, Euler, Leapfrog, Yoshida6
from gnsim.invariants import angular_momentum, energy, momentum
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.state import State
from gnsim.testing import (
    Gravity,
    HarmonicOscillator,
    NonSeparable,
    Pendulum,
    kepler,
    make_state,
    symplectic_defect,
)

SYMPLECTIC = 1e-12
DT = 0.05
SYSTEMS = {
    "harmonic": (
        HarmonicOscillator(2.0),
        make_state([[1.0], [0.3]], [[0.5], [-0.2]], mass=[1.0, 3.0]),
    ),
    "pendulum": (Pendulum(), make_state([[1.5]], [[0.4]])),
    "kepler": (PairwiseHamiltonian(Gravity()), kepler(0.7)),
    "non_separable": (NonSeparable(), make_state([[0.8]], [[0.6]])),
}
CLAIMS = [
    (name, system)
    for name, kind in INTEGRATORS.items()
    for system, (hamiltonian, _) in SYSTEMS.items()
    if kind.symplectic and (hamiltonian.separable or not kind.needs_separable)
]
TWO_BODIES, ORBIT = SYSTEMS["kepler"]


def run(integrator, hamiltonian: Hamiltonian, state: State, dt: float, steps: int) -> State:
    with torch.no_grad():
        for _ in range(steps):
            state = integrator.step(hamiltonian, state, dt)
    return state


@pytest.mark.parametrize(("name", "system"), CLAIMS)
def test_step_keeps_the_symplectic_form(name: str, system: str) -> None:
    hamiltonian, state = SYSTEMS[system]
    integrator = INTEGRATORS[name]()
    assert symplectic_defect(lambda s: integrator.step(hamiltonian, s, DT), state) <= SYMPLECTIC


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("integrator", [Euler(), RK4()])
def test_runge_kutta_does_not(integrator, system: str) -> None:
    hamiltonian, state = SYSTEMS[system]
    defect = symplectic_defect(lambda s: integrator.step(hamiltonian, s, 4 * DT), state)
    assert defect > 1e3 * SYMPLECTIC


def test_implicit_midpoint_has_right_derivatives_at_an_equilibrium() -> None:
    rest = make_state([[0.0]], [[0.0]])
    implicit = INTEGRATORS["implicit_midpoint"]()
    defect = symplectic_defect(lambda s: implicit.step(HarmonicOscillator(), s, DT), rest)
    assert defect <= SYMPLECTIC


@pytest.mark.parametrize("name", [n for n, kind in INTEGRATORS.items() if kind.needs_separable])
def test_explicit_symplectic_methods_refuse_other_hamiltonians(name: str) -> None:
    hamiltonian, state = SYSTEMS["non_separable"]
    with pytest.raises(ValueError, match=r"separable.*NonSeparable.*implicit_midpoint"):
        INTEGRATORS[name]().step(hamiltonian, state, DT)


@pytest.mark.parametrize("name", ["leapfrog", "yoshida4", "yoshida6", "kahan_li6", "kahan_li8"])
def test_symmetric_methods_run_backwards_on_a_regular_motion(name: str) -> None:
    start = make_state([[1.0]], [[0.5]])
    integrator, system, steps = INTEGRATORS[name](), HarmonicOscillator(), 200
    there = run(integrator, system, start, 0.01, steps)
    back = run(integrator, system, there, -0.01, steps)
    assert (there.q - start.q).abs().max() > 0.1
    assert torch.cat([back.q - start.q, back.p - start.p]).abs().max() < 1e-10


def test_leapfrog_runs_backwards_for_long() -> None:
    start = make_state([[1.0]], [[0.5]])
    there = run(Leapfrog(), HarmonicOscillator(), start, 0.01, 10_000)
    back = run(Leapfrog(), HarmonicOscillator(), there, -0.01, 10_000)
    assert torch.cat([back.q - start.q, back.p - start.p]).abs().max() < 1e-10


def three_bodies() -> State:
    q = [[1.0, 0.0, 0.1], [-0.6, 0.7, 0.0], [-0.3, -0.9, -0.1]]
    p = [[0.1, 0.5, 0.0], [-0.4, -0.2, 0.1], [0.3, -0.3, -0.1]]
    return make_state(q, p, mass=[1.0, 0.8, 1.2])


def test_leapfrog_runs_backwards_on_a_chaotic_motion() -> None:
    start = three_bodies()
    there = run(Leapfrog(), TWO_BODIES, start, 0.002, 1_000)
    back = run(Leapfrog(), TWO_BODIES, there, -0.002, 1_000)
    scale = there.q.abs().max()
    assert torch.cat([back.q - start.q, back.p - start.p]).abs().max() < 1e-12 * scale


def test_euler_does_not_run_backwards() -> None:
    start = make_state([[1.0]], [[0.5]])
    there = run(Euler(), HarmonicOscillator(), start, 0.01, 100)
    assert (run(Euler(), HarmonicOscillator(), there, -0.01, 100).q - start.q).abs().max() > 1e-3


def worst_energy(integrator, steps: int, dt: float) -> float:
    system, state = HarmonicOscillator(4.0), make_state([[1.0]], [[0.0]])
    start, worst = float(energy(system, state)), 0.0
    for _ in range(steps):
        state = run(integrator, system, state, dt, 1)
        worst = max(worst, abs(float(energy(system, state)) / start - 1))
    return worst


def test_energy_of_a_spring_stays_within_its_bound() -> None:
    omega, dt = 2.0, 0.01
    bound = (omega * dt) ** 2 / 4
    worst = worst_energy(Leapfrog(), 5_000, dt)
    # the bound is that of rest at the start, where it is reached to higher order
    assert 0.9 * bound < worst <= bound * (1 + (omega * dt) ** 2)


def test_energy_of_a_spring_under_euler_does_not() -> None:
    assert worst_energy(Euler(), 500, 0.01) > 100 * (2.0 * 0.01) ** 2 / 4


@pytest.mark.parametrize("name", ["symplectic_euler", "leapfrog", "yoshida6", "kahan_li8"])
def test_momenta_are_kept_to_rounding(name: str) -> None:
    start = three_bodies()
    end = run(INTEGRATORS[name](), TWO_BODIES, start, 0.005, 250)
    assert (end.q - start.q).abs().max() > 0.1
    assert (momentum(end) - momentum(start)).abs().max() < 1e-11
    assert (angular_momentum(end) - angular_momentum(start)).abs().max() < 1e-11


def test_euler_loses_angular_momentum() -> None:
    start = three_bodies()
    end = run(Euler(), TWO_BODIES, start, 0.005, 250)
    assert (angular_momentum(end) - angular_momentum(start)).abs().max() > 1e-6


def test_kepler_orbit_closes_after_its_period() -> None:
    period = 2 * math.pi / math.sqrt(1.5)
    end = run(Yoshida6(), TWO_BODIES, kepler(0.0), period / 400, 400)
    assert (end.q - kepler(0.0).q).abs().max() < 1e-9


def test_step_can_be_a_tensor_with_a_gradient() -> None:
    state = make_state([[1.0]], [[0.5]])
    for name, kind in INTEGRATORS.items():
        dt = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        kind().step(HarmonicOscillator(), state, dt).q.sum().backward()
        assert dt.grad is not None, name
        assert float(dt.grad) == pytest.approx(0.4, abs=0.1), name
