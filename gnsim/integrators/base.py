"""What an integrator is: one step of a dynamics, and the facts about itself that tests read."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gnsim.dynamics import Dynamics, Jump, Split, no_right_hand_side
from gnsim.state import State


class IntegrationError(RuntimeError):
    """A step could not be taken; the message says why, and what to do."""


@dataclass(frozen=True)
class Integrator(ABC):
    """A one-step method. Stateless: the same state, dynamics and dt give the same bits.

    Class variables: `order` of the global error; `symplectic`, whether the step preserves the
    symplectic form of every Hamiltonian it accepts; `needs_separable`, whether it accepts
    ``H = T(p) + V(q)`` only, and what is `Split` like it; `force_evaluations` per step (the
    fewest, where it varies).
    """

    order: ClassVar[int]
    symplectic: ClassVar[bool]
    needs_separable: ClassVar[bool]
    force_evaluations: ClassVar[int]

    @abstractmethod
    def step(self, dynamics: Dynamics, state: State, dt: float | Tensor) -> State:
        """The state after the time `dt` (a number or 0-d tensor; negative runs backwards).

        Raises ValueError where `accept` does, IntegrationError where no step can be taken.
        """

    def accept(self, dynamics: Dynamics) -> None:
        """Raise ValueError if this method is not made for `dynamics`."""
        if isinstance(dynamics, Jump):
            raise ValueError(no_right_hand_side(dynamics))
        if self.needs_separable and not isinstance(dynamics, Split):
            name = type(self).__name__
            raise ValueError(
                f"integrator {name} needs a separable Hamiltonian H = T(p) + V(q), "
                f"but {type(dynamics).__name__} is not one (separable = {dynamics.separable}); "
                "use implicit_midpoint, or rk4 where no Hamiltonian is at hand"
            )
