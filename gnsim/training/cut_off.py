"""The size at which forces were cut off, as simulations do it in close encounters.

A cut-off takes effect in close encounters, of which a spline that was fitted to others knows
little, and a limit can make up for any fault of it a bit. So one is believed only where the systems
that it changes usually come down four tenths of the way to what the others are missed by (in the
logarithm); softened charges without any brought a limit to a quarter of it.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch

from gnsim.dynamics import Dynamics
from gnsim.models.limited import LIMITS, Limited
from gnsim.training.fitted_spline import FittedSpline, log_error, missed
from gnsim.training.frame_pairs import FramePairs
from gnsim.training.steps_of_data import Steps

#: sizes that are tried, over the usual force, their ratio, and how well the logarithm is found
_SIZES, _RATIO, _FOUND = (5.0, 5e3), 1.15, 1e-7
#: share of the log error beyond that of other systems that a limit must usually take away
_EXPLAINED = 0.4
#: share of its log error by which a limit changes a system at least
_CHANGED = 1e-6
#: share and number of the other systems
_SHARE, _OTHERS = 0.85, 150


class CutOff(NamedTuple):
    """The size of a force (infinite for none) and what of it, a name of `LIMITS` (empty for none).

    `errors` holds the `log_error` of the hardest systems with no limit and with the best of each
    kind, and ``other systems``, the logarithm of the usual one of these; `explained` how much of
    what they miss beyond that the best limit takes away, of the systems that it changes, usually.
    """

    limit: float
    kind: str
    errors: Mapping[str, float]
    explained: float


def cut_off(spline: FittedSpline, pairs: FramePairs, steps: Steps) -> CutOff:
    """The limit with which the hardest systems are missed least, if that explains most of it."""
    by = steps.method, steps.substeps
    others, hardest = pairs.pick(_SHARE, _OTHERS), pairs.hardest
    floor = float(missed(spline.dynamics, *by, others).square().mean((1, 2)).median())
    floor = max(floor, torch.finfo(torch.float64).tiny)

    def left(dynamics: Dynamics) -> float:
        return log_error(missed(dynamics, *by, hardest), floor)

    def left_at(kind: str, size: float) -> float:
        return left(Limited(spline.dynamics, math.exp(size), kind))

    low, high = (math.log(size * pairs.usual_force) for size in _SIZES)
    width, free = math.log(_RATIO), left(spline.dynamics)
    found = {}
    for kind in LIMITS:
        at = partial(left_at, kind)
        size = min(torch.arange(low, high, width).tolist(), key=at)
        found[kind] = least(at, size - width, size + width)
    errors = {"other systems": math.log(floor), "no limit": free}
    errors |= {f"limit of {kind}": error for kind, (_, error) in found.items()}
    kind = min(found, key=lambda one: found[one][1])
    limit = math.exp(found[kind][0])
    before, after = (
        (missed(one, *by, hardest).square().mean((1, 2)) + floor).log() - math.log(floor)
        for one in (spline.dynamics, Limited(spline.dynamics, limit, kind))
    )
    changed = (after - before).abs() > _CHANGED * before
    explained = float((1 - after / before)[changed].median()) if bool(changed.any()) else 0.0
    if explained < _EXPLAINED:
        return CutOff(math.inf, "", errors, explained)
    return CutOff(limit, kind, errors, explained)


def least(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
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
