"""A pair force from two frames that lie far apart: where bodies were, and where they got.

Between the frames some meet so closely that their ends tell little but chaos. So what is learned
comes in the order in which it can be told:

1. A spline (`gnsim.training.fitted_spline`) is fitted to the ends of systems whose bodies stay
   apart, through the integrator; then to systems that come closer.
2. The steps that made the data, where they were made in steps (`gnsim.training.steps_of_data`).
3. The size at which forces were cut off, if they were (`gnsim.training.cut_off`).

Given are: forces between pairs, along the line between two bodies, equal and opposite, and with
the product of one attribute of both or of none; the masses of the data, or one; the methods and the
kinds of cut-off that are tried. No velocity at the second frame is looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Split
from gnsim.errors import InputError
from gnsim.graph import displacement, distance
from gnsim.integrators import Leapfrog
from gnsim.models.limited import Limited
from gnsim.models.spline import SplinePair
from gnsim.prediction import predict
from gnsim.state import Trajectory
from gnsim.training.cut_off import CutOff, cut_off
from gnsim.training.fitted_spline import FittedSpline, Told, log_error, missed
from gnsim.training.frame_pairs import FramePairs, ends
from gnsim.training.steps_of_data import Steps, steps_of_the_data

#: pieces of the spline, the share of closest approaches below it, and the usual force over its
#: scale
_PIECES, _BELOW, _OVER_SCALE = 16, 0.02, 1e3
#: power laws that a spline starts from, and the size of their force over the usual one
_POWERS = (-3.0, -2.0, -1.0, 0.0, 1.0)
_STRENGTHS = (-3.0, -1.0, -0.3, -0.1, 0.1, 0.3, 1.0, 3.0)
#: shares of the systems, those that stay apart first, how many of them, steps between the frames
_APART = ((0.3, 300, 20), (0.6, 600, 50))
#: and then, in the steps of the data; and the share of these by which others are measured: of all
#: systems, many may be beyond any curve, where forces were cut off
_CLOSER = ((0.6, 200, 0.5), (0.85, 300, 0.5), (1.0, 300, 0.6), (1.0, 300, 0.7))
#: by how much the log error must be below that of free motion
_EXPLAINED = 1.0


@dataclass(frozen=True)
class TwoFrames:
    """What was learned: a dynamics, and the steps that it is integrated by.

    The force goes with the product of the `attribute` of both bodies (empty: with none). `tried`
    holds the `log_error` of each attribute, on systems whose bodies stay apart.
    """

    model: Split
    attribute: str
    steps: Steps
    cut_off: CutOff
    tried: Mapping[str, float]

    def ends(self, path: Trajectory) -> Float[Tensor, "nodes dim"]:
        """Positions at the time of the last frame of `path`, from its first.

        Raises:
            ValueError: the bodies of `path` lack the attribute that the force goes with.
        """
        if self.attribute and self.attribute not in path.attributes:
            raise ValueError(f"{self.attribute}: wanted for each body, as in training; found none")
        by = self.steps.method, ends(path), self.steps.substeps
        with torch.no_grad():
            return predict(self.model, *by)[0][-1]


def learn_two_frames(train: Trajectory, seed: int, told: Told | None = None) -> TwoFrames:
    """Learns from the first and the last frame of `train`; `seed` says which systems it looks at.

    `told` hears in words what was done.

    Raises:
        InputError: fewer than a hundred systems of equally many bodies, velocities that are not
            given or noisy, numbers that are not finite, bodies in one place or all at rest, or
            ends that no pair force explains.
    """
    tell = told or (lambda text: None)
    pairs = FramePairs(train, seed)
    spline, tried = _begun(pairs, tell)
    for share, count, substeps in _APART:
        spline.fit(pairs.pick(share, count), Leapfrog(), substeps)
        tell(f"fitted to systems of the {share:.0%} that stay apart, in {substeps} steps")
    steps = steps_of_the_data(spline, pairs, tell)
    for share, count, measure in _CLOSER:
        spline.fit(pairs.pick(share, count), steps.method, steps.substeps, measure)
        tell(f"fitted to systems of the {share:.0%} that stay apart, in {steps.substeps} steps")
    found = cut_off(spline, pairs, steps)
    tell(f"cut off at {found.limit:.8g} ({found.kind})" if found.kind else "not cut off")
    pull = spline.dynamics
    model = Limited(pull, found.limit, found.kind) if found.kind else pull
    return TwoFrames(model, spline.attribute, steps, found, tried)


def _begun(pairs: FramePairs, tell: Told) -> tuple[FittedSpline, dict[str, float]]:
    """The best of power laws, with no attribute or with one that differs from body to body."""
    share, count, substeps = _APART[0]
    path = pairs.pick(share, count)
    r = distance(displacement(path.q[0], path[0].pairs, path.box))
    low, high = float(pairs.closest.quantile(_BELOW)), float(r.max())
    best, tried = None, {}
    for name, product in {"": 1.0, **_products(path)}.items():
        size = pairs.usual_force / product
        spline = FittedSpline(SplinePair(low, high, _PIECES, size / _OVER_SCALE), name)
        _start(spline, size, float(r.median()), path, substeps)
        spline.fit(path, Leapfrog(), substeps)
        tried[name or "none"] = log_error(missed(spline.dynamics, Leapfrog(), substeps, path))
        tell(
            f"force times the product of {name or 'nothing'}: log error {tried[name or 'none']:.2f}"
        )
        if tried[name or "none"] == min(tried.values()):
            best = spline
    free = FittedSpline(SplinePair(low, high, _PIECES, pairs.usual_force), "")
    nothing = log_error(missed(free.dynamics, Leapfrog(), substeps, path))
    if best is None or min(tried.values()) > nothing - _EXPLAINED:
        raise InputError(
            "training data: no force between pairs explains where bodies get to, alone or with "
            f"{', '.join(_products(path)) or 'an attribute'}; masses or charges may be missing"
        )
    return best, tried


def _products(path: Trajectory) -> dict[str, float]:
    """The usual size of the product of each attribute that differs from body to body."""
    sizes = {}
    source, target = path[0].pairs
    for name, value in sorted(path.attributes.items()):
        product = (value[source] * value[target]).abs()
        if bool((value != value[0]).any()) and bool((product > 0).any()):
            sizes[name] = float(product[product > 0].median())
    return sizes


def _start(
    spline: FittedSpline, size: float, middle: float, path: Trajectory, substeps: int
) -> None:
    """Starts from the power law that misses least."""
    starts = [(s * size / middle**power, power) for power in _POWERS for s in _STRENGTHS]
    off = []
    for start in starts:
        spline.spline.start(*start)
        errors = missed(spline.dynamics, Leapfrog(), substeps, path)
        off.append(float(errors.square().sum((1, 2)).median()))
    spline.spline.start(*starts[off.index(min(off))])
