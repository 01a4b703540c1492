"""DOP853 with steps of its own for each system: exact orbits, breaks, and what it refuses."""

import pytest
import torch

from gnsim.datasets.systems.potentials import BrokenSpring, InverseSquare
from gnsim.integrators import DOP853, IntegrationError, Leapfrog
from gnsim.invariants import energy
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.simulator import Simulator
from gnsim.state import State
from gnsim.testing import HarmonicOscillator, make_state

TIGHT = DOP853(tolerance=1e-12)


def orbit(eccentricity: float, systems: int = 1) -> State:
    """Two bodies of mass one at their largest distance 1 + e, semi-major axis and G one."""
    far, slow = 1 + eccentricity, (2 * (1 - eccentricity) / (1 + eccentricity)) ** 0.5
    q = torch.tensor([[0.0, 0.0], [far, 0.0]], dtype=torch.float64)
    p = torch.tensor([[0.0, -slow / 2], [0.0, slow / 2]], dtype=torch.float64)
    return State(
        q.repeat(systems, 1), p.repeat(systems, 1), torch.arange(systems).repeat_interleave(2)
    )


GRAVITY = PairwiseHamiltonian(InverseSquare("mass", -1.0, 0.0))
PERIOD = 2 * torch.pi / 2**0.5


class Counted(PairwiseHamiltonian):
    """A broken spring that counts how often it is asked, and may keep its breaks to itself."""

    def __init__(self, tells: bool) -> None:
        super().__init__(BrokenSpring(2.0, 0.0))
        self.tells, self.count = tells, 0

    def gaps(self, state: State) -> torch.Tensor | None:
        return super().gaps(state) if self.tells else None

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        self.count += 1
        return super().vector_field(state)


def with_mass(state: State) -> State:
    return state.with_attributes({"mass": torch.ones(state.num_nodes, dtype=torch.float64)})


@pytest.mark.parametrize("eccentricity", [0.0, 0.9, 0.99])
def test_an_orbit_closes_after_its_period(eccentricity: float) -> None:
    start = with_mass(orbit(eccentricity))
    end = TIGHT.step(GRAVITY, start, PERIOD)
    torch.testing.assert_close(end.q - end.q[0], start.q - start.q[0], rtol=0, atol=1e-7)
    late = TIGHT.step(GRAVITY, start, 1.001 * PERIOD)
    assert (late.q - late.q[0] - start.q).abs().max() > 1e-5


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e9])
def test_errors_do_not_depend_on_units(unit: float) -> None:
    """Springs, whose motion is the same in any unit of length."""
    hamiltonian = HarmonicOscillator(25.0)
    start = make_state([[unit, 0.0], [0.0, 2 * unit]], [[0.0, 3 * unit], [unit, 0.0]])
    end, exact = TIGHT.step(hamiltonian, start, 4.0), hamiltonian.exact(start, 4.0)
    assert float((end.q - exact.q).abs().max()) < 1e-9 * unit
    assert float((end.q - start.q).abs().max()) > 0.1 * unit


def test_bodies_at_rest_have_a_speed_to_come() -> None:
    hamiltonian = HarmonicOscillator(1.0)
    start = make_state([[1e-9], [0.0]], [[0.0], [0.0]])
    end = TIGHT.step(hamiltonian, start, 1.0)
    torch.testing.assert_close(end.q, hamiltonian.exact(start, 1.0).q, rtol=1e-10, atol=0)


def test_time_runs_backwards() -> None:
    start = with_mass(orbit(0.5))
    back = TIGHT.step(GRAVITY, TIGHT.step(GRAVITY, start, 3.0), -3.0)
    torch.testing.assert_close(back.q, start.q, rtol=0, atol=1e-9)


def test_a_close_encounter_elsewhere_changes_no_bit() -> None:
    calm, wild = with_mass(orbit(0.3)), with_mass(orbit(0.95))
    alone = TIGHT.step(GRAVITY, calm, 2.0)
    both = State(
        torch.cat([calm.q, wild.q]), torch.cat([calm.p, wild.p]), torch.tensor([0, 0, 1, 1])
    )
    together = TIGHT.step(GRAVITY, with_mass(both), 2.0)
    assert torch.equal(together.q[:2], alone.q)
    torch.testing.assert_close(together.q[2:], TIGHT.step(GRAVITY, wild, 2.0).q, rtol=0, atol=1e-12)


def crossing() -> State:
    """Two bodies that swing through the distance 2, at which their spring goes slack."""
    q = torch.tensor([[0.0, 0.0], [1.5, 0.1]], dtype=torch.float64)
    p = torch.tensor([[-0.7, 0.0], [0.7, 0.2]], dtype=torch.float64)
    return with_mass(State(q, p, torch.zeros(2, dtype=torch.long)))


def drift(dynamics: PairwiseHamiltonian, integrator: DOP853 | Leapfrog) -> float:
    times = torch.linspace(0, 6, 13, dtype=torch.float64)
    path = Simulator(dynamics, integrator).rollout(crossing(), times)
    H = torch.stack([energy(dynamics, state) for state in path])
    return float((H - H[0]).abs().max() / H[0].abs())


def test_steps_end_where_a_force_breaks() -> None:
    told, untold = Counted(True), Counted(False)
    assert drift(told, TIGHT) < min(1e-10, drift(untold, TIGHT))
    assert told.count < 0.5 * untold.count
    assert drift(told, Leapfrog()) > 1e-3


def test_a_collision_is_given_up_in_one_line() -> None:
    q = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    falling = with_mass(State(q, torch.zeros_like(q), torch.zeros(2, dtype=torch.long)))
    with pytest.raises(IntegrationError, match=r"system 0 .*soften the force"):
        DOP853(max_num_steps=200).step(GRAVITY, falling, 5.0)


def test_systems_of_different_sizes_are_refused() -> None:
    state = State(torch.rand(5, 2), torch.zeros(5, 2), torch.tensor([0, 0, 1, 1, 1]))
    with pytest.raises(ValueError, match=r"equally many bodies in each system, found \[2, 3\]"):
        TIGHT.step(GRAVITY, state, 1.0)
