"""Hamilton's equations from the scalar, and their signs."""

import torch

from gnsim.dynamics import SeparableHamiltonian
from gnsim.invariants import total
from gnsim.state import State
from gnsim.testing import HarmonicOscillator, NonSeparable, make_state


class SpringByAutograd(SeparableHamiltonian):
    def potential(self, state: State) -> torch.Tensor:
        return total(state, 0.5 * state.q.square()).sum(-1)


STATE = make_state([[0.8], [0.3]], [[0.6], [-0.2]], mass=[1.0, 2.0])


def test_force_is_minus_the_gradient() -> None:
    assert torch.equal(SpringByAutograd().force(STATE), HarmonicOscillator().force(STATE))


def test_vector_field_of_a_separable_hamiltonian() -> None:
    dq, dp = SpringByAutograd().vector_field(STATE)
    assert torch.equal(dq, STATE.p / torch.tensor([[1.0], [2.0]]))
    assert torch.equal(dp, -STATE.q)


def test_vector_field_of_a_general_hamiltonian() -> None:
    with torch.no_grad():
        dq, dp = NonSeparable().vector_field(STATE)
    assert torch.allclose(dq, (STATE.q.square() + 1) * STATE.p)
    assert torch.allclose(dp, -(STATE.p.square() + 1) * STATE.q)
    assert not dq.requires_grad


def test_vector_field_can_be_differentiated_again() -> None:
    q = STATE.q.clone().requires_grad_()
    dq, _ = NonSeparable().vector_field(STATE.moved(q, STATE.p))
    (gradient,) = torch.autograd.grad(dq.sum(), q)
    assert torch.allclose(gradient, 2 * STATE.q * STATE.p)


def test_energies_of_systems_are_apart() -> None:
    state = State(STATE.q, STATE.p, torch.tensor([0, 1]))
    assert HarmonicOscillator().energy(state).shape == (2,)
