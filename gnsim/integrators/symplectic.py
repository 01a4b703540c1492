"""Explicit symplectic methods for ``H = T(p) + V(q)``: kicks and drifts, coefficients as data.

kick  p <- p + a dt F(q)        `kicks` (with drag or a magnetic field, its exact flow)
drift q <- q + b dt p / m       `drifts`
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast, final

from torch import Tensor

from gnsim.dynamics import Dynamics, Split
from gnsim.integrators.base import Integrator
from gnsim.state import State


@dataclass(frozen=True)
class Composition(Integrator):
    """Stages of a kick followed by a drift; a coefficient of zero is left out."""

    kicks: ClassVar[tuple[float, ...]]
    drifts: ClassVar[tuple[float, ...]]
    symplectic = True
    needs_separable = True

    @final
    def step(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> State:
        self.accept(dynamics)
        split = cast(Split, dynamics)
        for kick, drift in zip(self.kicks, self.drifts, strict=True):
            if kick:
                state = split.kick(state, kick * dt)
            if drift:
                state = state.moved(state.q + drift * dt * state.velocity, state.p)
        return state


def _symmetric(half: tuple[float, ...]) -> tuple[float, ...]:
    """Weights ``w_1 ... w_m ... w_1``; the middle one makes them add up to 1."""
    return (*half, 1 - 2 * sum(half), *reversed(half))


def _leapfrog_kicks(weights: tuple[float, ...]) -> tuple[float, ...]:
    return (0.0, *weights)


def _leapfrog_drifts(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Leapfrogs (drift-kick-drift) of these weights in a row, neighbouring half drifts joined."""
    ends = (0.0, *weights, 0.0)
    return tuple((a + b) / 2 for a, b in pairwise(ends))


@final
class SymplecticEuler(Composition):
    """Order 1: kick, then drift. R. D. Ruth (1983), doi:10.1109/TNS.1983.4332919."""

    order = 1
    force_evaluations = 1
    kicks = (1.0,)
    drifts = (1.0,)


@final
class Leapfrog(Composition):
    """Order 2, velocity form: kick, drift, kick. L. Verlet (1967), doi:10.1103/PhysRev.159.98."""

    order = 2
    force_evaluations = 2
    kicks = (0.5, 0.5)
    drifts = (1.0, 0.0)


@final
class Ruth3(Composition):
    """Order 3, three stages, not symmetric. R. D. Ruth (1983), doi:10.1109/TNS.1983.4332919."""

    order = 3
    force_evaluations = 3
    kicks = (7 / 24, 3 / 4, -1 / 24)
    drifts = (2 / 3, -2 / 3, 1.0)


@final
class Yoshida4(Composition):
    """Order 4, three leapfrogs: the method of Forest and Ruth.

    E. Forest, R. D. Ruth (1990), doi:10.1016/0167-2789(90)90019-L;
    H. Yoshida (1990), doi:10.1016/0375-9601(90)90092-3.
    """

    order = 4
    force_evaluations = 3
    weights = _symmetric((1 / (2 - 2 ** (1 / 3)),))
    kicks = _leapfrog_kicks(weights)
    drifts = _leapfrog_drifts(weights)


@final
class Yoshida6(Composition):
    """Order 6, seven leapfrogs. H. Yoshida (1990), solution A, doi:10.1016/0375-9601(90)90092-3."""

    order = 6
    force_evaluations = 7
    weights = _symmetric((0.78451361047755726382, 0.23557321335935813368, -1.17767998417887100695))
    kicks = _leapfrog_kicks(weights)
    drifts = _leapfrog_drifts(weights)


@final
class KahanLi6(Composition):
    """Order 6, nine leapfrogs, a smaller error than `Yoshida6` at equal cost.

    W. Kahan, R.-C. Li (1997), doi:10.1090/S0025-5718-97-00873-9.
    """

    order = 6
    force_evaluations = 9
    weights = _symmetric(
        (
            0.39216144400731413928,
            0.33259913678935943860,
            -0.70624617255763935981,
            0.08221359629355080023,
        )
    )
    kicks = _leapfrog_kicks(weights)
    drifts = _leapfrog_drifts(weights)


@final
class KahanLi8(Composition):
    """Order 8, seventeen leapfrogs: for long rollouts to rounding in float64.

    W. Kahan, R.-C. Li (1997), doi:10.1090/S0025-5718-97-00873-9.
    """

    order = 8
    force_evaluations = 17
    weights = _symmetric(
        (
            0.13020248308889008088,
            0.56116298177510838456,
            -0.38947496264484728641,
            0.15884190655515560090,
            -0.39590389413323757734,
            0.18453964097831570709,
            0.25837438768632204729,
            0.29501172360931029887,
        )
    )
    kicks = _leapfrog_kicks(weights)
    drifts = _leapfrog_drifts(weights)
