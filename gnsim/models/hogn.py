"""HOGN: a graph network for the Hamiltonian, differentiated and integrated.

A. Sanchez-Gonzalez et al. (2019), arXiv:1909.12790. The read-out of the system adds one scalar per
body, so that a trained model runs for other numbers of bodies. The energies of parts that are not
joined add up in `SeparableHOGN`; in `HOGN` all parts know the centre of mass of the whole.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Hamiltonian, SeparableHamiltonian
from gnsim.invariants import momentum, total
from gnsim.models.graph_block import GraphBlock, Motion
from gnsim.models.learned import Change, Learned, held
from gnsim.models.scales import Shape, relative_velocity
from gnsim.models.vector_messages import perceptron
from gnsim.state import State


class HOGN(Learned, Hamiltonian):
    """``H = P^2 / 2M + E sum_i (y_i + (m_i / m) z((v_i - V) / v, a_i))``: a general H(q, p).

    P, V and M are momentum, velocity and mass of the system, y comes of a `GraphBlock` that sees
    momenta, z of a network of what each body has by itself, and ``E = m v^2`` is a scale. z carries
    the kinetic energy: times m_i, its derivative by p_i has the size of v for every mass. So has
    that of y, for momenta are of the size of m_i. Not separable.

    By construction symmetric under permutations, translations and boosts, which add to dq/dt and
    leave dp/dt; the total momentum is conserved, and P / M is the velocity of the centre of mass.
    Not symmetric under rotations.
    """

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.block = GraphBlock(shape, hidden, 1, generator, motion=Motion.MOMENTA, bias=False)
        self.own = perceptron(shape.dim + len(shape.attributes), hidden, 1, generator, bias=False)

    def energy(self, state: State) -> Float[Tensor, " systems"]:
        u = relative_velocity(state) / self.scales.velocity
        z = self.own(torch.cat([u, *self.scales.columns(state, slice(None))], 1))
        inner = self.block(state, self.scales) + (state.mass / self.scales.mass)[:, None] * z
        mass = total(state, state.mass[:, None])
        centre = momentum(state).square().sum(1) / (2 * mass[:, 0])
        return centre + self.scales.energy * total(state, inner)[:, 0]

    def vector_field(self, state: State) -> Change:
        return held(state, *super().vector_field(state))


class SeparableHOGN(Learned, SeparableHamiltonian):
    """``H = sum_i p_i^2 / 2 m_i + E sum_i y_i`` with y of a `GraphBlock` of positions alone.

    Leapfrog and its family are symplectic on it. By construction symmetric under permutations,
    translations and boosts, and the total momentum is conserved; not symmetric under rotations.
    """

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.block = GraphBlock(shape, hidden, 1, generator, motion=Motion.NONE, bias=False)

    def potential(self, state: State) -> Float[Tensor, " systems"]:
        return self.scales.energy * total(state, self.block(state, self.scales))[:, 0]

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return held(state, state.velocity, super().force(state))[1]
