"""The baseline without a graph: one perceptron on the whole state of a system."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.learned import Learned, held
from gnsim.models.scales import Shape
from gnsim.models.vector_messages import perceptron
from gnsim.state import State


class StateMLP(Learned):
    """``(dq/dt, dp/dt)`` of all bodies of a system from all that is known of them, side by side.

    No symmetry holds by construction, of bodies nor of space; a periodic box is not seen.
    """

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        own, rates = 2 * shape.dim + len(shape.attributes), 2 * shape.dim
        self.network = perceptron(shape.bodies * own, hidden, shape.bodies * rates, generator)

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        """Raises ValueError for systems of another number of bodies."""
        self._require_bodies(state)
        scales, nodes = self.scales, torch.arange(state.num_nodes)
        own = [
            (state.q - scales.origin) / scales.length,
            state.velocity / scales.velocity,
            *scales.columns(state, nodes),
        ]
        together = torch.cat(own, 1).view(state.num_systems, -1)
        y, z = self.network(together).view(state.num_nodes, -1).chunk(2, 1)
        return held(state, scales.velocity * y, scales.force * z)

    def _require_bodies(self, state: State) -> None:
        counts = state.batch.bincount()
        other = counts[counts != self.shape.bodies]
        if len(other):
            raise ValueError(
                f"StateMLP was made for systems of {self.shape.bodies} bodies, found one of "
                f"{int(other[0])}; train it anew for these, or a graph network, which runs for any"
            )
