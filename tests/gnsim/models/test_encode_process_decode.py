"""Encode, process, decode gives what its plain form gives, whatever the order of the nodes."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import linear

from gnsim.models.encode_process_decode import Edges, EncodeProcessDecode
from gnsim.neighbours import radius_pairs

NODES, WIDTH = 60, 16
FEATURES = (5, 3)


def graph(seed: int = 0) -> Edges:
    """A cloud in which some nodes have no neighbours."""
    q = torch.rand(NODES, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Edges.of_pairs(radius_pairs(q, torch.zeros(NODES, dtype=torch.long), 0.12), NODES)


def network(dtype: torch.dtype) -> EncodeProcessDecode:
    generator = torch.Generator().manual_seed(1)
    return EncodeProcessDecode(*FEATURES, 2, WIDTH, 3, generator).to(dtype)


def features(edges: Edges, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return tuple(
        torch.randn(n, k, generator=generator, dtype=torch.float64).to(dtype)
        for n, k in zip((NODES, len(edges.source)), FEATURES, strict=True)
    )


def plain(
    net: EncodeProcessDecode, of_node: torch.Tensor, of_edge: torch.Tensor, edges: Edges
) -> torch.Tensor:
    """As published: everything side by side, then a full first layer; sums by scattering."""
    h, e = net.node(of_node), net.edge(of_edge)
    for step in net.process:
        parts = (step.of_edge, step.of_source, step.of_target)
        weight = torch.cat([part.weight for part in parts], 1)
        beside = torch.cat([e, h[edges.source], h[edges.target]], 1)
        change = step.edge(linear(beside, weight, step.of_edge.bias))
        arrived = torch.zeros_like(h).index_add(0, edges.target, change)
        weight = torch.cat([step.of_node.weight, step.of_arrived.weight], 1)
        h = h + step.node(linear(torch.cat([h, arrived], 1), weight, step.of_node.bias))
        e = e + change
    return net.decode(h)


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found - expected).abs().max() / expected.abs().max()).detach())


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_numbers_and_gradients_are_those_of_the_plain_form(
    dtype: torch.dtype, bound: float
) -> None:
    edges, net = graph(), network(dtype)
    given = features(edges, dtype)
    found, expected = net(*given, edges), plain(net, *given, edges)
    assert off(found, expected) < bound
    one, other = (
        torch.autograd.grad(y.square().sum(), net.process[0].of_source.weight)[0]
        for y in (found, expected)
    )
    assert off(one, other) < 10 * bound


def test_edges_in_another_order_would_be_summed_wrongly() -> None:
    edges, net = graph(), network(torch.float64)
    given = features(edges, torch.float64)
    mixed = replace(edges, target=edges.target.flip(0), source=edges.source.flip(0))
    assert off(net(*given, mixed), plain(net, *given, mixed)) > 1e-3


def test_both_directions_stand_in_the_order_of_their_targets() -> None:
    edges = graph()
    assert int((edges.arriving == 0).sum()) > 0
    assert bool((edges.target.diff() >= 0).all())
    assert torch.equal(edges.target.bincount(minlength=NODES), edges.arriving)
    there = set(zip(edges.source.tolist(), edges.target.tolist(), strict=True))
    assert there == {(target, source) for source, target in there}


def test_nodes_may_be_renumbered() -> None:
    edges, net = graph(), network(torch.float64)
    of_node, of_edge = features(edges, torch.float64)
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(3))
    place = order.argsort()
    source, target = place[edges.source], place[edges.target]
    sort = (target * NODES + source).argsort()
    other = Edges(source[sort], target[sort], edges.arriving[order])
    found = net(of_node[order], of_edge[sort], other)
    assert off(found, net(of_node, of_edge, edges)[order]) < 1e-12


def test_what_is_further_than_its_steps_is_not_seen() -> None:
    """Three steps of message passing reach three edges along a row."""
    row = torch.stack([torch.arange(1, 8), torch.arange(7)])
    edges, net = Edges.of_pairs(row, 8), network(torch.float64)
    of_node = torch.zeros(8, 5, dtype=torch.float64)
    of_edge = torch.zeros(len(edges.source), 3, dtype=torch.float64)
    changed = of_node.clone()
    changed[0] = 1.0
    moved = (net(changed, of_edge, edges) - net(of_node, of_edge, edges)).abs().amax(1) > 0
    assert moved.tolist() == [True] * 4 + [False] * 4
