"""The implicit midpoint rule: symplectic on every Hamiltonian, separable or not."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.integrators.base import IntegrationError, Integrator
from gnsim.state import State


@final
@dataclass(frozen=True)
class ImplicitMidpoint(Integrator):
    """``z' = z + dt f((z + z') / 2)``, order 2, solved by fixed-point iteration to rounding.

    Stopped as in E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), VIII.6,
    doi:10.1007/3-540-30666-8: when the increments no longer shrink. The iteration converges for
    ``dt |df/dz| < 2``; it raises IntegrationError after `max_iterations` of them. Gradients go
    through the iterations. Systems in one batch share their number of iterations, so that a
    batch agrees with its systems alone to rounding, not bit by bit.
    """

    max_iterations: int = 100
    order = 2
    symplectic = True
    needs_separable = False
    force_evaluations = 2

    def step(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> State:
        # Derivatives converge behind values, and from an equilibrium the values converge at once.
        least = 12 if torch.is_grad_enabled() else 1
        change = (torch.zeros_like(state.q), torch.zeros_like(state.p))
        increment = math.inf
        for iteration in range(self.max_iterations):
            midpoint = state.moved(state.q + 0.5 * change[0], state.p + 0.5 * change[1])
            dq, dp = dynamics.vector_field(midpoint)
            new = (dt * dq, dt * dp)
            last, increment = increment, _increment(new, change, state)
            change = new
            if iteration >= least and _settled(increment, last, state.q.dtype):
                return state.moved(state.q + change[0], state.p + change[1])
            if not math.isfinite(increment):
                break
        raise IntegrationError(
            f"implicit_midpoint did not converge within {self.max_iterations} iterations at "
            f"dt = {float(dt):g} (last relative increment {increment:.1e}); "
            "use a smaller step or more substeps"
        )


def _increment(
    new: tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]],
    old: tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]],
    state: State,
) -> float:
    """The larger of the changes of q and p, each relative to its largest component."""
    with torch.no_grad():
        parts = []
        for after, before, origin in zip(new, old, (state.q, state.p), strict=True):
            scale = torch.maximum(origin.abs().max(), after.abs().max())
            difference = (after - before).abs().max()
            parts.append(torch.where(difference > 0, difference / scale, difference))
        return float(torch.stack(parts).max())


def _settled(increment: float, last: float, dtype: torch.dtype) -> bool:
    epsilon = torch.finfo(dtype).eps
    return increment <= 0.1 * epsilon or last <= increment < 1e3 * epsilon
