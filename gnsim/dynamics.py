"""What moves a state: `Dynamics`, and the Hamiltonians, which say so by a scalar."""

from abc import ABC, abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.state import State

#: of the exponential of a velocity-dependent kick, at most: enough for four decay times
_TAYLOR_TERMS = 30


class Dynamics(nn.Module, ABC):
    """A right-hand side. True systems, learned networks and distilled laws are all of this type."""

    #: None: not a Hamiltonian; False: H(q, p) in general; True: H = T(p) + V(q)
    separable: bool | None = None

    @abstractmethod
    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        """``(dq/dt, dp/dt)`` at `state`."""

    def gaps(self, state: State) -> Float[Tensor, "systems gaps"] | None:
        """Numbers of which one is zero where the right-hand side jumps; None where it is smooth."""
        return None

    def attach(self, state: State) -> State:
        """`state` with the attributes that the dynamics itself knows (inferred masses, charges)."""
        return state


class Jump(Dynamics):
    """The state after a time dt in one piece, without a right-hand side.

    `gnsim.integrators.Jumps` runs it, and no other integrator does.
    """

    @abstractmethod
    def jump(self, state: State, dt: float | Tensor) -> State:
        """The state after the time `dt` (a number or 0-d tensor)."""

    @final
    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        """Raises ValueError: there is none."""
        raise ValueError(no_right_hand_side(self))


def no_right_hand_side(dynamics: Jump) -> str:
    """What whoever wants a right-hand side is told."""
    name = type(dynamics).__name__
    return f"{name} jumps, and has no right-hand side to integrate; use the integrator jumps"


class Split(Dynamics):
    """``dq/dt = p / m, dp/dt = F(q) + L(q) p``: drift and kick have flows of their own.

    What composition methods (leapfrog and its family) need. They are symplectic where the force
    has a potential and L is absent, and keep their order in any case.
    """

    @abstractmethod
    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        """``dp/dt``, all of it."""

    def velocity_force(self, state: State) -> Float[Tensor, "nodes dim"] | None:
        """``L(q) p``: the part that is linear in the momenta; None where there is none."""
        return None

    @final
    def kick(self, state: State, dt: float | Tensor) -> State:
        """The momenta after a time `dt` in which no body moves, to rounding.

        The flow of an equation linear in p, by its Taylor series: where forces do not depend on
        velocities, that is its first term.
        """
        change = dt * self.force(state)
        p = state.p + change
        rounding = torch.finfo(p.dtype).eps
        for order in range(2, _TAYLOR_TERMS + 1):
            rate = self.velocity_force(state.moved(state.q, change))
            if rate is None:
                break
            change = dt / order * rate
            p = p + change
            if float(change.detach().abs().max()) <= rounding * float(p.detach().abs().max()):
                break
        return state.moved(state.q, p)


class Hamiltonian(Dynamics):
    """Hamilton's equations from a scalar: ``dq/dt = dH/dp, dp/dt = -dH/dq``."""

    separable: bool | None = False

    @abstractmethod
    def energy(self, state: State) -> Float[Tensor, " systems"]:
        """H of each system of the batch."""

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        building = torch.is_grad_enabled()
        with torch.enable_grad():
            q, p = (
                x if x.requires_grad else x.detach().requires_grad_() for x in (state.q, state.p)
            )
            energy = self.energy(state.moved(q, p)).sum()
            dq, dp = torch.autograd.grad(energy, (q, p), create_graph=building)
        return dp, -dq


class SeparableHamiltonian(Split, Hamiltonian):
    """``H = sum p^2 / 2m + V(q)``, the kind that leapfrog and its family need."""

    separable: bool | None = True

    @abstractmethod
    def potential(self, state: State) -> Float[Tensor, " systems"]:
        """V of each system of the batch."""

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        """``-dV/dq``; a subclass that has the derivative in closed form gives it here instead."""
        building = torch.is_grad_enabled()
        with torch.enable_grad():
            q = state.q if state.q.requires_grad else state.q.detach().requires_grad_()
            potential = self.potential(state.moved(q, state.p)).sum()
            (gradient,) = torch.autograd.grad(potential, q, create_graph=building)
        return -gradient

    @final
    def kinetic(self, state: State) -> Float[Tensor, " systems"]:
        per_node = 0.5 * state.p.square().sum(-1) / state.mass
        return per_node.new_zeros(state.num_systems).index_add(0, state.batch, per_node)

    @final
    def energy(self, state: State) -> Float[Tensor, " systems"]:
        return self.kinetic(state) + self.potential(state)

    @final
    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        return state.velocity, self.force(state)
