"""What is in vector messages: linear maps of the force are seen through, noise is not."""

import pytest
import torch

from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.models.vector_messages import VectorMessages, both_ways
from gnsim.symbolic.message_space import (
    component_variances,
    live_components,
    message_space,
    principal_directions,
    strongest_components,
    true_forces,
)

EXACT = 1e-9
NOTHING = 0.02
EDGES, WIDTH, DIM = 2000, 12, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def force() -> torch.Tensor:
    """With a heavy tail, as close encounters have."""
    return normal(EDGES, DIM) * normal(EDGES, 1, seed=1).exp()


def mapped(width: int = DIM) -> torch.Tensor:
    return force() @ normal(DIM, width, seed=2) + normal(width, seed=3)


def test_a_linear_map_of_the_force_is_seen_through() -> None:
    messages = torch.zeros(EDGES, WIDTH, dtype=torch.float64)
    messages[:, [7, 2, 9]] = mapped()
    space = message_space(messages, force())
    for found in (space.strongest, space.rotated):
        assert min(found.r2, found.robust, found.published) > 1 - EXACT
    assert space.live == DIM
    assert space.variances[DIM:] == (0.0,) * (WIDTH - DIM)


def test_noise_is_no_force() -> None:
    space = message_space(normal(EDGES, WIDTH, seed=5), force())
    for found in (space.strongest, space.rotated):
        assert max(found.r2, found.robust, found.published) < NOTHING
    assert space.live == WIDTH


def test_a_rotation_finds_what_is_spread_over_all_components() -> None:
    turned = torch.linalg.qr(normal(WIDTH, WIDTH, seed=6)).Q
    messages = torch.cat([mapped(), 0.01 * normal(EDGES, WIDTH - DIM, seed=7)], 1) @ turned
    space = message_space(messages, force())
    assert space.live > DIM
    assert space.rotated.r2 > 0.99
    assert space.strongest.published < 1 - EXACT
    assert torch.allclose(principal_directions(messages, WIDTH).var(0).sum(), messages.var(0).sum())


def test_the_tenth_with_the_largest_forces_can_be_left_out() -> None:
    size = force().norm(dim=1)
    huge = (size > size.quantile(0.9))[:, None]
    messages = torch.where(huge, 10 * normal(EDGES, DIM, seed=8), mapped())
    found = message_space(messages, force()).strongest
    assert found.robust > 1 - EXACT
    assert found.r2 < 0.5


def test_components_are_live_from_a_hundredth_of_the_strongest_variance() -> None:
    scales = torch.tensor([1.0, 0.0, 0.2, 3.0, 0.29, 0.31], dtype=torch.float64)
    messages = normal(EDGES, 6)
    messages = (messages - messages.mean(0)) / messages.std(0) * scales
    assert live_components(messages) == 3
    variances = component_variances(messages)
    assert torch.allclose(variances.sqrt(), scales.sort(descending=True).values)
    assert torch.equal(strongest_components(messages, 2), messages[:, [3, 0]])
    assert live_components(torch.zeros(50, 4)) == 0


def test_true_forces_act_on_the_target() -> None:
    truth = hamiltonian("spring")
    state = simulate("spring", trajectories=2, bodies=4, frames=2)[0]
    edges = both_ways(state.pairs)
    source, target = ({k: v[nodes] for k, v in state.attributes.items()} for nodes in edges)
    d = state.q[edges[0]] - state.q[edges[1]]
    messages = VectorMessages(d, edges, d, source, target)
    total = torch.zeros_like(state.q).index_add(0, edges[1], true_forces(truth.pair, messages))
    assert torch.allclose(total, truth.force(state))


@pytest.mark.parametrize("wrong", ["few", "not finite"])
def test_messages_that_say_nothing_are_refused(wrong: str) -> None:
    messages = mapped()
    if wrong == "few":
        messages = messages[:5]
    else:
        messages[3, 1] = torch.inf
    with pytest.raises(ValueError, match="at least 10, all finite"):
        message_space(messages, force()[: len(messages)])
