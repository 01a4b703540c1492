"""Runge-Kutta methods of torchdiffeq, with its failures told apart.

torchdiffeq solves ``dz/ds = dt f(z)`` over s in [0, 1], so that dt may be negative or carry a
gradient. It is imported at the first step, because it takes a second.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.integrators.base import IntegrationError, Integrator
from gnsim.state import State

Phase = tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]

#: a state this many times larger than at the start of the step has blown up
_BLOW_UP = 1e6


def _solve(right_hand_side, state: State, method: str, options: dict, **tolerances: float) -> State:
    from torchdiffeq import odeint

    ends = torch.tensor([0.0, 1.0], dtype=state.q.dtype, device=state.q.device)
    start = (state.q, state.p)
    q, p = odeint(right_hand_side, start, ends, method=method, options=options, **tolerances)
    return state.moved(q[-1], p[-1])


@dataclass(frozen=True)
class FixedRungeKutta(Integrator):
    """One step of an explicit method of torchdiffeq."""

    method: ClassVar[str]
    symplectic = False
    needs_separable = False

    @final
    def step(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> State:
        def right_hand_side(_: Tensor, phase: Phase) -> Phase:
            dq, dp = dynamics.vector_field(state.moved(*phase))
            return dt * dq, dt * dp

        return _solve(right_hand_side, state, self.method, {})


@final
class Euler(FixedRungeKutta):
    """Order 1, explicit: a baseline, it gains energy at every step."""

    order = 1
    force_evaluations = 1
    method = "euler"


@final
class RK2(FixedRungeKutta):
    """Order 2, the explicit midpoint method. C. Runge (1895), doi:10.1007/BF01446807."""

    order = 2
    force_evaluations = 2
    method = "midpoint"


@final
class RK4(FixedRungeKutta):
    """Order 4, Kutta's 3/8 rule. W. Kutta (1901), Z. Math. Phys. 46, 435."""

    order = 4
    force_evaluations = 4
    method = "rk4"


@dataclass(frozen=True)
class AdaptiveRungeKutta(Integrator):
    """Steps chosen by torchdiffeq within `dt`, to the error ``atol + rtol |z|`` of each.

    Gives up after `max_num_steps`. Raises IntegrationError, with a message of its own for a stiff
    problem, a vanishing step, a blow-up and a right-hand side that is not finite.
    """

    rtol: float = 1e-9
    atol: float = 1e-12
    max_num_steps: int = 10_000
    method: ClassVar[str]
    symplectic = False
    needs_separable = False

    @final
    def step(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> State:
        watched = _Watched(dynamics, state, dt)
        # step_t ends a step at s = 1: otherwise the end is interpolated, at a lower order
        options = {"max_num_steps": self.max_num_steps, "step_t": watched.end}
        try:
            return _solve(watched, state, self.method, options, rtol=self.rtol, atol=self.atol)
        except AssertionError as error:
            raise IntegrationError(self._cause(watched, str(error))) from error

    def _cause(self, watched: "_Watched", assertion: str) -> str:
        where = f"{type(self).__name__} within a step of dt = {float(watched.dt):g}"
        if watched.growth() > _BLOW_UP:
            return (
                f"blow-up in {where}: the state grew {watched.growth():.1e}-fold; "
                "use a shorter time span or check the sign of the force"
            )
        if assertion.startswith("max_num_steps"):
            return (
                f"stiff or singular problem in {where}: {self.max_num_steps} steps did not reach "
                "its end; raise rtol and atol, raise max_num_steps or use implicit_midpoint"
            )
        return (
            f"step size underflow in {where}: the step shrank below rounding, as at a collision; "
            "soften the force, raise rtol and atol or stop earlier"
        )


class _Watched:
    """The right-hand side, with an eye on what it is given and what it returns."""

    def __init__(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> None:
        self.dynamics, self.state, self.dt = dynamics, state, dt
        self.end = torch.ones(1, dtype=torch.float64, device=state.q.device)
        self.largest_at_start = self.largest = _largest((state.q, state.p))
        self.evaluations = 0

    def __call__(self, _: Tensor, phase: Phase) -> Phase:
        dq, dp = self.dynamics.vector_field(self.state.moved(*phase))
        self.largest = _largest(phase)
        bad = ~(torch.isfinite(dq) & torch.isfinite(dp)).all(-1)
        # while the state is still small it is the right-hand side's own fault, else a blow-up
        if bad.any() and not self.growth() > _BLOW_UP:
            body = int(bad.nonzero()[0])
            moment = "at the start of the step" if not self.evaluations else "within the step"
            raise IntegrationError(
                f"right-hand side is not finite {moment}: body {body} has dq/dt = "
                f"{dq[body].tolist()}, dp/dt = {dp[body].tolist()}; are two bodies in one place, "
                "or a position outside the range of the force?"
            )
        self.evaluations += 1
        return self.dt * dq, self.dt * dp

    def growth(self) -> float:
        return float(self.largest / self.largest_at_start)


def _largest(phase: Phase) -> Tensor:
    return torch.maximum(phase[0].detach().abs().max(), phase[1].detach().abs().max())


@final
class Dopri5(AdaptiveRungeKutta):
    """Order 5(4). J. R. Dormand, P. J. Prince (1980), doi:10.1016/0771-050X(80)90013-3."""

    order = 5
    force_evaluations = 7
    method = "dopri5"


@final
class Dopri8(AdaptiveRungeKutta):
    """Order 8(7). P. J. Prince, J. R. Dormand (1981), doi:10.1016/0771-050X(81)90010-3."""

    order = 8
    force_evaluations = 13
    method = "dopri8"
