"""The steps of a dynamics that has no right-hand side."""

from dataclasses import dataclass
from typing import cast, final

from torch import Tensor

from gnsim.dynamics import Dynamics, Jump
from gnsim.integrators.base import Integrator
from gnsim.state import State


@final
@dataclass(frozen=True)
class Jumps(Integrator):
    """Takes the jumps of a `Jump` as they are, and refuses all else.

    It integrates nothing, and so has no order: its error is the model's own.
    """

    order = 0
    symplectic = False
    needs_separable = False
    force_evaluations = 1

    def step(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> State:
        self.accept(dynamics)
        return cast(Jump, dynamics).jump(state, dt)

    def accept(self, dynamics: Dynamics) -> None:
        if not isinstance(dynamics, Jump):
            raise ValueError(
                f"integrator Jumps needs a dynamics that jumps, as DeltaGN, but "
                f"{type(dynamics).__name__} has a right-hand side; use rk4 or another integrator"
            )
