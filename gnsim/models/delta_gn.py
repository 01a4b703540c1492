"""DeltaGN: a graph network for the change over a step (A. Sanchez-Gonzalez et al. 2019)."""

import torch

from gnsim.dynamics import Jump
from gnsim.models.graph_block import GraphBlock
from gnsim.models.learned import Learned, held
from gnsim.models.scales import Shape, mean_velocity
from gnsim.state import State


class DeltaGN(Learned, Jump):
    """``dq_i = V dt + v T y_i, dp_i = f T z_i``, (y, z) of a `GraphBlock` that sees ``dt / T``.

    T is the step of the training, V the velocity of the centre of mass; v and f are scales
    (arXiv:1909.12790). By construction symmetric under permutations, translations and boosts, not
    under rotations nor reversal of time; nothing is conserved, and a step of zero may move.
    """

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.block = GraphBlock(shape, hidden, 2 * shape.dim, generator, common=1)

    def jump(self, state: State, dt: float | torch.Tensor) -> State:
        scales = self.scales
        y, z = self.block(state, scales, (dt / scales.step).reshape(1)).chunk(2, 1)
        of_q = dt * mean_velocity(state) + scales.velocity * scales.step * y
        of_q, of_p = held(state, of_q, scales.force * scales.step * z, dt)
        return state.moved(state.q + of_q, state.p + of_p)
