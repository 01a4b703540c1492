"""One set of checks for every model of pairs: symmetries, batching, derivatives, conservation."""

from collections.abc import Callable

import pytest
import torch

from gnsim.dynamics import Dynamics
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.models.radial import RadialNetwork
from gnsim.state import State

ROUNDING = 1e-12
BODIES = 4
COUPLINGS = torch.tensor([1.0, 0.3, 2.2, 0.7], dtype=torch.float64)


def network(*attributes: str) -> RadialNetwork:
    pair = RadialNetwork(attributes, 8, torch.Generator().manual_seed(5)).double()
    with torch.no_grad():
        pair.linear.bias.fill_(0.8)
    return pair


def coupled(name: str, order: torch.Tensor, *attributes: str) -> CoupledPairs:
    model = CoupledPairs(network(*attributes), Structure(name), BODIES).double()
    model.x = COUPLINGS[order] if model.x.numel() == BODIES else COUPLINGS[2:3]
    return model


#: a model whose hidden numbers, where it has any, belong to the bodies in this order
MODELS: dict[str, Callable[[torch.Tensor], Dynamics]] = {
    "pairwise": lambda order: PairwiseHamiltonian(network("charge", "mass")),
    "none": lambda order: coupled("none", order, "charge", "mass"),
    "response": lambda order: coupled("response", order, "charge"),
    "source": lambda order: coupled("source", order, "charge"),
    "response in canonical form": lambda order: coupled("response", order, "charge").canonical(),
    "source in canonical form": lambda order: coupled("source", order, "charge").canonical(),
}
#: what one body does to another, the other does back, in the momenta of these
NEWTONIAN = ("pairwise", "none", "response in canonical form", "source in canonical form")

models = pytest.mark.parametrize("name", MODELS)


def bodies(seed: int = 0, mass: bool = True) -> State:
    generator = torch.Generator().manual_seed(seed)
    q, v = (torch.randn(BODIES, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    own = 0.5 + torch.rand(BODIES, generator=generator, dtype=torch.float64)
    charge = torch.randn(BODIES, generator=generator, dtype=torch.float64)
    attributes = {"charge": charge} | ({"mass": own} if mass else {})
    batch = torch.zeros(BODIES, dtype=torch.long)
    return State(q, v * own[:, None] if mass else v, batch, attributes)


def made(name: str) -> tuple[Dynamics, State]:
    """A model and a state that it accepts, with its hidden masses attached."""
    model = MODELS[name](torch.arange(BODIES))
    return model, model.attach(bodies(mass=name in ("pairwise", "none")))


def acceleration(model: Dynamics, state: State) -> torch.Tensor:
    state = model.attach(state)
    return model.vector_field(state)[1] / state.mass[:, None]


def taken(state: State, order: torch.Tensor) -> State:
    attributes = {name: values[order] for name, values in state.attributes.items()}
    return State(state.q[order], state.p[order], state.batch, attributes)


def union(states: list[State]) -> State:
    batch = torch.arange(len(states)).repeat_interleave(BODIES)
    attributes = {
        name: torch.cat([s.attributes[name] for s in states]) for name in states[0].attributes
    }
    return State(
        torch.cat([s.q for s in states]), torch.cat([s.p for s in states]), batch, attributes
    )


def turn() -> torch.Tensor:
    """A rotation about a skew axis."""
    axis = torch.tensor([[0.0, -0.7, 0.4], [0.7, 0.0, -1.1], [-0.4, 1.1, 0.0]], dtype=torch.float64)
    return torch.matrix_exp(axis)


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() < ROUNDING * (1 + b.abs().max()))


@models
def test_permutation(name: str) -> None:
    model, state = made(name)
    order = torch.tensor([2, 0, 3, 1])
    moved = MODELS[name](order)
    found = acceleration(moved, taken(state, order))
    assert near(found, acceleration(model, state)[order])
    if name not in ("pairwise", "none"):  # hidden numbers that stay behind must be noticed
        bare = {"charge": state.attributes["charge"]}
        bare_state = State(state.q, state.velocity, state.batch, bare)
        behind = acceleration(model, taken(bare_state, order))
        assert not near(behind, acceleration(model, state)[order])


@models
def test_translation_rotation_and_boost(name: str) -> None:
    model, state = made(name)
    expected = acceleration(model, state)
    assert near(acceleration(model, state.moved(state.q + 1.5, state.p)), expected)
    turned = state.moved(state.q @ turn().T, state.p @ turn().T)
    assert near(acceleration(model, turned), expected @ turn().T)
    wind = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    boosted = state.moved(state.q, state.p + wind * state.mass[:, None])
    assert near(acceleration(model, boosted), expected)
    assert near(model.vector_field(boosted)[0], state.velocity + wind)


class Pinned(CoupledPairs):
    """Broken on purpose: the origin and the x axis are special, and so is rest."""

    def force(self, state: State) -> torch.Tensor:
        return super().force(state) + 1e-6 * (state.q * state.q[:, :1] + state.p)


def test_a_model_with_a_special_place_is_seen() -> None:
    model, state = Pinned(network("charge", "mass"), Structure("none"), BODIES).double(), bodies()
    expected = acceleration(model, state)
    assert not near(acceleration(model, state.moved(state.q + 1.5, state.p)), expected)
    assert not near(acceleration(model, state.moved(state.q, state.p + 1.0)), expected)
    turned = state.moved(state.q @ turn().T, state.p @ turn().T)
    assert not near(acceleration(model, turned), expected @ turn().T)


@models
def test_batched_systems_are_each_alone(name: str) -> None:
    model, _ = made(name)
    states = [model.attach(bodies(seed, name in ("pairwise", "none"))) for seed in range(3)]
    together = union(states)
    assert near(acceleration(model, together), torch.cat([acceleration(model, s) for s in states]))
    q = together.q.clone().requires_grad_()
    first = model.vector_field(together.moved(q, together.p))[1][:BODIES]
    (gradient,) = torch.autograd.grad(first.square().sum(), q)
    assert gradient[BODIES:].abs().max() == 0
    assert gradient[:BODIES].abs().max() > 0


def test_systems_that_touch_are_seen() -> None:
    model, _ = made("pairwise")
    together = union([bodies(0), bodies(1)])
    touching = State(together.q, together.p, torch.zeros_like(together.batch), together.attributes)
    assert not near(acceleration(model, touching), acceleration(model, together))


@models
def test_first_and_second_derivatives(name: str) -> None:
    model, state = made(name)

    def force(q: torch.Tensor) -> torch.Tensor:
        return model.vector_field(state.moved(q, state.p))[1]

    q = state.q.clone().requires_grad_()
    assert torch.autograd.gradcheck(force, q)
    assert torch.autograd.gradgradcheck(force, q)


@models
def test_net_force_and_torque(name: str) -> None:
    model, state = made(name)
    force = model.vector_field(state)[1].detach()
    net, torque = force.sum(0), torch.linalg.cross(state.q, force).sum(0)
    scale = ROUNDING * float(force.abs().max())
    if name in NEWTONIAN:
        assert net.abs().max() < 10 * scale
        assert torque.abs().max() < 10 * scale
    else:  # velocities stand for momenta there, so that the sums mean nothing
        assert net.abs().max() > 1e6 * scale
        assert torque.abs().max() > 1e6 * scale


@pytest.mark.parametrize("name", [n for n in MODELS if "canonical" in n or n == "pairwise"])
def test_force_is_minus_the_gradient_of_the_potential(name: str) -> None:
    model, state = made(name)
    q = state.q.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.potential(state.moved(q, state.p)).sum(), q)
    assert (model.force(state) + gradient).abs().max() < 1e-9 * gradient.abs().max()
