"""Regularisers: every graph counts, noise in training only, and pruning down to the dimension."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from gnsim.models.message_network import MessageNetwork
from gnsim.models.regularisers import REGULARISERS, Encoded, Regulariser, strongest
from gnsim.state import State

BODIES, DIM, WIDEST = 4, 2, 9
EDGES = BODIES * (BODIES - 1)
ROUNDING = 1e-12


def model(kind: Regulariser) -> MessageNetwork:
    generator = torch.Generator().manual_seed(0)
    return MessageNetwork(DIM, ("mass",), kind, WIDEST, 8, generator).double()


def bodies(systems: int, seed: int = 0) -> State:
    random = torch.Generator().manual_seed(seed)
    nodes = systems * BODIES
    q, v = torch.randn(2, nodes, DIM, generator=random, dtype=torch.float64)
    mass = torch.rand(nodes, generator=random, dtype=torch.float64) + 0.5
    return State(q, v, torch.arange(systems).repeat_interleave(BODIES), {"mass": mass})


def single(state: State, system: int) -> State:
    nodes = state.batch == system
    mass = {"mass": state.mass[nodes]}
    return State(state.q[nodes], state.p[nodes], torch.zeros(BODIES, dtype=torch.long), mass)


def of_the_first_graph(
    penalty: Callable[[Encoded], torch.Tensor],
) -> Callable[[Encoded], torch.Tensor]:
    """The published fault: edges of one graph are looked up in a batch of many."""
    return lambda encoded: penalty(encoded)[: EDGES // 2]


def missed(kind: Regulariser) -> float:
    """By how much the penalty of a batch is not the mean of those of its graphs."""
    network, state = model(kind), bodies(5)
    # graphs of other sizes have other penalties
    state = replace(state, q=state.q * (1 + 3 * state.batch[:, None]))
    with torch.no_grad():
        alone = [float(network.penalised_field(single(state, k))[2]) for k in range(5)]
        return abs(float(network.penalised_field(state)[2]) - sum(alone) / 5) / max(alone)


@pytest.mark.parametrize("name", ["l1", "kl"])
def test_every_graph_of_a_batch_is_penalised(name: str) -> None:
    kind = REGULARISERS[name]
    assert missed(kind) < ROUNDING
    assert missed(replace(kind, penalty=of_the_first_graph(kind.penalty))) > 1e-3


def test_penalties_are_those_of_the_paper() -> None:
    mean = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    variance = torch.tensor([[1.0, 4.0], [0.25, 1.0]])
    encoded = Encoded(mean, variance.log())
    assert torch.isclose(
        REGULARISERS["l1"].mean_penalty(encoded), torch.tensor(1e-2 * (3.0 + 0.5) / 2)
    )
    normal = torch.distributions.Normal
    divergence = torch.distributions.kl_divergence(normal(mean, variance.sqrt()), normal(0.0, 1.0))
    expected = divergence.sum(1).mean()
    assert torch.isclose(REGULARISERS["kl"].mean_penalty(encoded), expected)
    assert REGULARISERS["standard"].mean_penalty(encoded) == 0


def test_noise_is_in_training_only() -> None:
    network, state = model(REGULARISERS["kl"]), bodies(2)

    def rates(seed: int) -> torch.Tensor:
        network.noise.manual_seed(seed)
        return network.vector_field(state)[1]

    network.train()
    assert torch.equal(rates(1), rates(1))
    assert not torch.allclose(rates(1), rates(2))
    messages = network.messages(state).vectors
    assert torch.equal(network.messages(state).vectors, messages)
    network.eval()
    assert torch.equal(rates(1), rates(2))
    assert torch.equal(network.messages(state).vectors, messages)


@pytest.mark.parametrize("name", ["standard", "l1", "bottleneck", "pruning"])
def test_the_others_have_no_noise(name: str) -> None:
    network, state = model(REGULARISERS[name]), bodies(1)
    assert torch.equal(
        network.train().vector_field(state)[1], network.eval().vector_field(state)[1]
    )


def test_pruning_narrows_messages_to_the_dimension() -> None:
    kind, state = REGULARISERS["pruning"], bodies(10)
    widths = [kind.live(DIM, WIDEST, progress / 20) for progress in range(21)]
    assert widths[0] == WIDEST and widths[-1] == DIM
    assert widths == sorted(widths, reverse=True)
    network = model(kind)
    for progress in (0.0, 0.3, 1.0):
        network.anneal(progress, state)
        alive = (network.messages(state).vectors != 0).any(0)
        assert int(alive.sum()) == kind.live(DIM, WIDEST, progress)


def test_what_is_cut_off_is_weakest_and_stays_off() -> None:
    vectors = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    vectors = vectors * torch.tensor([0.1, 3.0, 0.5, 2.0]) + 10
    assert strongest(vectors, 2).tolist() == [0, 1, 0, 1]
    network, state = model(REGULARISERS["pruning"]), bodies(10)
    network.anneal(1.0, state)
    live = network.live.clone()
    network.anneal(0.0, bodies(10, seed=1))
    assert torch.equal(network.live, live)
