"""The update of edges and what arrives at nodes, a block of edges at a time.

    x1 = relu(W_e e + s_source + t_target)      what nodes say is gathered, not computed again
    x2 = relu(W_2 x1 + b_2),  x3 = W_3 x2 + b_3
    m = norm(x3);  e' = e + m;  arrived_i = sum of m over the edges that end in i

All steps are taken for so many edges that what they make stays in the cache of the processor. On a
CPU that is faster than layer after layer, each of which waits for the memory, and without gradients
it needs no memory but for e. Products are taken in the type of the weights that are given, sums in
that of e, and the statistics of the norm in that of its gain.
"""

from functools import cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

#: numbers of a block: at four bytes each, as many as a megabyte holds
_BLOCK = 2**18
_SMALL = 1e-5
#: tensors that are kept of each block
_KEPT = 5
_aten = torch.ops.aten


class EdgeWeights(NamedTuple):
    """Of the three layers and of the norm."""

    first: Float[Tensor, "width width"]
    second: Float[Tensor, "width width"]
    second_bias: Float[Tensor, " width"]
    third: Float[Tensor, "width width"]
    third_bias: Float[Tensor, " width"]
    gain: Float[Tensor, " width"]
    shift: Float[Tensor, " width"]


def rows_of_a_block(width: int) -> int:
    """So many edges that numbers of so large a `width` stay in the cache."""
    return max(1, _BLOCK // width)


def update_edges(
    e: Float[Tensor, "edges width"],
    of_source: Float[Tensor, "nodes width"],
    of_target: Float[Tensor, "nodes width"],
    edge_index: Int[Tensor, "2 edges"],
    weights: EdgeWeights,
) -> tuple[Float[Tensor, "edges width"], Float[Tensor, "nodes width"]]:
    """The edges after a step, and what arrives at nodes. Without gradients, e is overwritten.

    Fastest where edges stand in the order of their targets.
    """
    given = (e, of_source, of_target, edge_index, *weights)
    if torch.is_grad_enabled() and any(x.requires_grad for x in given):
        return _UpdateEdges.apply(*given)
    after, arrived, _ = _updated(*given[:4], weights, keep=False)
    return after, arrived


def _updated(
    e: Tensor,
    of_source: Tensor,
    of_target: Tensor,
    edge_index: Tensor,
    w: EdgeWeights,
    *,
    keep: bool,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """As `update_edges`; and of each block x1, x2, x3 and the statistics of the norm, if kept."""
    source, target = edge_index
    after = torch.empty_like(e) if keep else e
    arrived = torch.zeros(of_target.shape, dtype=e.dtype, device=e.device)
    said = w.first.new_empty(rows_of_a_block(e.shape[1]), e.shape[1])
    kept: list[Tensor] = []
    for block in _blocks(e):
        x1 = product(e[block].to(w.first.dtype), w.first, None)
        for whose, end in ((of_source, source), (of_target, target)):
            x1.add_(torch.index_select(whose, 0, end[block], out=said[: len(x1)]))
        x2 = product(x1.relu_(), w.second, w.second_bias, rectified=True)
        x3 = product(x2, w.third, w.third_bias)
        m, *statistics = torch.native_layer_norm(x3, w.gain.shape, w.gain, w.shift, _SMALL)
        arrived.index_add_(0, target[block], m.to(e.dtype))
        torch.add(e[block], m, out=after[block])
        if keep:
            kept += [x1, x2, x3, *statistics]
    return after, arrived, kept


class _UpdateEdges(torch.autograd.Function):
    """Keeps what `_updated` does for the way back."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> tuple[Tensor, Tensor]:
        e, of_source, of_target, edge_index, *parameters = given
        w = EdgeWeights(*parameters)
        after, arrived, kept = _updated(e, of_source, of_target, edge_index, w, keep=True)
        ctx.save_for_backward(e, edge_index, *parameters, *kept)
        return after, arrived

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_after: Tensor, of_arrived: Tensor) -> tuple[Tensor | None, ...]:
        e, (source, target), *saved = ctx.saved_tensors
        w, kept = EdgeWeights(*saved[: len(EdgeWeights._fields)]), saved[len(EdgeWeights._fields) :]
        kind = w.first.dtype
        of_e = torch.empty_like(e)
        of_source, of_target = e.new_zeros((2, *of_arrived.shape))
        first, second, third = (x.t().contiguous() for x in (w.first, w.second, w.third))
        of_w = EdgeWeights(*(torch.zeros_like(x, dtype=e.dtype) for x in w))
        for k, block in enumerate(_blocks(e)):
            x1, x2, x3, *statistics = kept[_KEPT * k : _KEPT * (k + 1)]
            d_m = of_arrived.index_select(0, target[block]).add_(of_after[block]).to(kind)
            d3, *of_norm = _aten.native_layer_norm_backward(
                d_m, x3, w.gain.shape, *statistics, w.gain, w.shift, [True] * 3
            )
            d2 = _aten.threshold_backward(product(d3, third, None), x2, 0)
            d1 = _aten.threshold_backward(product(d2, second, None), x1, 0)
            torch.add(of_after[block], product(d1, first, None), out=of_e[block])
            of_source.index_add_(0, source[block], d1.to(e.dtype))
            of_target.index_add_(0, target[block], d1.to(e.dtype))
            layers = ((d2, x1), (d3, x2))
            parts = [part for d, x in layers for part in (d.t() @ x, d.sum(0))]
            parts = [d1.t() @ e[block].to(kind), *parts, *of_norm]
            for whole, part in zip(of_w, parts, strict=True):
                whole.add_(part)
        nodes = (of_source.to(kind), of_target.to(kind))
        return of_e, *nodes, None, *(x.to(y.dtype) for x, y in zip(of_w, w, strict=True))


def product(
    x: Float[Tensor, "rows inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Float[Tensor, " outputs"] | None,
    *,
    rectified: bool = False,
) -> Float[Tensor, "rows outputs"]:
    """``x W^T + b``, without gradients: by oneDNN where it can, which adds b and rectifies before
    the result leaves the cache."""
    if x.device.type == "cpu" and x.dtype in _of_onednn():
        after = "relu" if rectified else "none"
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, after, [], "")
    y = linear(x, weight, bias)
    return y.relu_() if rectified else y


@cache
def _of_onednn() -> frozenset[torch.dtype]:
    """The types that oneDNN multiplies on this processor."""
    if not torch.backends.mkldnn.is_available():
        return frozenset()
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return frozenset({torch.float32, torch.bfloat16})
    return frozenset({torch.float32})


def _blocks(e: Tensor) -> list[slice]:
    rows = rows_of_a_block(e.shape[1])
    return [slice(first, first + rows) for first in range(0, len(e), rows)]
