"""What vector-message models are trained on: the truth misses nothing, by either way of asking."""

import pytest
import torch

from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.integrators import INTEGRATORS
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.models.vector_messages import VectorMessageModel, VectorMessages
from gnsim.training.rates import ExactRates, Misses, ThroughIntegrator, training_loss

SIZES = {"trajectories": 5, "bodies": 3, "dim": 2, "frames": 20, "interval": 0.01}
ROUNDING = 1e-12
#: relative, of two steps of Runge-Kutta of .01
INTEGRATION = 1e-6


class Known(VectorMessageModel):
    """A known Hamiltonian in place of a network."""

    def __init__(self, hamiltonian: PairwiseHamiltonian) -> None:
        super().__init__()
        self.hamiltonian = hamiltonian

    def vector_field(self, state):
        return self.hamiltonian.vector_field(state)

    def penalised_field(self, state):
        return (*self.vector_field(state), torch.tensor(0.25))

    def messages(self, state) -> VectorMessages:
        raise NotImplementedError

    def kick(self, state, dt):
        return self.hamiltonian.kick(state, dt)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def path():
    return simulate("spring", **SIZES)


@pytest.fixture(scope="module")
def exact(path) -> ExactRates:
    return ExactRates(hamiltonian("spring"), path, torch.float64)


def worst(source, model: VectorMessageModel) -> float:
    misses = source.misses(model, 6, generator())
    assert float(misses.penalty) == 0.25
    return float((misses.error.norm(dim=-1) / misses.wanted.norm(dim=-1)).max())


def test_the_truth_misses_no_rate_and_another_law_does(exact) -> None:
    assert worst(exact, Known(hamiltonian("spring"))) < ROUNDING
    assert worst(exact, Known(hamiltonian("spring", stiffness=2.2))) > 0.05


def test_the_truth_misses_no_motion_and_another_law_does(path) -> None:
    source = ThroughIntegrator(path, INTEGRATORS["rk4"](), window=2)
    assert worst(source, Known(hamiltonian("spring"))) < INTEGRATION
    assert worst(source, Known(hamiltonian("spring", stiffness=2.2))) > 0.05


def test_batches_are_states_of_the_trajectory(exact, path) -> None:
    state, acceleration = exact.batch(7, generator())
    assert state.num_systems == 7
    assert torch.equal(state.pairs, type(state)(state.q, state.p, state.batch).pairs)
    again, _ = exact.batch(7, generator())
    other, _ = exact.batch(7, generator(1))
    assert torch.equal(state.q, again.q) and not torch.equal(state.q, other.q)
    for k in range(7):
        nodes = slice(3 * k, 3 * k + 3)
        mass, q = state.mass[nodes], state.q[nodes]
        system = next(s for s in range(5) if torch.equal(path.mass[3 * s : 3 * s + 3], mass))
        of_system = path.q[:, 3 * system : 3 * system + 3]
        frame = int((of_system == q).all(-1).all(-1).nonzero()[0, 0])
        force = hamiltonian("spring").vector_field(path[frame])[1]
        there = (force / path.mass[:, None])[3 * system : 3 * system + 3]
        assert torch.allclose(acceleration[nodes], there)


def test_losses_are_sums_over_components_and_means_over_bodies() -> None:
    error = torch.tensor([[[3.0, -4.0], [0.0, 1.0]]])
    wanted = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
    misses = Misses(error, wanted, torch.tensor(0.5))
    assert torch.isclose(training_loss(misses, "absolute"), torch.tensor((7 + 1) / 2 + 0.5))
    relative = (7 / 0.1 + 1 / (0.1 + 0.3 * 5)) / 2 + 0.5
    assert torch.isclose(training_loss(misses, "relative"), torch.tensor(relative))
