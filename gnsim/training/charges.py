"""First guesses of hidden charges: two of them multiply, so that zero tells no direction."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.response import cauchy_weight, least_squares, response
from gnsim.training.loss import ProjectedLoss
from gnsim.windows import Windows

_ROUNDS = 300


def first_charges(loss: ProjectedLoss, windows: Windows) -> Float[Tensor, " couplings"]:
    """Strength and charges by which the present network explains `windows` about best.

    Each pair of bodies gets a strength of its own, which is a linear problem; these are then taken
    apart into charges.
    """
    model = loss.model
    with torch.no_grad():
        model.x.zero_()
        errors, scale = loss.errors(windows)
        slopes = response(model.of_each_pair, windows.path, windows.stride) / scale[..., None]
        strengths = least_squares(slopes, errors, cauchy_weight(errors))
    return taken_apart(strengths, model.bodies)


def taken_apart(
    strengths: Float[Tensor, " pairs"], bodies: int
) -> Float[Tensor, " one_and_charges"]:
    """k and q, the sign and the numbers with ``k q_i q_j`` nearest to the strength of each pair.

    Alternating least squares from the leading eigenvector of either sign: the diagonal is unknown.
    """
    row, column = torch.triu_indices(bodies, bodies, offset=1)
    finite = strengths.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    matrix = strengths.new_zeros(bodies, bodies)
    matrix[row, column] = matrix[column, row] = finite
    found = [_charges(k, matrix) for k in (1.0, -1.0)]
    missed = [
        float((k * q[row] * q[column] - finite).square().sum())
        for k, q in zip((1.0, -1.0), found, strict=True)
    ]
    best = missed.index(min(missed))
    return torch.cat([strengths.new_tensor([(1.0, -1.0)[best]]), found[best]])


def _charges(k: float, matrix: Float[Tensor, "bodies bodies"]) -> Float[Tensor, " bodies"]:
    """The numbers whose products times `k` are nearest to what stands beside the diagonal."""
    values, vectors = torch.linalg.eigh(k * matrix)
    q = vectors[:, -1] * values[-1].abs().sqrt()
    for _ in range(_ROUNDS):
        for i in range(len(q)):
            size = (q.square().sum() - q[i].square()).clamp_min(torch.finfo(q.dtype).tiny)
            q[i] = k * (matrix[i] @ q) / size
    return q
