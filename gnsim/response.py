"""What the errors of a model fall by per unit of each number that it is linear in.

Couplings and coefficients enter the acceleration linearly, and the errors of short windows nearly
so. They are solved for by least squares; and which terms the data need is tried without training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.accelerations import mean_accelerations
from gnsim.integrators.base import Integrator
from gnsim.models.coupled import CoupledPairs
from gnsim.models.terms import Term
from gnsim.prediction import between, predict
from gnsim.state import State, Trajectory
from gnsim.windows import Windows, acceleration_scale, mean_acceleration_error

#: errors this many times the median have half the pull of a squared error
_OUTLIER = 3.0
_RIDGE = 1e-12
#: standard errors by which the held-out error must grow without a term, and share of itself
_SIGNIFICANT, _LEAST_GAIN = 5.0, 0.1
_SMALLEST = 1e-9


def scaled_errors(
    model: CoupledPairs, integrator: Integrator, substeps: int, windows: Windows
) -> tuple[Float[Tensor, "kinds rows nodes dim"], Float[Tensor, "rows nodes 1"]]:
    """Errors at the present numbers x, each over its scale, and that scale."""
    predicted = predict(model, integrator, windows.path, substeps, stride=windows.stride)
    scale = acceleration_scale(windows)
    return mean_acceleration_error(windows.path, *predicted) / scale, scale


def response(
    basis_at: Callable[[State], Tensor], path: Trajectory, stride: int = 1
) -> Float[Tensor, "kinds rows nodes dim numbers"]:
    """What mean-acceleration errors fall by per unit of each number.

    `basis_at` gives the acceleration of each node per unit of it, [nodes, dim, numbers]. Along
    every `stride`-th frame of the measured path by the trapezoidal rule: exact enough for a
    correction to contract.
    """
    basis = torch.stack([basis_at(path[k]) for k in range(0, len(path), stride)])
    interval = stride * float(path.t[1] - path.t[0])
    still = torch.zeros_like(basis[:1])
    gain = torch.cat([still, torch.cumsum(0.5 * interval * (basis[1:] + basis[:-1]), 0)])
    # within a step the acceleration is linear in time: q gains h v + h^2 (2 a_0 + a_1) / 6
    within = interval**2 * (2 * basis[:-1] + basis[1:]) / 6
    shift = torch.cat([still, torch.cumsum(interval * gain[:-1] + within, 0)])
    return mean_accelerations(path, *between(shift, gain, stride, interval))


def _sizes(errors: Tensor) -> Tensor:
    return errors.square().sum(-1, keepdim=True)


def _cauchy_width(errors: Tensor) -> Tensor:
    return (_OUTLIER**2 * _sizes(errors.detach()).median()).clamp_min(1e-30)


def cauchy_weight(errors: Tensor) -> Tensor:
    return 1 / (1 + _sizes(errors) / _cauchy_width(errors))


def cauchy_loss(errors: Tensor) -> Tensor:
    width = _cauchy_width(errors)
    return (width * torch.log1p(_sizes(errors) / width)).mean()


def least_squares(response: Tensor, errors: Tensor, weight: Tensor) -> Float[Tensor, " numbers"]:
    """Weighted normal equations in float64, columns of equal length, a ridge far below the data's.

    The ridge shares what two proportional columns explain between them.
    """
    rows = (response * weight.sqrt()[..., None]).reshape(-1, response.shape[-1]).double()
    target = (errors * weight.sqrt()).reshape(-1).double()
    length = rows.detach().norm(dim=0).clamp_min(torch.finfo(rows.dtype).tiny)
    rows = rows / length
    gram = rows.T @ rows + _RIDGE * torch.eye(rows.shape[1], dtype=rows.dtype)
    return (torch.linalg.solve(gram, rows.T @ target) / length).to(response)


@dataclass(frozen=True)
class Rows:
    """Errors as they are without any term, and the response to each number of the model."""

    errors: Float[Tensor, "kinds rows nodes dim"]
    response: Float[Tensor, "kinds rows nodes dim numbers"]
    windows: int

    @classmethod
    def of(
        cls, model: CoupledPairs, integrator: Integrator, substeps: int, windows: Windows
    ) -> "Rows":
        with torch.no_grad():
            errors, scale = scaled_errors(model, integrator, substeps, windows)
            slopes = response(model.basis, windows.path, windows.stride) / scale[..., None]
            plain = errors + slopes[..., model.num_couplings :] @ model.coefficients
        return cls(plain, slopes, len(windows.start))

    def left(self, columns: Tensor, x: Tensor) -> Float[Tensor, " windows"]:
        """Log error of each window when these columns explain what they can with `x`."""
        size = (self.errors - self.response[..., columns] @ x).norm(dim=-1)
        logs = size.clamp_min(_SMALLEST).log().movedim(2, 0)
        return logs.reshape(self.windows, -1).mean(1)


def surviving_terms(model: CoupledPairs, train: Rows, held_out: Rows) -> tuple[Term, ...]:
    """The terms without which held-out windows are predicted worse by a tenth, and beyond chance.

    From all of them, the one that is missed least is dropped, for as long as it is not missed.
    """
    kept = list(model.terms)
    while kept:
        before = _left(model, kept, train, held_out)
        losses = []
        for term in kept:
            others = [other for other in kept if other != term]
            growth = _left(model, others, train, held_out) - before
            error = float(growth.std()) / max(1, len(growth) - 1) ** 0.5
            losses.append(float(growth.mean()) - max(_LEAST_GAIN, _SIGNIFICANT * error))
        least = min(range(len(kept)), key=losses.__getitem__)
        if losses[least] > 0:
            break
        kept.pop(least)
    return tuple(kept)


def _left(
    model: CoupledPairs, kept: Sequence[Term], train: Rows, held_out: Rows
) -> Float[Tensor, " windows"]:
    """Log errors of the held-out windows, with the numbers x solved on the training ones."""
    columns, place = list(range(model.num_couplings)), model.num_couplings
    for term in model.terms:
        count = len(term.symbols)
        columns += range(place, place + count) if term in kept else ()
        place += count
    chosen = torch.tensor(columns)
    x = least_squares(train.response[..., chosen], train.errors, cauchy_weight(train.errors))
    return held_out.left(chosen, x)
