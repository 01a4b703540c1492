"""Every integrator converges at the order it names, on three problems with exact solutions."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch

from gnsim.dynamics import Hamiltonian
from gnsim.integrators import INTEGRATORS, AdaptiveRungeKutta, Integrator, Yoshida6
from gnsim.integrators.symplectic import Composition
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.state import State
from gnsim.testing import Gravity, HarmonicOscillator, Pendulum, kepler, make_state

SLOPE_TOLERANCE = 0.1
SPAN = 1.0
# where the error is neither still curved nor already rounding
STEPS = {
    1: (40, 60, 80, 120),
    2: (16, 24, 32, 48),
    3: (20, 30, 40, 60),
    4: (16, 20, 24, 32),
    6: (6, 8, 10, 12),
    8: (3, 4, 5, 6),
}
FIXED = [name for name, kind in INTEGRATORS.items() if not issubclass(kind, AdaptiveRungeKutta)]
ADAPTIVE = [name for name in INTEGRATORS if name not in FIXED]


class Problem(NamedTuple):
    hamiltonian: Hamiltonian
    start: State
    exact: Callable[[float], State]
    refinement: int


def harmonic() -> Problem:
    system, start = HarmonicOscillator(), make_state([[1.0]], [[0.5]])
    return Problem(system, start, lambda t: system.exact(start, t), 1)


def pendulum() -> Problem:
    system, start = Pendulum(), make_state([[1.5]], [[0.0]])
    return Problem(system, start, lambda t: system.exact(start, t), 1)


def two_bodies() -> Problem:
    # off the pericentre: a span that is symmetric about an apsis lets odd errors cancel
    return Problem(PairwiseHamiltonian(Gravity()), kepler(1.4), lambda t: kepler(1.4 + t), 2)


PROBLEMS = {"harmonic": harmonic, "pendulum": pendulum, "kepler": two_bodies}


def error(integrator: Integrator, problem: Problem, steps: int) -> float:
    state = problem.start
    with torch.no_grad():
        for _ in range(steps):
            state = integrator.step(problem.hamiltonian, state, SPAN / steps)
    exact = problem.exact(SPAN)
    return float(torch.cat([state.q - exact.q, state.p - exact.p]).norm())


def measured_order(integrator: Integrator, problem: Problem) -> float:
    steps = [n * problem.refinement for n in STEPS[integrator.order]]
    errors = [error(integrator, problem, n) for n in steps]
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", FIXED)
def test_error_falls_with_the_order_of_the_step(name: str, problem: str) -> None:
    integrator = INTEGRATORS[name]()
    order = measured_order(integrator, PROBLEMS[problem]())
    assert order == pytest.approx(integrator.order, abs=SLOPE_TOLERANCE)


class Misprinted6(Composition):
    """`Yoshida6` with one weight wrong in its fifth digit."""

    order = 6
    force_evaluations = 7
    kicks = (*Yoshida6.kicks[:2], Yoshida6.kicks[2] + 1e-5, *Yoshida6.kicks[3:])
    drifts = Yoshida6.drifts


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_misprinted_coefficient_is_seen(problem: str) -> None:
    assert abs(measured_order(Misprinted6(), PROBLEMS[problem]()) - 6) > 10 * SLOPE_TOLERANCE


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ADAPTIVE)
def test_error_of_adaptive_methods_follows_the_tolerance(name: str, problem: str) -> None:
    for tolerance in (1e-5, 1e-7, 1e-9, 1e-11):
        integrator = INTEGRATORS[name](rtol=tolerance, atol=tolerance)
        assert error(integrator, PROBLEMS[problem](), 1) < 50 * tolerance


@pytest.mark.parametrize("name", FIXED)
def test_force_evaluations_are_as_many_as_named(name: str) -> None:
    calls = 0

    class Counted(HarmonicOscillator):
        def force(self, state: State) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return super().force(state)

    integrator = INTEGRATORS[name]()
    with torch.no_grad():
        integrator.step(Counted(), make_state([[1.0]], [[0.5]]), 0.01)
    if name == "implicit_midpoint":
        assert calls >= integrator.force_evaluations
    else:
        assert calls == integrator.force_evaluations
