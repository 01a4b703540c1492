"""A pair force from two frames that lie far apart: where bodies were, and where they got.

Between the frames some meet so closely that their ends tell nothing but chaos, and simulations cut
forces off there. So what is learned comes in the order in which it can be told:

1. A spline (`gnsim.training.curve_fit`) is fitted to the ends of systems whose bodies stay apart,
   through the integrator; then to systems that come closer.
2. The steps that made the data, where they were made in steps: what a method of order n misses is
   linear in the n-th power of its step, and vanishes at the step that was used. Two fits tell it.
3. The size at which forces were cut off, if they were: that which makes the hardest ends likeliest.

No velocity at the second frame is looked at.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics, Split
from gnsim.errors import InputError
from gnsim.graph import displacement, distance, nearest_image
from gnsim.integrators import Integrator, Leapfrog, SymplecticEuler
from gnsim.models.limited import LIMITS, Limited
from gnsim.models.spline import SplinePair
from gnsim.prediction import predict
from gnsim.state import Trajectory
from gnsim.training.curve_fit import Curve, log_error, missed, usual

#: pieces of the spline, the share of closest approaches below it, and the force at the usual
#: acceleration over its scale
_PIECES, _BELOW, _OVER_SCALE = 16, 0.02, 1e3
#: power laws that a spline starts from, the size of their force over the usual one
_POWERS = (-3.0, -2.0, -1.0, 0.0, 1.0)
_STRENGTHS = (-3.0, -1.0, -0.3, -0.1, 0.1, 0.3, 1.0, 3.0)
#: shares of the systems, those that stay apart first, how many of them, steps between the frames
_APART = ((0.3, 300, 20), (0.6, 600, 50))
#: and then, in the steps of the data
_CLOSER = ((0.6, 200), (0.85, 300))
#: what the data may have been made with; systems that tell the step, numbers of steps of two fits,
#: bounds of those that follow, and how many there are at most
_METHODS: tuple[Integrator, ...] = (SymplecticEuler(), Leapfrog())
_TELLING, _TWO, _FEWEST, _MOST, _TRIES = 150, (250, 500), 200, 2000, 6
#: share of the systems that come closest; sizes at which a force may be cut off, over the usual
#: one, and their ratio; by how much the log error must fall, and how well a size is found
_HARDEST, _SIZES, _RATIO, _GAIN, _FOUND = 0.1, (5.0, 5e3), 1.15, 0.5, 1e-7
#: places on the straight way between two frames at which bodies are looked at
_PLACES = 21
_LEAST_SYSTEMS = 100

#: Told in words what was done.
Told = Callable[[str], None]


@dataclass(frozen=True)
class TwoFrames:
    """What was learned: a dynamics, and the steps that it is integrated by.

    The force goes with the product of the `attribute` of both bodies (empty: with none), and was
    cut off at the size `limit`, of the kind `limited` (empty: not at all). `errors` are
    `log_error` of what was tried: of methods on systems whose bodies stay apart, of limits on those
    that come closest.
    """

    model: Split
    integrator: Integrator
    substeps: int
    attribute: str
    limit: float
    limited: str
    errors: Mapping[str, float]

    def ends(self, path: Trajectory) -> Float[Tensor, "nodes dim"]:
        """Positions at the last frame of `path`, from its first."""
        with torch.no_grad():
            return predict(self.model, self.integrator, _ends(path), self.substeps)[0][-1]


def learn_two_frames(train: Trajectory, seed: int, told: Told | None = None) -> TwoFrames:
    """Learns from the first and the last frame of `train`; `seed` says which systems it looks at.

    Raises:
        InputError: fewer than a hundred systems, or systems of different numbers of bodies.
    """
    tell = told or (lambda text: None)
    systems = _Systems(_ends(train), seed)
    curve = _begun(systems, tell)
    for share, count, substeps in _APART:
        curve.fit(systems.pick(share, count), Leapfrog(), substeps)
        tell(f"fitted to systems of the {share:.0%} that stay apart, in {substeps} steps")
    method, substeps, of_methods = _steps_of_the_data(curve, systems, tell)
    for share, count in _CLOSER:
        curve.fit(systems.pick(share, count), method, substeps)
        tell(f"fitted to systems of the {share:.0%} that stay apart, in {substeps} steps")
    limit, limited, of_limits = _limit(curve, systems, method, substeps)
    tell(f"cut off at {limit:.8g} ({limited})" if limited else "not cut off")
    model = Limited(curve.dynamics, limit, limited) if limited else curve.dynamics
    errors = {**of_methods, **of_limits}
    return TwoFrames(model, method, substeps, curve.attribute, limit, limited, errors)


class _Systems:
    """Two frames of many systems, and in which of these the bodies stay apart."""

    def __init__(self, path: Trajectory, seed: int) -> None:
        counts = path.batch.bincount()
        if len(counts) < _LEAST_SYSTEMS:
            raise InputError(
                f"training data: wanted {_LEAST_SYSTEMS} systems or more, found {len(counts)}; "
                "give more trajectories"
            )
        if bool((counts != counts[0]).any()):
            raise InputError(
                "training data: wanted as many bodies in each system, found "
                f"{int(counts.min())} to {int(counts.max())}; train on systems of one size"
            )
        self.path = path
        self.closest = _closest(path)
        self._order = self.closest.argsort(descending=True, stable=True)
        self._generator = torch.Generator().manual_seed(seed)

    def pick(self, share: float, count: int) -> Trajectory:
        """At most `count` systems, drawn from this share of all, those that stay apart most."""
        pool = self._order[: max(1, round(share * len(self._order)))]
        chosen = torch.randperm(len(pool), generator=self._generator)[:count]
        return self.path.systems(pool[chosen])

    @property
    def hardest(self) -> Trajectory:
        """Those whose bodies come closest."""
        return self.path.systems(self._order[-round(_HARDEST * len(self._order)) :])

    @property
    def usual_acceleration(self) -> float:
        """The median of a mean acceleration between the frames."""
        path, span = self.path, float(self.path.t[1] - self.path.t[0])
        off = nearest_image(path.q[1] - path.q[0] - span * path.velocity[0], path.box)
        return 2 * float(off.norm(dim=1).median()) / span**2


def _begun(systems: _Systems, tell: Told) -> Curve:
    """The best of power laws, with no attribute or with one that differs from body to body."""
    share, count, substeps = _APART[0]
    path, size = systems.pick(share, count), systems.usual_acceleration
    r = distance(displacement(path.q[0], path[0].pairs, path.box))
    middle, low, high = float(r.median()), float(systems.closest.quantile(_BELOW)), float(r.max())
    starts = [(s * size / middle**power, power) for power in _POWERS for s in _STRENGTHS]
    names = [name for name, value in path.attributes.items() if bool((value != value[0]).any())]
    tried = []
    for name in ("", *sorted(names)):
        curve = Curve(SplinePair(low, high, _PIECES, size / _OVER_SCALE), name)
        off = []
        for start in starts:
            curve.spline.start(*start)
            errors = missed(curve.dynamics, Leapfrog(), substeps, path)
            off.append(float(errors.square().sum((1, 2)).nan_to_num(torch.inf).median()))
        curve.spline.start(*starts[off.index(min(off))])
        curve.fit(path, Leapfrog(), substeps)
        left = log_error(missed(curve.dynamics, Leapfrog(), substeps, path))
        tell(f"force times the product of {name or 'nothing'}: log error {left:.2f}")
        tried.append((left, curve))
    return min(tried, key=lambda one: one[0])[1]


def _steps_of_the_data(
    curve: Curve, systems: _Systems, tell: Told
) -> tuple[Integrator, int, dict[str, float]]:
    """The method and the number of steps with which the fitted curve misses least."""
    path, start = systems.pick(_CLOSER[0][0], _TELLING), curve.coefficients
    tried = []
    for method in _METHODS:
        curve.coefficients = start
        ends: dict[int, Tensor] = {}
        coming = list(_TWO)
        while coming:
            substeps = coming.pop(0)
            curve.fit(path, method, substeps)
            ends[substeps] = missed(curve.dynamics, method, substeps, path)
            tried.append((log_error(ends[substeps]), method, substeps, curve.coefficients))
            tell(f"{type(method).__name__}, {substeps} steps: log error {tried[-1][0]:.2f}")
            if coming or len(ends) == _TRIES:
                continue
            if (better := _vanishing(ends, method.order)) not in ends:
                coming.append(better)
    best = min(tried, key=lambda one: one[0])
    curve.coefficients = best[3]
    errors = {f"{type(m).__name__}, {steps} steps": left for left, m, steps, _ in tried}
    return best[1], best[2], errors


def _vanishing(ends: Mapping[int, Tensor], order: int) -> int:
    """At how many steps what is missed would vanish, by the last two numbers of steps; in bounds.

    Errors are linear in the `order`-th power of the step, so that this is a secant of them.
    """
    (one, coarse), (other, fine) = list(ends.items())[-2:]
    powers = one**-order, other**-order
    kept = usual(coarse) & usual(fine)
    slope = (coarse[kept] - fine[kept]) / (powers[0] - powers[1])
    rest = fine[kept] - powers[1] * slope
    power = -float((slope * rest).sum() / slope.square().sum())
    return _MOST if power <= 0 else min(max(round(power ** (-1 / order)), _FEWEST), _MOST)


def _limit(
    curve: Curve, systems: _Systems, method: Integrator, substeps: int
) -> tuple[float, str, dict[str, float]]:
    """The size at which forces were cut off, and what of them; infinite and empty for none."""
    easy, hardest = systems.pick(_CLOSER[1][0], _TELLING), systems.hardest
    # below this, errors are those of the curve and not of a limit
    floor = float(missed(curve.dynamics, method, substeps, easy).square().mean((1, 2)).median())

    def left(dynamics: Dynamics) -> float:
        return log_error(missed(dynamics, method, substeps, hardest), floor)

    def left_at(kind: str, size: float) -> float:
        return left(Limited(curve.dynamics, math.exp(size), kind))

    low, high = (math.log(size * systems.usual_acceleration) for size in _SIZES)
    width, free = math.log(_RATIO), left(curve.dynamics)
    found = {}
    for kind in LIMITS:
        at = partial(left_at, kind)
        size = min(torch.arange(low, high, width).tolist(), key=at)
        found[kind] = _least(at, size - width, size + width)
    errors = {"no limit": free, **{f"limit of {kind}": e for kind, (_, e) in found.items()}}
    kind = min(found, key=lambda one: found[one][1])
    size, error = found[kind]
    return (math.exp(size), kind, errors) if error < free - _GAIN else (math.inf, "", errors)


def _least(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Where a function with one minimum between has it, and its value there.

    By golden sections: the mean logarithm of errors has a cusp where these vanish.
    """
    share = (5**0.5 - 1) / 2
    inner = [high - share * (high - low), low + share * (high - low)]
    values = [function(x) for x in inner]
    while high - low > _FOUND:
        if values[0] < values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - share * (high - low)
            values[0] = function(inner[0])
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + share * (high - low)
            values[1] = function(inner[1])
    best = values.index(min(values))
    return inner[best], values[best]


def _closest(path: Trajectory) -> Float[Tensor, " systems"]:
    """The least distance of two bodies of a system on straight ways between the frames."""
    source, target = path[0].pairs
    begin, end = (nearest_image(q[source] - q[target], path.box) for q in path.q)
    share = torch.linspace(0, 1, _PLACES, dtype=path.q.dtype)[:, None, None]
    r = (begin + share * nearest_image(end - begin, path.box)).norm(dim=-1).amin(0)
    return r.view(path.num_systems, -1).amin(1)


def _ends(path: Trajectory) -> Trajectory:
    """The first and the last frame, in double precision."""
    return path.frames(slice(None, None, len(path) - 1)).to(torch.float64)
