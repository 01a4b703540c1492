"""A spline of the pair force, fitted to where systems end, by damped steps of Gauss and Newton."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.graph import nearest_image
from gnsim.integrators import Integrator
from gnsim.models.coupled import ScaledPair
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.models.spline import SplinePair
from gnsim.normal_equations import Normal, RefitError
from gnsim.prediction import predict
from gnsim.state import Trajectory

#: by how much the exponents of the force in neighbouring pieces are expected to differ
_BENT = 0.3
#: ends so many times the usual count half; and so many times have no say
_OUTLIER, _NO_SAY = 3.0, 20.0
_ROUNDS, _SETTLED, _MOVED = 15, 0.02, 1e-6
#: what a motion that is lost is off by, over the usual way
_LOST = 1e3
_FIRST_DAMPING, _LEAST_DAMPING, _LARGEST_DAMPING = 1e-3, 1e-6, 1e6

#: Told in words what was done.
Told = Callable[[str], None]


class FittedSpline:
    """A spline as a dynamics, times the product of an attribute of both bodies if one is named.

    Where nothing tells the force, it goes on straight in log-log.
    """

    def __init__(self, spline: SplinePair, attribute: str) -> None:
        self.spline, self.attribute = spline, attribute
        one = torch.ones((), dtype=torch.float64)
        pair = ScaledPair(spline, one, attribute) if attribute else spline
        self.dynamics = PairwiseHamiltonian(pair)
        centres = spline.spline.centres
        slopes = torch.diff(torch.eye(len(centres), dtype=torch.float64), dim=0)
        bends = torch.diff(slopes / torch.diff(centres)[:, None], dim=0)
        self._stiffness = bends.T @ bends / _BENT**2

    @property
    def coefficients(self) -> Float[Tensor, " splines"]:
        return self.spline.coefficients

    @coefficients.setter
    def coefficients(self, values: Float[Tensor, " splines"]) -> None:
        self.spline.coefficients = values

    def fit(
        self, path: Trajectory, integrator: Integrator, substeps: int, share: float = 0.5
    ) -> None:
        """Moves the coefficients to where they predict the ends of `path` best.

        What this share of the systems is missed by at most is usual; far beyond, ends have no say.
        With a share above a half, the spline grows inwards, from what it explains to what comes a
        bit closer.
        """
        damping = _FIRST_DAMPING
        for _ in range(_ROUNDS):
            errors = missed(self.dynamics, integrator, substeps, path)
            kept = usual(errors, share)
            slopes = self._slopes(path, integrator, substeps, errors)[kept]
            together = torch.ones(slopes.shape[-1], 1, dtype=torch.float64)
            normal = Normal(errors[kept], slopes, together, _OUTLIER)
            gain, damping = self._improved(normal, kept, path, integrator, substeps, damping)
            if not gain > _SETTLED:
                break

    def _improved(
        self,
        normal: Normal,
        kept: Bool[Tensor, " systems"],
        path: Trajectory,
        integrator: Integrator,
        substeps: int,
        damping: float,
    ) -> tuple[float, float]:
        """Takes the first step that lowers the cost; by what share it did, and the next damping."""
        here, stiffness = self.coefficients, normal.variance * self._stiffness

        def cost(errors: Tensor) -> Tensor:
            of_bends = self.coefficients @ stiffness @ self.coefficients
            return normal.cost_of(errors[kept]) * normal.trust.sum() + of_bends

        before = normal.cost * normal.trust.sum() + here @ stiffness @ here
        while damping < _LARGEST_DAMPING:
            try:
                step = normal.step(damping, (stiffness, -stiffness @ here))
            except RefitError:
                break
            self.coefficients = here + step
            after = cost(missed(self.dynamics, integrator, substeps, path))
            if bool(after < before):
                return 1 - float(after / before), 0.1 * damping
            damping = max(10 * damping, _LEAST_DAMPING)
        self.coefficients = here
        return 0.0, damping

    def _slopes(
        self, path: Trajectory, integrator: Integrator, substeps: int, errors: Tensor
    ) -> Float[Tensor, "systems 1 numbers splines"]:
        """What `errors` fall by per unit of each coefficient, by difference quotients."""
        here, columns = self.coefficients, []
        for k in range(len(here)):
            moved = here.clone()
            moved[k] += _MOVED
            self.coefficients = moved
            columns.append((errors - missed(self.dynamics, integrator, substeps, path)) / _MOVED)
        self.coefficients = here
        return torch.stack(columns, -1)


def missed(
    dynamics: Dynamics, integrator: Integrator, substeps: int, path: Trajectory
) -> Float[Tensor, "systems 1 numbers"]:
    """What the positions at the last frame are missed by, over the usual way between the frames.

    A motion that is not finite misses by a thousand of these.
    """
    with torch.no_grad():
        predicted = predict(dynamics, integrator, path, substeps)[0][-1]
    way = nearest_image(path.q[-1] - path.q[0], path.box).norm(dim=1).median()
    off = nearest_image(path.q[-1] - predicted, path.box) / way
    off = off.nan_to_num(_LOST, _LOST, -_LOST).clamp(-_LOST, _LOST)
    return off.view(path.num_systems, 1, -1)


def usual(
    errors: Float[Tensor, "systems 1 numbers"], share: float = 0.5
) -> Bool[Tensor, " systems"]:
    """Which ends are not missed by many times what this share is missed by at most."""
    size = errors.square().sum((1, 2))
    return size <= _NO_SAY**2 * size.nanquantile(share)


def log_error(errors: Float[Tensor, "systems 1 numbers"], floor: float = 0.0) -> float:
    """The mean logarithm of the mean squared error of a system, not below `floor`."""
    size = errors.square().mean((1, 2)) + floor
    return float(size.clamp_min(torch.finfo(size.dtype).tiny).log().mean())
