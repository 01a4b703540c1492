"""Models of vector messages: symmetries, batching, and what messages know."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from gnsim.models.flat_hamiltonian import FlatHamiltonian
from gnsim.models.message_network import NODES, MessageNetwork
from gnsim.models.regularisers import REGULARISERS
from gnsim.models.vector_messages import VectorMessageModel
from gnsim.state import State

ROUNDING = 1e-12
BODIES, DIM, WIDEST, HIDDEN = 4, 2, 7, 8
ATTRIBUTES = ("mass", "charge")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def network(name: str, node: str = "published", dim: int = DIM) -> MessageNetwork:
    kind = REGULARISERS[name]
    model = MessageNetwork(dim, ATTRIBUTES, kind, WIDEST, HIDDEN, generator(), node)
    return model.double().eval()


MODELS: dict[str, Callable[[], VectorMessageModel]] = {
    **{
        f"{name}, {node}": lambda n=name, o=node: network(n, o)
        for name in REGULARISERS
        for node in NODES
    },
    "flat hamiltonian": lambda: FlatHamiltonian(DIM, ATTRIBUTES, HIDDEN, generator()).double(),
}
models = pytest.mark.parametrize("name", MODELS)


def bodies(systems: int = 1, seed: int = 0, dim: int = DIM) -> State:
    random = torch.Generator().manual_seed(seed)
    nodes = systems * BODIES
    q, v = (torch.randn(nodes, dim, generator=random, dtype=torch.float64) for _ in range(2))
    mass, charge = torch.randn(2, nodes, generator=random, dtype=torch.float64)
    batch = torch.arange(systems).repeat_interleave(BODIES)
    mass = mass.exp()
    return State(q, v * mass[:, None], batch, {"mass": mass, "charge": charge})


def part(state: State, nodes: torch.Tensor) -> State:
    attributes = {name: values[nodes] for name, values in state.attributes.items()}
    batch = state.batch[nodes] - state.batch[nodes].min()
    return State(state.q[nodes], state.p[nodes], batch, attributes)


def acceleration(model: VectorMessageModel, state: State) -> torch.Tensor:
    return model.vector_field(state)[1] / state.mass[:, None]


@models
def test_bodies_may_be_renumbered(name: str) -> None:
    model, state = MODELS[name](), bodies()
    order = torch.tensor([2, 0, 3, 1])
    moved = acceleration(model, part(state, order))
    assert torch.allclose(moved, acceleration(model, state)[order], rtol=0, atol=ROUNDING)


@models
def test_accelerations_do_not_depend_on_the_origin(name: str) -> None:
    model, state = MODELS[name](), bodies()
    shifted = replace(state, q=state.q + torch.tensor([3.0, -1.5], dtype=torch.float64))
    change = acceleration(model, shifted) - acceleration(model, state)
    assert change.abs().max() < ROUNDING


def test_absolute_positions_would_be_noticed() -> None:
    class FromOrigin(MessageNetwork):
        def encode(self, state: State):
            return super().encode(replace(state, q=state.q * state.q.norm()))

    kind = REGULARISERS["standard"]
    model = FromOrigin(DIM, ATTRIBUTES, kind, WIDEST, HIDDEN, generator()).double()
    state = bodies()
    change = acceleration(model, replace(state, q=state.q + 3)) - acceleration(model, state)
    assert change.abs().max() > 1e-3


@models
def test_messages_know_no_velocities_though_nodes_do(name: str) -> None:
    model, state = MODELS[name](), bodies()
    boosted = replace(state, p=state.p + state.mass[:, None])
    assert torch.equal(model.messages(boosted).vectors, model.messages(state).vectors)
    if name != "flat hamiltonian":  # its self energy cannot reach the force
        assert not torch.allclose(acceleration(model, boosted), acceleration(model, state))


@models
def test_many_systems_are_as_many_single_ones(name: str) -> None:
    model, state = MODELS[name](), bodies(systems=3)
    single = [part(state, torch.arange(BODIES) + k * BODIES) for k in range(3)]
    apart = torch.cat([acceleration(model, one) for one in single])
    assert torch.allclose(acceleration(model, state), apart, rtol=0, atol=ROUNDING)


@models
def test_nothing_passes_between_systems(name: str) -> None:
    def reach(state: State) -> float:
        q = state.q.clone().requires_grad_()
        first = MODELS[name]().vector_field(replace(state, q=q))[1][:BODIES].sum()
        return float(torch.autograd.grad(first, q)[0][BODIES:].abs().max())

    two = bodies(systems=2)
    assert reach(two) == 0
    assert reach(replace(two, batch=torch.zeros_like(two.batch))) > 0


@pytest.mark.parametrize("name", REGULARISERS)
def test_messages_are_what_arrives(name: str) -> None:
    """The linear node model adds up messages, so that one can do the same by hand."""
    model, state = network(name, "linear"), bodies(systems=2)
    messages = model.messages(state)
    source, target = messages.edge_index
    assert len(messages.vectors) == 2 * BODIES * (BODIES - 1)
    assert torch.equal(messages.displacement, state.q[source] - state.q[target])
    assert torch.equal(messages.source["charge"], state.attributes["charge"][source])
    arrived = torch.zeros(2 * BODIES, messages.vectors.shape[1], dtype=torch.float64)
    arrived.index_add_(0, target, messages.vectors)
    own = torch.stack([state.mass, state.attributes["charge"]], 1)
    alone = model.node.alone(torch.cat([state.velocity, own], 1))
    by_hand = arrived @ model.node.weight + alone
    assert torch.allclose(model.vector_field(state)[1], by_hand, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_bottleneck_is_as_wide_as_space(dim: int) -> None:
    state = bodies(dim=dim)
    assert network("bottleneck", dim=dim).messages(state).vectors.shape[1] == dim
    assert network("l1", dim=dim).messages(state).vectors.shape[1] == WIDEST
