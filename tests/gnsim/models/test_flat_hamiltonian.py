"""The flat Hamiltonian network: its force is a gradient, and so its energy stays."""

import pytest
import torch

from gnsim.dynamics import Hamiltonian
from gnsim.integrators import INTEGRATORS
from gnsim.models.flat_hamiltonian import FlatHamiltonian
from gnsim.simulator import Simulator
from gnsim.state import State

ROUNDING = 1e-12


def model() -> FlatHamiltonian:
    generator = torch.Generator().manual_seed(1)
    return FlatHamiltonian(2, ("mass",), 8, generator).double()


def bodies() -> State:
    random = torch.Generator().manual_seed(0)
    q, p = torch.randn(2, 6, 2, generator=random, dtype=torch.float64)
    mass = torch.rand(6, generator=random, dtype=torch.float64) + 0.5
    return State(q, p, torch.tensor([0, 0, 0, 0, 1, 1]), {"mass": mass})


def test_rates_are_the_gradient() -> None:
    network, state = model(), bodies()
    q, p = (x.clone().requires_grad_() for x in (state.q, state.p))
    assert torch.autograd.gradcheck(lambda q, p: network.energy(state.moved(q, p)), (q, p))
    assert torch.autograd.gradgradcheck(lambda q, p: network.energy(state.moved(q, p)), (q, p))
    dq, dp = network.vector_field(state)
    dh = torch.autograd.grad(network.energy(state.moved(q, p)).sum(), (p, q))
    assert torch.allclose(dq, dh[0], rtol=0, atol=ROUNDING)
    assert torch.allclose(dp, -dh[1], rtol=0, atol=ROUNDING)


def test_messages_add_up_to_the_force() -> None:
    network, state = model(), bodies()
    messages = network.messages(state)
    source, target = messages.edge_index
    force = torch.zeros_like(state.q)
    force.index_add_(0, target, messages.vectors).index_add_(0, source, -messages.vectors)
    assert torch.allclose(network.vector_field(state)[1], force, rtol=0, atol=ROUNDING)


class Leaking(Hamiltonian):
    """The same energy with a force that is not its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.network = model()

    def energy(self, state: State) -> torch.Tensor:
        return self.network.energy(state)

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        dq, dp = super().vector_field(state)
        return dq, 1.1 * dp


def drift(dynamics: Hamiltonian) -> float:
    """Largest change of energy in four units of time, relative to what T and V exchange."""
    start = bodies()
    times = torch.linspace(0, 4, 41, dtype=torch.float64)
    path = Simulator(dynamics, INTEGRATORS["rk4"]()).rollout(start, times)
    with torch.no_grad():
        energy = torch.stack([dynamics.energy(state) for state in path])
        still = torch.stack([dynamics.energy(s.moved(s.q, start.p)) for s in path])
    return float((energy - energy[0]).abs().max() / (still - still[0]).abs().max())


def test_energy_is_conserved_only_because_of_that() -> None:
    assert drift(model()) < 1e-5
    assert drift(Leaking()) > 1e-3


def test_it_is_no_business_of_methods_that_drift_by_p_over_m() -> None:
    with pytest.raises(ValueError, match="separable"):
        Simulator(model(), INTEGRATORS["leapfrog"]())
