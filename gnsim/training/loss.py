"""The training loss: prediction through the integrator, with the couplings solved for inside."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.integrators.base import Integrator
from gnsim.models.coupled import CoupledPairs
from gnsim.state import Trajectory
from gnsim.windows import (
    Windows,
    acceleration_scale,
    mean_acceleration_error,
    mean_accelerations,
    predict,
)

#: errors this many times the median have half the pull of a squared error
_OUTLIER = 3.0
_RIDGE = 1e-12


class ProjectedLoss(nn.Module):
    """Robust relative error of windows predicted by a `CoupledPairs`, minimised over its couplings.

    The prediction runs through the integrator with the present couplings x; their correction dx is
    the weighted least-squares solution of the linearised errors, and the loss is taken after it,
    so that its gradient is that of the projected problem (variable projection). The response to dx
    is taken along the measured path by the trapezoidal rule: exact enough to contract, and without
    effect on the fixed point, where dx = 0.

    Each error is divided by the size of the acceleration it belongs to, so that the Moon and
    Neptune both count, and enters by Cauchy's logarithm, so that close encounters neither rule nor
    vanish. The logarithm of the mean makes the step of the optimiser independent of its size.
    """

    def __init__(self, model: CoupledPairs, integrator: Integrator, substeps: int) -> None:
        super().__init__()
        self.model = model
        self.integrator = integrator
        self.substeps = substeps
        self.correction = torch.zeros_like(model.x)

    def forward(self, windows: Windows) -> Float[Tensor, ""]:
        errors, response = self.linearised(windows)
        dx = least_squares(response, errors, cauchy_weight(errors.detach()))
        self.correction = dx.detach()
        return _cauchy_loss(errors - response @ dx).log()

    def errors(
        self, windows: Windows
    ) -> tuple[Float[Tensor, "kinds rows nodes dim"], Float[Tensor, "rows nodes 1"]]:
        """Errors at the present couplings, each over its scale, and that scale."""
        path = windows.path
        predicted = predict(self.model, self.integrator, path, self.substeps)
        scale = acceleration_scale(windows)
        return mean_acceleration_error(path, *predicted) / scale, scale

    def linearised(
        self, windows: Windows
    ) -> tuple[
        Float[Tensor, "kinds rows nodes dim"], Float[Tensor, "kinds rows nodes dim numbers"]
    ]:
        """Errors at the present x, and what they fall by per unit of each, over their scale."""
        errors, scale = self.errors(windows)
        return errors, self._response(windows.path) / scale[..., None]

    def accept_correction(self) -> None:
        """Moves the couplings of the model to the solution of the last batch."""
        with torch.no_grad():
            self.model.x += self.correction

    def _response(self, path: Trajectory) -> Float[Tensor, "kinds rows nodes dim numbers"]:
        """Errors per unit of coupling: the basis accelerations averaged as the errors are."""
        basis = torch.stack([self.model.basis(state) for state in path])
        interval = path.t[1] - path.t[0]
        gain = torch.cumsum(0.5 * interval * (basis[1:] + basis[:-1]), 0)
        before = torch.cat([torch.zeros_like(gain[:1]), gain[:-1]])
        # within a step the acceleration is linear in time: q gains h v + h^2 (2 a_0 + a_1) / 6
        within = interval**2 * (2 * basis[:-1] + basis[1:]) / 6
        shift = torch.cumsum(interval * before + within, 0)
        return mean_accelerations(path, shift, gain)


def _sizes(errors: Tensor) -> Tensor:
    return errors.square().sum(-1, keepdim=True)


def _cauchy_width(errors: Tensor) -> Tensor:
    return (_OUTLIER**2 * _sizes(errors.detach()).median()).clamp_min(1e-30)


def cauchy_weight(errors: Tensor) -> Tensor:
    return 1 / (1 + _sizes(errors) / _cauchy_width(errors))


def _cauchy_loss(errors: Tensor) -> Tensor:
    width = _cauchy_width(errors)
    return (width * torch.log1p(_sizes(errors) / width)).mean()


def least_squares(response: Tensor, errors: Tensor, weight: Tensor) -> Float[Tensor, " numbers"]:
    """Weighted normal equations, columns of equal length, a ridge far below the data's reach."""
    rows = (response * weight.sqrt()[..., None]).reshape(-1, response.shape[-1])
    target = (errors * weight.sqrt()).reshape(-1)
    length = rows.detach().norm(dim=0).clamp_min(torch.finfo(rows.dtype).tiny)
    rows = rows / length
    gram = rows.T @ rows + _RIDGE * torch.eye(rows.shape[1], dtype=rows.dtype)
    return torch.linalg.solve(gram, rows.T @ target) / length
