"""Sharpened messages: the force curve behind them, fitted to the trajectories themselves.

A network that was trained for a minute knows forces to a percent, and an engine cannot tell its
errors from the law. Where its messages are one curve of the distance, per product of an attribute
of both bodies, a spline through them has a few dozen numbers, and motion is nearly linear in them:
the steps that find the constants of a law find these as well, a hundred to a thousand times better
than the network knew them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import BSpline, PPoly
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.models.coupled import COUPLINGS, Structure
from gnsim.models.pairwise import Attributes
from gnsim.symbolic.curves import OneCurve, one_curve
from gnsim.symbolic.forms import FittedPotential
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.minimise import assign, minimise, moving
from gnsim.symbolic.normal_equations import RefitError
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.trials import likelier
from gnsim.symbolic.window_errors import error_sizes, mean_error

#: pieces of the curve, in log r; in noise, which would bend more of them; and different distances
#: that each asks for
_PIECES, _PIECES_IN_NOISE, _FOR_A_PIECE = 32, 12, 10
_DEGREE = 3
_ROUNDS = 12
#: a coefficient counts as this share of the usual one at least
_LEAST_SIZE = 1e-3


@dataclass(frozen=True)
class Curve:
    """A cubic spline in log r between `knots`, times the product of the attribute `of`.

    Its constants are one at the start: a B-spline's coefficient is the one in `coefficients` plus
    what its constant is more than one, times its size in `sizes`.
    """

    knots: np.ndarray
    coefficients: np.ndarray
    sizes: np.ndarray
    of: str | None
    strength: float = 1.0
    breaks: bool = False

    @classmethod
    def through(cls, messages: OneCurve, pieces: int = _PIECES) -> "Curve":
        """The least-squares spline through messages, of `pieces` or fewer where these are few."""
        u = np.log(messages.r)
        pieces = min(pieces, len(np.unique(u)) // _FOR_A_PIECE)
        at = np.linspace(0, 1, pieces + 1)
        inner = 0.5 * (np.quantile(u, at) + u[0] + (u[-1] - u[0]) * at)
        inner[0], inner[-1] = u[0], u[-1]
        knots = np.concatenate([[u[0]] * _DEGREE, inner, [u[-1]] * _DEGREE])
        columns = BSpline.design_matrix(u, knots, _DEGREE).toarray()
        coefficients = np.linalg.lstsq(columns, messages.force, rcond=None)[0]
        near = np.pad(np.abs(coefficients), 1)
        sizes = np.max([near[:-2], near[1:-1], near[2:]], axis=0)
        least = _LEAST_SIZE * float(np.median(sizes))
        return cls(knots, coefficients, np.maximum(sizes, least), messages.of)

    @cached_property
    def constants(self) -> Mapping[str, float]:
        return {f"c{k}": 1.0 for k in range(len(self.coefficients))}

    @property
    def directions(self) -> Float[Tensor, "constants _"]:
        """All of it at once: a single coefficient is felt by few windows."""
        return torch.from_numpy(self.coefficients / self.sizes)[:, None]

    def __str__(self) -> str:
        return f"a spline of {len(self.coefficients)} coefficients"

    def pair(self, blur: float) -> "CurvePotential":
        """The curve as a potential, to be fitted; it has no break to blur."""
        del blur
        return CurvePotential(self)

    def at(self, constants: Tensor) -> "Curve":
        """The curve at other values of its constants."""
        coefficients = self.coefficients + self.sizes * (constants.numpy() - 1)
        return replace(self, coefficients=coefficients)

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """Its values; beyond its ends, those at the ends."""
        u = np.log(r).clip(self.knots[0], self.knots[-1])
        return BSpline(self.knots, self.coefficients, _DEGREE)(u)


class CurvePotential(FittedPotential):
    """A `Curve` whose constants are tensors."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        self.of = curve.of
        self.constants = {
            name: torch.tensor(value, dtype=torch.float64)
            for name, value in curve.constants.items()
        }
        kept = curve.knots[:-1] < curve.knots[1:]
        self._from = torch.from_numpy(curve.knots[:-1][kept])
        self._ends = float(curve.knots[0]), float(curve.knots[-1])
        basis = [
            PPoly.from_spline((curve.knots, unit, _DEGREE)).c[:, kept]
            for unit in np.eye(len(curve.coefficients))
        ]
        pieces = torch.from_numpy(np.stack(basis, -1))
        self._start = pieces @ torch.from_numpy(curve.coefficients)
        self._slopes = pieces * torch.from_numpy(curve.sizes)

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        moved = torch.stack([*self.constants.values()]) - 1
        powers = self._start + self._slopes @ moved
        u = torch.log(r).clamp(*self._ends)
        piece = (torch.searchsorted(self._from, u, right=True) - 1).clamp_min(0)
        beyond = u - self._from[piece]
        force = torch.zeros_like(r)
        for of_power in powers:
            force = force * beyond + of_power[piece]
        return force if self.of is None else force * source[self.of] * target[self.of]


def sharpened(
    messages: MessageTable,
    network: Dynamics,
    structure: Structure,
    start: Tensor,
    train: Problem,
    held_out: Problem,
) -> MessageTable | None:
    """Messages read off the curve that predicts `train` best, from the network's on.

    `start` are the network's numbers x for a strength of one. None where the messages are not one
    curve, and where held-out windows do not bear the curve out.
    """
    behind = one_curve(messages)
    if behind is None:
        return None
    curve = Curve.through(behind, _PIECES_IN_NOISE if train.noisy else _PIECES)
    try:
        least = minimise(curve, structure, train, start, 0.0, _ROUNDS)
    except RefitError:
        return None
    model = moving(curve, structure, train.bodies)
    assign(model, least.parameters)
    if not _better(model, network, held_out):
        return None
    count = len(curve.coefficients)
    scaled, _ = COUPLINGS[structure.coupling].counts(train.bodies)
    first, last = start[:scaled], least.parameters[count:][:scaled]
    # what the curve lost to the couplings, or won of them
    scale = float((last @ first) / (first @ first))
    found = curve.at(least.parameters[:count])
    columns = dict(zip(messages.names, messages.X.T, strict=True))
    y = scale * found(columns["r"])
    if behind.of is not None:
        y = y * columns[f"{behind.of}_i"] * columns[f"{behind.of}_j"]
    return replace(messages, y=y)


def _better(model: Dynamics, network: Dynamics, held_out: Problem) -> bool:
    """Whether a dynamics predicts held-out windows better than the network; in noise, likelier."""
    ours, known = (held_out.settled(one) for one in (model, network))
    misfits = known.misfit(), ours.misfit()
    if misfits[0] is not None and misfits[1] is not None:
        return likelier(misfits[0], misfits[1]) > 0
    return mean_error(error_sizes(model, ours)) < mean_error(error_sizes(network, known))
