"""By which steps data were made, where a computer made them in steps.

What a method of order n misses is linear in the n-th power of its step, and vanishes at the step
that was used, if that was the method. Two fits tell where; from there on, the last two.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gnsim.integrators import Integrator, KahanLi6, Leapfrog, SymplecticEuler
from gnsim.training.fitted_spline import FittedSpline, Told, log_error, missed, usual
from gnsim.training.frame_pairs import FramePairs

#: the methods that are tried; and what integrates where no step is told
METHODS: tuple[Integrator, ...] = (SymplecticEuler(), Leapfrog())
FINE = (KahanLi6(), 100)
#: share and number of the systems that tell, numbers of steps of two fits, and fits at most
_SHARE, _TELLING, _TWO, _TRIES = 0.6, 150, (250, 500), 6
#: numbers of steps that can be told
FEWEST, MOST = 20, 4000


class Steps(NamedTuple):
    """A method and its number of steps; `told` says whether the data tell them.

    `errors` holds the `log_error` of all that was tried, on systems whose bodies stay apart.
    """

    method: Integrator
    substeps: int
    told: bool
    errors: Mapping[str, float]


def steps_of_the_data(spline: FittedSpline, pairs: FramePairs, tell: Told) -> Steps:
    """The method and the number of steps with which the fitted spline misses least.

    The one that integrates finely, unless another misses less at a number of steps at which its
    errors vanish. The spline is left as fitted with them.
    """
    path, start = pairs.pick(_SHARE, _TELLING), spline.coefficients
    errors: dict[str, float] = {}

    def fitted(method: Integrator, substeps: int) -> Tensor:
        spline.fit(path, method, substeps)
        off = missed(spline.dynamics, method, substeps, path)
        name = f"{type(method).__name__}, {substeps} steps"
        errors[name] = log_error(off)
        tell(f"{name}: log error {errors[name]:.2f}")
        return off

    off = fitted(*FINE)
    best: tuple[float, Integrator, int, bool, Tensor]
    best = (log_error(off), *FINE, False, spline.coefficients)
    for method in METHODS:
        spline.coefficients = start
        off_in: dict[int, Tensor] = {substeps: fitted(method, substeps) for substeps in _TWO}
        while (substeps := vanishing(off_in, method.order)) is not None:
            if substeps in off_in or len(off_in) == _TRIES:
                break
            off_in[substeps] = fitted(method, substeps)
            if (left := log_error(off_in[substeps])) < best[0]:
                best = (left, method, substeps, True, spline.coefficients)
    spline.coefficients = best[4]
    return Steps(*best[1:4], errors)


def vanishing(off_in: Mapping[int, Tensor], order: int) -> int | None:
    """At how many steps what is missed would vanish, by the last two numbers of steps.

    A secant in the `order`-th power of the step. None where that is no number that can be told.
    """
    (one, coarse), (other, fine) = list(off_in.items())[-2:]
    powers = one**-order, other**-order
    kept = usual(coarse) & usual(fine)
    slope = (coarse[kept] - fine[kept]) / (powers[0] - powers[1])
    rest = fine[kept] - powers[1] * slope
    power = -float(
        (slope * rest).sum() / slope.square().sum().clamp_min(torch.finfo(rest.dtype).tiny)
    )
    if power <= 0:
        return None
    steps = round(power ** (-1 / order))
    return steps if FEWEST <= steps <= MOST else None
