"""Hidden couplings: linear in the acceleration, canonical in the Hamiltonian, read as masses."""

import pytest
import torch

from gnsim.graph import displacement, distance
from gnsim.integrators import Leapfrog
from gnsim.metrics import energy_drift
from gnsim.models.coupled import COUPLINGS, CoupledPairs, Structure
from gnsim.models.pairwise import Attributes, PairPotential
from gnsim.simulator import Simulator
from gnsim.state import State

ROUNDING = 1e-12
X = torch.tensor([1.0, 0.3, 2.2], dtype=torch.float64)
couplings = pytest.mark.parametrize("name", COUPLINGS)


class Soft(PairPotential):
    """An attraction without a singularity, so that no encounter is close."""

    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return r / (1 + r.square()) ** 1.5


class Swapped(CoupledPairs):
    """Broken on purpose: the source's number acts where the target's should."""

    def _columns(self, state: State) -> torch.Tensor:
        return super()._columns(state).flip(0)


class SwappedBasis(CoupledPairs):
    """Broken on purpose: the columns of the basis belong to the other body."""

    def basis(self, state: State) -> torch.Tensor:
        other = Swapped(self.pair, self.structure, self.bodies)
        return other.double().basis(state)


def model_of(
    name: str, kind: type[CoupledPairs] = CoupledPairs, x: torch.Tensor = X
) -> CoupledPairs:
    model = kind(Soft(), Structure(name), 3).double()
    strength = torch.tensor([-1.7], dtype=torch.float64)
    model.x = {1: x[2:], 3: x, 4: torch.cat([strength, x])}[model.x.numel()]
    return model


def states(systems: int = 2, mass: bool = False) -> State:
    generator = torch.Generator().manual_seed(2)
    q, p = (torch.randn(3 * systems, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    own = 0.5 + torch.rand(3 * systems, generator=generator, dtype=torch.float64)
    attributes = {"mass": own} if mass else {}
    return State(q, 0.3 * p, torch.arange(systems).repeat_interleave(3), attributes)


def basis_defect(model: CoupledPairs, state: State) -> float:
    """From the derivative of the acceleration by the numbers x."""

    def acceleration(x: torch.Tensor) -> torch.Tensor:
        model.x = x
        return model.force(state) / state.mass[:, None]

    x = model.x.clone()
    expected = torch.autograd.functional.jacobian(acceleration, x)
    model.x = x
    return float((model.basis(state) - expected).abs().max() / expected.abs().max())


@couplings
@pytest.mark.parametrize("mass", [False, True])
def test_the_basis_is_the_derivative_of_the_acceleration(name: str, mass: bool) -> None:
    assert basis_defect(model_of(name), states(mass=mass)) < ROUNDING


@pytest.mark.parametrize("name", ["source", "response"])
def test_swapped_columns_of_the_basis_are_seen(name: str) -> None:
    assert basis_defect(model_of(name, SwappedBasis), states()) > 0.01


@couplings
def test_strengths_of_each_pair_sum_to_the_acceleration(name: str) -> None:
    model, state = model_of(name), states()
    plain = model_of("none", x=torch.ones(3, dtype=torch.float64)).force(state)
    found = model.of_each_pair(state).sum(2) * state.mass[:, None]
    assert (found - plain).abs().max() < ROUNDING


def test_whose_number_enters() -> None:
    pull = float(Soft().force(torch.tensor([2.0]).double(), {}, {}))
    state = State(
        torch.tensor([[0.0, 0.0], [2.0, 0.0]], dtype=torch.float64),
        torch.zeros(2, 2, dtype=torch.float64),
        torch.zeros(2, dtype=torch.long),
    )
    expected = {"source": [3.0, -5.0], "response": [5.0, -3.0]}
    for name, (first, second) in expected.items():
        model = CoupledPairs(Soft(), Structure(name), 2).double()
        model.x = torch.tensor([5.0, 3.0], dtype=torch.float64)
        found = model.force(state)[:, 0].tolist()
        assert found == pytest.approx([first * pull, second * pull])


@couplings
def test_hamiltonian_moves_alike(name: str) -> None:
    model, state = model_of(name), states()
    canonical = model.canonical()
    attached = canonical.attach(state)
    assert (attached.velocity - state.velocity).abs().max() < ROUNDING
    found = canonical.force(attached) / attached.mass[:, None]
    assert (found - model.force(state)).abs().max() < ROUNDING


def energy_error(model: CoupledPairs, dt: float) -> float:
    """Of the model's own motion in velocities, by the energy of its canonical form."""
    times = torch.arange(0, 4, dt, dtype=torch.float64)
    path = Simulator(model, Leapfrog()).rollout(states(1), times)
    return float(energy_drift(model.canonical(), path).largest.max())


@couplings
def test_its_energy_is_that_of_the_motion(name: str) -> None:
    coarse, fine = (energy_error(model_of(name), dt) for dt in (0.1, 0.05))
    assert fine < 5e-3
    assert coarse / fine == pytest.approx(4, rel=0.2)  # leapfrog's order, down to nothing


@pytest.mark.parametrize("name", ["source", "response"])
def test_with_source_and_target_swapped_it_is_not(name: str) -> None:
    assert energy_error(model_of(name, Swapped), 0.05) > 0.02


def test_masses_are_in_units_of_the_heaviest() -> None:
    hidden, strength = model_of("source").hidden()
    assert hidden["mass"].tolist() == pytest.approx([1 / 2.2, 0.3 / 2.2, 1.0])
    assert float(strength) == pytest.approx(2.2)
    hidden, strength = model_of("response").hidden()
    assert hidden["mass"].tolist() == pytest.approx([0.3, 1.0, 0.3 / 2.2])
    assert float(strength) == pytest.approx(0.3)
    hidden, strength = model_of("none").hidden()
    assert hidden == {}
    assert float(strength) == 2.2


def test_charges_are_in_units_of_the_largest() -> None:
    hidden, strength = model_of("charges", x=X * torch.tensor([1.0, 1.0, -1.0])).hidden()
    assert hidden["charge"].tolist() == pytest.approx([1 / 2.2, 0.3 / 2.2, -1.0])
    assert float(strength) == pytest.approx(-1.7 * 2.2**2)


@pytest.mark.parametrize("name", ["source", "response"])
def test_repulsion_is_in_the_strength(name: str) -> None:
    attractive, repulsive = model_of(name).hidden(), model_of(name, x=-X).hidden()
    assert torch.equal(attractive[0]["mass"], repulsive[0]["mass"])
    assert float(attractive[1]) == -float(repulsive[1])


@pytest.mark.parametrize("name", ["source", "response"])
@pytest.mark.parametrize("least", [0.0, -1e-9])
def test_what_data_leave_at_zero_harms_no_other_body(name: str, least: float) -> None:
    """A weightless source, or a body too heavy to be seen to move."""
    x = torch.tensor([1.0, least, 2.2], dtype=torch.float64)
    model = model_of(name, x=x)
    mass = model.hidden()[0]["mass"]
    assert torch.isfinite(mass).all()
    assert (mass > 0).all()
    canonical, state = model.canonical(), states()
    attached = canonical.attach(state)
    found = canonical.force(attached) / attached.mass[:, None]
    assert (found - model.force(state)).abs().max() < 1e-8


@couplings
def test_messages_times_their_factor_are_the_pair_forces(name: str) -> None:
    model, state = model_of(name), states()
    messages = model.messages(state)
    canonical = model.canonical()
    attached = canonical.attach(state)
    r = distance(displacement(attached.q, attached.pairs))
    source, target = attached.ends
    factor = {
        "mass_i*mass_j": lambda: source["mass"] * target["mass"],
        "charge_i*charge_j": lambda: source["charge"] * target["charge"],
        "1": lambda: 1.0,
    }
    expected = canonical.pair.force(r, source, target)
    assert torch.equal(messages.r, r)
    assert (messages.force * factor[messages.factor]() - expected).abs().max() < ROUNDING
    assert (messages.factor == "1") == (name not in ("source", "charges"))


@couplings
def test_shares_add_up(name: str) -> None:
    """Each body's edges bring all that pulls at it, and an edge counts where it brings more."""
    model, state = model_of(name), states()
    share, (source, target) = model.messages(state).share, state.pairs
    assert bool((share > 0).all() and (share <= 1 + ROUNDING).all())
    total = torch.zeros(6, dtype=torch.float64)
    total = total.index_add(0, source, share).index_add(0, target, share)
    assert (total >= 1 - ROUNDING).all()
    alone = CoupledPairs(Soft(), Structure(name), 2).double()
    alone.x = alone.x + 0.4
    two = State(state.q[:2], state.p[:2], state.batch[:2])
    assert alone.messages(two).share.tolist() == pytest.approx([1.0])


def test_another_number_of_bodies_is_refused() -> None:
    state = states(1)
    four = State(state.q[[0, 1, 2, 0]] + 1, state.p[[0, 1, 2, 0]], torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="3 values were inferred"):
        model_of("source").canonical().attach(four)
