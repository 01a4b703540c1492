"""The training loss: prediction through the integrator, with the couplings solved for inside."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.integrators.base import Integrator
from gnsim.models.coupled import CoupledPairs
from gnsim.response import cauchy_loss, cauchy_weight, least_squares, response, scaled_errors
from gnsim.windows import Windows


class ProjectedLoss(nn.Module):
    """Robust relative error of windows predicted by a `CoupledPairs`, minimised over its couplings.

    The prediction runs through the integrator with the present couplings x; their correction dx is
    the weighted least-squares solution of the linearised errors, and the loss is taken after it
    (variable projection). What is left is nearly orthogonal to the response, so that its gradient
    is taken as that of the errors alone: exact at the fixed point, where dx = 0. The response to dx
    is taken along the measured path by the trapezoidal rule: exact enough to contract.

    Each error is divided by the size of the acceleration it belongs to, so that the Moon and
    Neptune both count, and enters by Cauchy's logarithm, so that close encounters neither rule nor
    vanish. The logarithm of the mean makes the step of the optimiser independent of its size.

    `limits` bound the numbers x: on data without any motion in them, linear solutions run away.
    """

    def __init__(
        self,
        model: CoupledPairs,
        integrator: Integrator,
        substeps: int,
        limits: Float[Tensor, " numbers"] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.limits = torch.full_like(model.x, torch.inf) if limits is None else limits
        self.integrator = integrator
        self.substeps = substeps
        self.correction = torch.zeros_like(model.x)

    def forward(self, windows: Windows) -> Float[Tensor, ""]:
        errors, scale = self.errors(windows)
        with torch.no_grad():
            slopes = response(self.model.basis, windows.path, windows.stride) / scale[..., None]
            self.correction = least_squares(slopes, errors, cauchy_weight(errors))
        return cauchy_loss(errors - slopes @ self.correction).log()

    def errors(
        self, windows: Windows
    ) -> tuple[Float[Tensor, "kinds rows nodes dim"], Float[Tensor, "rows nodes 1"]]:
        """Errors at the present couplings, each over its scale, and that scale."""
        return scaled_errors(self.model, self.integrator, self.substeps, windows)

    def accept_correction(self) -> None:
        """Moves the couplings of the model to the solution of the last batch, within the limits."""
        with torch.no_grad():
            self.model.x += self.correction
            self.model.x.clamp_(-self.limits, self.limits)
