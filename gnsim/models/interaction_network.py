"""The interaction network: what objects do to each other, and what that does to them."""

import torch

from gnsim.dynamics import Jump
from gnsim.models.graph_block import GraphBlock
from gnsim.models.learned import Learned, held
from gnsim.models.scales import Shape
from gnsim.state import State


class InteractionNetwork(Learned, Jump):
    """``dp_i = f T y_i``, then ``dq_i = (p_i + dp_i) / m_i dt``, with y of a `GraphBlock`.

    P. Battaglia et al. 2016 (arXiv:1612.00222): the edge network is the model of relations, walls
    among them, the node network that of objects; what acts on all alike, as gravity, the latter
    learns. T is the step of the training, of which the block sees ``dt / T``, and f a scale. Only
    momenta are learned from. Symmetric under permutations and translations (with the walls), and
    without walls under boosts.
    """

    positions_follow = True

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.block = GraphBlock(shape, hidden, shape.dim, generator, common=1, radial=True)

    def jump(self, state: State, dt: float | torch.Tensor) -> State:
        scales = self.scales
        y = self.block(state, scales, (dt / scales.step).reshape(1))
        _, gain = held(state, state.q, scales.force * scales.step * y)
        p = state.p + gain
        return state.moved(state.q + dt * p / state.mass[:, None], p)
