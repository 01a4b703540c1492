"""The interaction network: what objects do to each other, and what that does to them."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Jump
from gnsim.models.graph_block import GraphBlock
from gnsim.models.learned import Errors, Learned, held
from gnsim.models.scales import Shape
from gnsim.state import State, Trajectory


class InteractionNetwork(Learned, Jump):
    """``dv_i = a T y_i``, then ``dq_i = (v_i + dv_i) dt``, with y of a `GraphBlock`.

    P. Battaglia et al. 2016 (arXiv:1612.00222): the edge network is the model of relations, walls
    among them, the node network that of objects; what acts on all alike, as gravity, the latter
    learns. Beside displacements the block sees distances and speeds along them. T is the step of
    the training, of which the block sees ``dt / T``, and a the usual acceleration. Symmetric under
    permutations and translations (with the walls), and without walls under boosts.

    Velocities alone are learned from, and of light bodies as of heavy ones: positions follow, and
    where a body bounces off within a step, no velocity leads to the true ones.
    """

    acceleration: Tensor

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.block = GraphBlock(shape, hidden, shape.dim, generator, common=1, radial=True)
        self.register_buffer("acceleration", torch.ones(()))

    def fit_scales(self, path: Trajectory, step: float) -> None:
        super().fit_scales(path, step)
        gain = path.velocity.diff(dim=0) / path.t.diff()[:, None, None]
        size = gain.square().mean().sqrt()
        self.acceleration.copy_(torch.where(size > 0, size, 1.0))

    def judged(self, errors: Errors, path: Trajectory) -> Float[Tensor, "some steps nodes dim"]:
        """Errors of velocities over the usual change."""
        return errors[1:] * (self.scales.force / self.acceleration / path.mass[:, None])

    def jump(self, state: State, dt: float | Tensor) -> State:
        y = self.block(state, self.scales, (dt / self.scales.step).reshape(1))
        gain = state.mass[:, None] * self.acceleration * self.scales.step * y
        p = state.p + held(state, state.q, gain)[1]
        return state.moved(state.q + dt * p / state.mass[:, None], p)
