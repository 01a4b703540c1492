"""Weighted normal equations of errors and what they fall by per unit of each parameter."""

import torch
from jaxtyping import Float
from torch import Tensor

#: slopes so many times the median halve the trust in an error; less trust than this is none
_STEEP, _NO_TRUST = 10.0, 1e-20
#: a direction of less than this share of the information of the best known one is unknown
_UNKNOWN, _TINY = 1e-12, 1e-300
#: relative errors below this are no outliers. A much larger bound lets windows after close
#: encounters, whose errors are the time step's, pull constants off; a smaller one takes the Sun's
#: motion among the planets for an outlier
_LEAST_OUTLIER = 1e-5


class RefitError(ValueError):
    """A form that cannot be fitted: its motion is not finite on the data."""


class Normal:
    """Weighted normal equations at one point, of errors of so many units: nodes, or windows.

    Errors `outlier` times their median have half the weight of the smallest.
    """

    def __init__(
        self,
        errors: Float[Tensor, "units kinds numbers"],
        jacobian: Float[Tensor, "units kinds numbers p"],
        directions: Float[Tensor, "p some"],
        outlier: float,
    ) -> None:
        size = errors.square().sum(-1)
        self.width = (outlier**2 * size.median()).clamp_min(_LEAST_OUTLIER**2)
        self.errors, self.slopes, self.directions = errors, jacobian, directions
        self.trust = self._trust()
        # those too steep for any trust may be beyond all numbers
        self.jacobian = torch.where(self.trust[..., None, None] > _NO_TRUST, jacobian, 0.0)
        self.weight = self.trust / (1 + size / self.width)
        self.cost = self.cost_of(errors)

    def _trust(self) -> Float[Tensor, "units kinds"]:
        """Less for errors that react many times as much as the median does in some direction.

        After a close encounter everything depends on everything: such errors are large, nearly
        random, and would steer the fit by their slopes whatever Cauchy's weight makes of them.
        """
        slopes = (self.slopes @ self.directions).norm(dim=2)
        usual = slopes.flatten(0, 1).nanmedian(0).values.clamp_min(torch.finfo(slopes.dtype).tiny)
        steep = (slopes / usual / _STEEP).square().sum(-1)
        return (1 / (1 + steep)).nan_to_num(nan=0.0)

    def cost_of(self, errors: Float[Tensor, "units kinds numbers"]) -> Float[Tensor, ""]:
        """Cauchy's cost of other errors at the width of these, so that the two compare."""
        each = self.width * torch.log1p(errors.square().sum(-1) / self.width)
        return (self.trust * each).sum() / self.trust.sum()

    @property
    def variance(self) -> Float[Tensor, ""]:
        """The mean square of a number of the errors, by their weights."""
        total = (self.weight * self.errors.square().sum(-1)).sum()
        return total / (self.weight.sum() * self.errors.shape[-1])

    def step(
        self, damping: float, known: tuple[Tensor, Tensor] | None = None
    ) -> Float[Tensor, " p"]:
        """What to add to the parameters; `known` is a matrix and a right-hand side beside these."""
        grams, gradients = self._by_unit()
        gram, gradient = grams.sum(0), gradients.sum(0)
        if known is not None:
            gram, gradient = gram + known[0], gradient + known[1]
        return _solve(gram, gradient, damping)

    def scatter(self, freedom: float) -> Float[Tensor, "p p"]:
        """A square root of the covariance of the parameters, of errors of one unknown size.

        These have `freedom` degrees of it before the parameters take theirs. Nothing in directions
        that no error depends on.
        """
        gram = self._by_unit()[0].sum(0)
        size = torch.where(gram.diagonal() > 0, gram.diagonal().sqrt(), 1.0)
        values, vectors = torch.linalg.eigh(gram / size / size[:, None])
        known = values > _UNKNOWN * values.max()
        variance = self.errors.square().sum() / max(1.0, freedom - int(known.sum()))
        root = torch.where(known, (variance / values.clamp_min(_TINY)).sqrt(), 0.0)
        return vectors * root / size[:, None]

    def left_out(
        self, theta: Float[Tensor, " p"], groupings: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "_ p"], ...]:
        """The parameters without each group of units in turn, to first order."""
        grams, gradients = self._by_unit()
        gram, gradient = grams.sum(0), gradients.sum(0)
        return tuple(
            torch.stack(
                [
                    theta + _solve(gram - g, gradient - b, 0.0)
                    for g, b in zip(*_summed(grams, gradients, index), strict=True)
                ]
            )
            for index in groupings
        )

    def _by_unit(self) -> tuple[Float[Tensor, "units p p"], Float[Tensor, "units p"]]:
        rows = (self.jacobian * self.weight[..., None, None]).flatten(1, 2)
        plain = self.jacobian.flatten(1, 2)
        grams = torch.einsum("nap,naq->npq", rows, plain)
        return grams, torch.einsum("nap,na->np", rows, self.errors.flatten(1))


def _solve(gram: Tensor, gradient: Tensor, damping: float) -> Float[Tensor, " p"]:
    """Damped normal equations with a unit diagonal; the shortest solution where singular.

    Raises:
        RefitError: they are beyond all numbers.
    """
    # what moves nothing is not moved
    size = torch.where(gram.diagonal() > 0, gram.diagonal().sqrt(), 1.0)
    scaled = gram / size / size[:, None] + damping * torch.eye(len(size), dtype=gram.dtype)
    if not bool(scaled.isfinite().all() and gradient.isfinite().all()):
        raise RefitError("a form whose motion depends on its constants beyond all numbers")
    solution = torch.linalg.lstsq(scaled, (gradient / size)[:, None], driver="gelsd").solution
    return solution[:, 0] / size


def _summed(grams: Tensor, gradients: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    groups = int(index.max()) + 1
    shape = grams.shape[1:]
    return (
        grams.new_zeros(groups, *shape).index_add(0, index, grams),
        gradients.new_zeros(groups, shape[0]).index_add(0, index, gradients),
    )
