"""OGN: a graph network for the right-hand side, integrated (A. Sanchez-Gonzalez et al. 2019)."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.graph_block import GraphBlock
from gnsim.models.learned import Learned, held
from gnsim.models.scales import Shape, mean_velocity
from gnsim.state import State


class OGN(Learned):
    """``dq_i/dt = V + v y_i, dp_i/dt = f z_i`` with (y, z) of a `GraphBlock` (arXiv:1909.12790).

    V is the velocity of the centre of mass; v and f are scales. By construction symmetric under
    permutations and translations, and under boosts: they add to dq/dt, and leave dp/dt. Not under
    rotations; nothing is conserved.
    """

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.block = GraphBlock(shape, hidden, 2 * shape.dim, generator)

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        y, z = self.block(state, self.scales).chunk(2, 1)
        of_q = mean_velocity(state) + self.scales.velocity * y
        return held(state, of_q, self.scales.force * z)
