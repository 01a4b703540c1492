"""Sharpened messages: the force curve behind them, fitted to the trajectories themselves.

A network that was trained for a minute knows forces to a percent, and an engine cannot tell its
errors from the law. Where its messages are one curve of the distance, per product of an attribute
of both bodies, a spline through them has a few dozen numbers, and motion is nearly linear in them:
the steps that find the constants of a law find these as well, a hundred to a thousand times better
than the network knew them. Beside the spline stands what else the attributes might do: where the
trajectories show that they do it, messages are no curve, and stay as the network has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import BSpline
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.models.coupled import COUPLINGS, Structure
from gnsim.models.pairwise import Attributes
from gnsim.models.spline import DEGREE, CubicSpline
from gnsim.normal_equations import RefitError
from gnsim.symbolic.curves import OneCurve, one_curve
from gnsim.symbolic.forms import FittedPotential
from gnsim.symbolic.messages import MessageTable, attribute_names
from gnsim.symbolic.minimise import Minimum, assign, dynamics_of, minimise
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.trials import likelier
from gnsim.symbolic.window_errors import error_sizes, mean_error

#: pieces of the curve, in log r; in noise, which would bend more of them; and different distances
#: that each asks for
_PIECES, _PIECES_IN_NOISE, _FOR_A_PIECE = 32, 12, 10
_ROUNDS = 12
#: a coefficient counts as this share of the usual one at least
_LEAST_SIZE = 1e-3
#: an attribute has a say where it changes forces by this share, and by so many standard errors
_SAY, _SURE = 1e-4, 5.0
#: messages are read where their error is below this share of them, or so many times the usual one
_KNOWN, _UNUSUAL = 0.01, 10.0
#: by how much likelier noisy windows must become
_NATS = 5.0


@dataclass(frozen=True)
class Feature:
    """The sum or the product of an attribute of both bodies, of mean zero and deviation one."""

    attribute: str
    product: bool
    mean: float
    deviation: float

    def __call__(self, source: Attributes, target: Attributes) -> Tensor:
        """Its values, [pairs]."""
        one, other = source[self.attribute], target[self.attribute]
        return ((one * other if self.product else one + other) - self.mean) / self.deviation


def features(messages: MessageTable) -> tuple[Feature, ...]:
    """Those that differ from message to message."""
    columns = dict(zip(messages.names, messages.X.T, strict=True))
    found = []
    for name in attribute_names(messages.names):
        one, other = columns[f"{name}_i"], columns[f"{name}_j"]
        for product, values in ((False, one + other), (True, one * other)):
            if np.ptp(values) > 0:
                found.append(Feature(name, product, float(values.mean()), float(values.std())))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Curve:
    """A cubic spline in log r between `knots`, times the product of the attribute `of`.

    Constants ``c0, c1, ...`` are one at the start: the coefficient of a B-spline is the one in
    `coefficients` plus what its constant is more than one, times its size in `sizes`. Constants
    ``a0, a1, ...`` are zero: the force is multiplied by one plus their products with `features`.
    """

    knots: Float[np.ndarray, " knots"]
    coefficients: Float[np.ndarray, " splines"]
    sizes: Float[np.ndarray, " splines"]
    of: str | None
    features: tuple[Feature, ...] = ()
    strength: float = 1.0
    breaks: bool = False

    @classmethod
    def through(
        cls, messages: OneCurve, features: tuple[Feature, ...] = (), pieces: int = _PIECES
    ) -> "Curve":
        """The least-squares spline through messages, of `pieces` or fewer where these are few."""
        u = np.log(messages.r)
        pieces = min(pieces, len(np.unique(u)) // _FOR_A_PIECE)
        at = np.linspace(0, 1, pieces + 1)
        inner = 0.5 * (np.quantile(u, at) + u[0] + (u[-1] - u[0]) * at)
        inner[0], inner[-1] = u[0], u[-1]
        knots = np.concatenate([[u[0]] * DEGREE, inner, [u[-1]] * DEGREE])
        columns = BSpline.design_matrix(u, knots, DEGREE).toarray()
        coefficients = np.linalg.lstsq(columns, messages.force, rcond=None)[0]
        near = np.pad(np.abs(coefficients), 1)
        sizes = np.max([near[:-2], near[1:-1], near[2:]], axis=0)
        least = _LEAST_SIZE * float(np.median(sizes))
        return cls(knots, coefficients, np.maximum(sizes, least), messages.of, features)

    @cached_property
    def constants(self) -> Mapping[str, float]:
        splines = {f"c{k}": 1.0 for k in range(len(self.coefficients))}
        return {**splines, **{f"a{k}": 0.0 for k in range(len(self.features))}}

    @property
    def directions(self) -> Float[Tensor, "constants _"]:
        """All of it at once, for a single coefficient is felt by few windows; and each feature."""
        splines, count = len(self.coefficients), len(self.constants)
        found = torch.zeros(count, 1 + len(self.features), dtype=torch.float64)
        found[:splines, 0] = torch.from_numpy(self.coefficients / self.sizes)
        found[splines:, 1:] = torch.eye(len(self.features), dtype=torch.float64)
        return found

    def __str__(self) -> str:
        return f"a spline of {len(self.coefficients)} coefficients"

    def pair(self, blur: float) -> "CurvePotential":
        """The curve as a potential, to be fitted; it has no break to blur."""
        del blur
        return CurvePotential(self)

    def columns(self, r: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n splines"]:
        """What each coefficient adds; beyond the ends of the curve, as at its ends."""
        u = np.log(r).clip(self.knots[0], self.knots[-1])
        return BSpline.design_matrix(u, self.knots, DEGREE).toarray()

    def at(self, constants: Float[Tensor, " constants"]) -> Float[np.ndarray, " splines"]:
        """The coefficients at other values of the constants."""
        moved = constants[: len(self.coefficients)].numpy() - 1
        return self.coefficients + self.sizes * moved


class CurvePotential(FittedPotential):
    """A `Curve` whose constants are tensors."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        self.of, self.features = curve.of, curve.features
        self.constants = {
            name: torch.tensor(value, dtype=torch.float64)
            for name, value in curve.constants.items()
        }
        self.spline = CubicSpline(curve.knots)
        self._start = self.spline.basis @ torch.from_numpy(curve.coefficients)
        self._slopes = self.spline.basis * torch.from_numpy(curve.sizes)

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        constants = torch.stack([*self.constants.values()])
        splines, shares = constants.split([self._slopes.shape[-1], len(self.features)])
        powers = self._start + self._slopes @ (splines - 1)
        force = self.spline.value(powers, torch.log(r))
        if self.of is not None:
            force = force * source[self.of] * target[self.of]
        for share, feature in zip(shares, self.features, strict=True):
            force = force * (1 + share * feature(source, target))
        return force


def sharpened(
    messages: MessageTable,
    network: Dynamics,
    structure: Structure,
    start: Float[Tensor, " numbers"],
    train: Problem,
    held_out: Problem,
) -> MessageTable | None:
    """Messages read off the curve that predicts `train` best, from the network's on.

    Those that the windows hardly determine are left out. `start` are the network's numbers x for a
    strength of one. None where the messages are not one curve, where an attribute has a say beyond
    it, and where held-out windows do not bear the curve out.
    """
    behind = one_curve(messages)
    if behind is None:
        return None
    pieces = _PIECES_IN_NOISE if train.noisy else _PIECES
    curve = Curve.through(behind, features(messages), pieces)
    try:
        least = minimise(curve, structure, train, start, 0.0, _ROUNDS)
    except RefitError:
        return None
    model = dynamics_of(curve, structure, train.bodies)
    assign(model, least.parameters)
    if _attributes_have_a_say(curve, least) or not _better(model, network, held_out):
        return None
    y, error = _read_off(curve, least, messages, structure, start, train.bodies)
    relative = error / (np.abs(y) + _KNOWN * np.median(np.abs(y)))
    known = relative <= max(_KNOWN, _UNUSUAL * float(np.median(relative)))
    return replace(messages, X=messages.X[known], y=y[known])


def _attributes_have_a_say(curve: Curve, least: Minimum) -> bool:
    splines = len(curve.coefficients)
    shares, errors = least.estimate(lambda p: p[splines : splines + len(curve.features)])
    return bool((shares.abs() > torch.maximum(_SURE * errors, torch.tensor(_SAY))).any())


def _read_off(
    curve: Curve,
    least: Minimum,
    messages: MessageTable,
    structure: Structure,
    start: Float[Tensor, " numbers"],
    bodies: int,
) -> tuple[Float[np.ndarray, " samples"], Float[np.ndarray, " samples"]]:
    """The messages of a fitted curve for the couplings of `start`, and their standard errors.

    Curve and couplings share a scale that nothing tells: what one has won the other has lost.
    """
    columns = dict(zip(messages.names, messages.X.T, strict=True))
    of = torch.from_numpy(curve.columns(columns["r"]))
    if curve.of is not None:
        product = columns[f"{curve.of}_i"] * columns[f"{curve.of}_j"]
        of = of * torch.from_numpy(product)[:, None]
    scaled, charges = COUPLINGS[structure.coupling].counts(bodies)

    def read(parameters: Tensor) -> Tensor:
        strengths, hidden, _ = torch.tensor_split(
            parameters[len(curve.constants) :], (scaled, scaled + charges)
        )
        scale = _ratio(strengths, start[:scaled])
        if charges:
            scale = scale * _ratio(hidden, start[scaled : scaled + charges]) ** 2
        return scale * (of @ torch.from_numpy(curve.at(parameters)))

    y, error = least.estimate(read)
    return y.numpy(), error.numpy()


def _ratio(last: Tensor, first: Tensor) -> Tensor:
    return (last @ first) / (first @ first)


def _better(model: Dynamics, network: Dynamics, held_out: Problem) -> bool:
    """Whether a dynamics predicts held-out windows better than the network; in noise, likelier."""
    ours, known = (held_out.settled(one) for one in (model, network))
    misfits = known.misfit(), ours.misfit()
    if misfits[0] is not None and misfits[1] is not None:
        return likelier(misfits[0], misfits[1]) > _NATS
    return mean_error(error_sizes(model, ours)) < mean_error(error_sizes(network, known))
