"""Encode, process, decode gives what its plain form gives, whatever the order of the nodes."""

import pytest
import torch
from torch.nn.functional import linear

from gnsim.models import edge_update
from gnsim.models.edge_update import EdgeWeights, update_edges
from gnsim.models.encode_process_decode import EncodeProcessDecode, by_target
from gnsim.neighbours import radius_pairs

NODES, WIDTH = 60, 16
FEATURES = (5, 3)


def graph(seed: int = 0) -> torch.Tensor:
    """A cloud in which some nodes have no neighbours."""
    q = torch.rand(NODES, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return by_target(radius_pairs(q, torch.zeros(NODES, dtype=torch.long), 0.12), NODES)


def network(dtype: torch.dtype) -> EncodeProcessDecode:
    generator = torch.Generator().manual_seed(1)
    return EncodeProcessDecode(*FEATURES, (2, 3), WIDTH, 3, generator).to(dtype)


def features(edges: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return tuple(
        torch.randn(n, k, generator=generator, dtype=torch.float64).to(dtype)
        for n, k in zip((NODES, edges.shape[1]), FEATURES, strict=True)
    )


def said(net: EncodeProcessDecode, *given: torch.Tensor) -> torch.Tensor:
    """What it says of nodes and of edges, in one row."""
    return torch.cat([part.flatten() for part in net(*given)])


def plain(
    net: EncodeProcessDecode, of_node: torch.Tensor, of_edge: torch.Tensor, edges: torch.Tensor
) -> torch.Tensor:
    """As published: everything side by side, then a full first layer; sums by scattering."""
    h, e = net.node(of_node), net.edge(of_edge)
    for step in net.process:
        parts = (step.of_edge, step.of_source, step.of_target)
        weight = torch.cat([part.weight for part in parts], 1)
        beside = torch.cat([e, h[edges[0]], h[edges[1]]], 1)
        change = step.edge(linear(beside, weight, step.of_target.bias))
        arrived = torch.zeros_like(h).index_add(0, edges[1], change)
        weight = torch.cat([step.of_node.weight, step.of_arrived.weight], 1)
        h = h + step.node(linear(torch.cat([h, arrived], 1), weight, step.of_node.bias))
        e = e + change
    assert net.decode_edge is not None
    return torch.cat([net.decode(h).flatten(), net.decode_edge(e).flatten()])


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found - expected).abs().max() / expected.abs().max()).detach())


@pytest.fixture(params=[3, edge_update._BLOCK], ids=["small blocks", "one block"])
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_update, "_BLOCK", request.param * WIDTH)


def gradients(net: EncodeProcessDecode, y: torch.Tensor) -> list[torch.Tensor]:
    """Of a loss of the outputs, by all weights."""
    return list(torch.autograd.grad(y.square().sum(), list(net.parameters())))


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_numbers_and_gradients_are_those_of_the_plain_form(
    dtype: torch.dtype, bound: float
) -> None:
    edges, net = graph(), network(dtype)
    given = features(edges, dtype)
    found, expected = said(net, *given, edges), plain(net, *given, edges)
    assert off(found, expected) < bound
    for one, other in zip(gradients(net, found), gradients(net, expected), strict=True):
        assert off(one, other) < 10 * bound
    with torch.no_grad():
        assert torch.equal(said(net, *given, edges), found)


@pytest.mark.usefixtures("_block")
def test_the_gradient_is_that_of_small_changes() -> None:
    generator = torch.Generator().manual_seed(4)
    sizes = [(7, 4), (5, 4), (5, 4), (4, 4), *[(4, 4), (4,)] * 2, (4,), (4,)]
    numbers = [torch.randn(n, generator=generator, dtype=torch.float64) for n in sizes]
    edges = torch.tensor([[1, 2, 0, 2, 3, 0, 4], [0, 0, 1, 1, 1, 2, 3]])

    def update(e: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return update_edges(e, *rest[:2], edges, EdgeWeights(*rest[2:]))

    inputs = [x.requires_grad_() for x in numbers]
    assert torch.autograd.gradcheck(update, inputs)
    empty = [inputs[0][:0].detach().requires_grad_(), *inputs[1:]]
    none = torch.zeros(2, 0, dtype=torch.long)
    after, arrived = update_edges(*empty[:3], none, EdgeWeights(*empty[3:]))
    assert after.shape == (0, 4)
    assert not bool(arrived.any())


def test_a_way_back_that_mixes_up_the_ends_of_edges_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edges, net = graph(), network(torch.float64)
    given = features(edges, torch.float64)
    expected = gradients(net, plain(net, *given, edges))
    backward = edge_update._UpdateEdges.backward

    def mixed_up(ctx: object, *given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_e, of_source, of_target, *rest = backward(ctx, *given)
        return of_e, of_target, of_source, *rest

    monkeypatch.setattr(edge_update._UpdateEdges, "backward", staticmethod(mixed_up))
    found = gradients(net, said(net, *given, edges))
    assert max(off(x, y) for x, y in zip(found, expected, strict=True)) > 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_gradients_nothing_is_kept(dtype: torch.dtype) -> None:
    edges, step = graph(), network(torch.float32).process[0]
    generator = torch.Generator().manual_seed(5)
    h, e = (torch.randn(n, WIDTH, generator=generator) for n in (NODES, edges.shape[1]))
    before = e.clone()
    after = step(h, e, edges, dtype)[1]
    assert torch.equal(e, before)
    with torch.no_grad():
        over = step(h, e, edges, dtype)[1]
    assert over.data_ptr() == e.data_ptr()
    assert torch.equal(over, after)


def test_products_in_bfloat16_are_nearly_the_same() -> None:
    edges, net, other = graph(), network(torch.float32), network(torch.float32)
    other.products = torch.bfloat16
    given = features(edges, torch.float32)
    found, expected = said(other, *given, edges), said(net, *given, edges)
    assert found.dtype == torch.float32
    assert 1e-4 < off(found, expected) < 3e-2
    one, other_one = (
        torch.cat([g.flatten() for g in gradients(*pair)])
        for pair in ((net, expected), (other, found))
    )
    assert other_one.dtype == torch.float32
    assert 1e-4 < float((one - other_one).norm() / one.norm()) < 0.05


def test_both_directions_stand_in_the_order_of_their_targets() -> None:
    source, target = graph()
    assert int((target.bincount(minlength=NODES) == 0).sum()) > 0
    assert bool((target.diff() >= 0).all())
    there = set(zip(source.tolist(), target.tolist(), strict=True))
    assert len(there) == len(source)
    assert there == {(j, i) for i, j in there}


def test_nodes_may_be_renumbered() -> None:
    edges, net = graph(), network(torch.float64)
    of_node, of_edge = features(edges, torch.float64)
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(3))
    place = order.argsort()
    (found, z), (expected, same) = (
        net(of_node[order], of_edge, place[edges]),
        net(of_node, of_edge, edges),
    )
    assert off(found, expected[order]) < 1e-12
    assert off(z, same) < 1e-12


def test_what_is_further_than_its_steps_is_not_seen() -> None:
    """Three steps of message passing reach three edges along a row."""
    row = torch.stack([torch.arange(1, 8), torch.arange(7)])
    edges, net = by_target(row, 8), network(torch.float64)
    of_node = torch.zeros(8, 5, dtype=torch.float64)
    of_edge = torch.zeros(edges.shape[1], 3, dtype=torch.float64)
    changed = of_node.clone()
    changed[0] = 1.0
    moved = (net(changed, of_edge, edges)[0] - net(of_node, of_edge, edges)[0]).abs().amax(1) > 0
    assert moved.tolist() == [True] * 4 + [False] * 4
