"""Cubic splines in log r: a pair force of a few dozen numbers, in which motion is nearly linear."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import PPoly
from torch import Tensor

from gnsim.models.pairwise import Attributes, PairPotential

DEGREE = 3
#: e to this power is far beyond any ratio of forces
_LARGEST = 60.0


class CubicSpline:
    """The cubic B-splines on `knots`, those at both ends repeated, as powers on each piece.

    In double precision.

    `basis` [powers, pieces, splines] times coefficients are the powers of a spline, the highest
    first, of what lies beyond the beginning of each piece. `centres` are where a straight line has
    its coefficients (Greville's abscissae).
    """

    def __init__(self, knots: Float[np.ndarray, " knots"]) -> None:
        kept = knots[:-1] < knots[1:]
        count = len(knots) - DEGREE - 1
        units = (PPoly.from_spline((knots, unit, DEGREE)) for unit in np.eye(count))
        self.basis = torch.from_numpy(np.stack([unit.c[:, kept] for unit in units], -1))
        self.begins = torch.from_numpy(knots[:-1][kept])
        self.ends = float(knots[0]), float(knots[-1])
        inner = np.stack([knots[k : k + count] for k in range(1, DEGREE + 1)])
        self.centres = torch.from_numpy(inner.mean(0))

    def value(
        self, powers: Float[Tensor, "powers pieces"], u: Float[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """That of a spline of these powers; beyond its ends, as at them."""
        u = u.clamp(*self.ends)
        piece = (torch.searchsorted(self.begins, u, right=True) - 1).clamp_min(0)
        beyond = u - self.begins[piece]
        value = torch.zeros_like(u)
        for of_power in powers:
            value = value * beyond + of_power[piece]
        return value

    def end_slopes(self, powers: Float[Tensor, "powers pieces"]) -> tuple[Tensor, Tensor]:
        """The derivatives at both ends."""
        width = self.ends[1] - self.begins[-1]
        cubic, square, line, _ = powers[:, -1]
        return powers[-2, 0], (3 * cubic * width + 2 * square) * width + line


class SplinePair(PairPotential):
    """``dV/dr = s sinh(f(log r))``: f a cubic spline, straight beyond its ends.

    Where the force is many times the `scale` s, a straight f is a power law, and any curve of one
    sign is as smooth as it is in log-log; below, f passes through zero where the force does.
    """

    coefficients: Tensor

    def __init__(self, low: float, high: float, pieces: int, scale: float) -> None:
        super().__init__()
        inner = np.linspace(math.log(low), math.log(high), pieces + 1)
        self.spline = CubicSpline(np.pad(inner, DEGREE, mode="edge"))
        self.scale = scale
        self.register_buffer("coefficients", torch.zeros_like(self.spline.centres))

    def start(self, strength: float, power: float) -> None:
        """Makes the force ``strength r^power``.

        Raises:
            ValueError: a strength of zero, which has no logarithm.
        """
        if strength == 0:
            raise ValueError("strength: wanted a number that is not zero, found 0")
        size = math.log(2 * abs(strength) / self.scale) + power * self.spline.centres
        self.coefficients = math.copysign(1.0, strength) * size

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        powers = self.spline.basis @ self.coefficients
        u = torch.log(r.clamp_min(torch.finfo(r.dtype).tiny))
        low, high = (u - end for end in self.spline.ends)
        first, last = self.spline.end_slopes(powers)
        f = self.spline.value(powers, u) + low.clamp_max(0) * first + high.clamp_min(0) * last
        return self.scale * torch.sinh(f.clamp(-_LARGEST, _LARGEST))
