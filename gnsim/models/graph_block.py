"""The block of a graph network on which all learned graph simulators stand.

    m_ij = f((q_j - q_i) / l, (v_j - v_i) / v, a_j, a_i, g)         edge network
    y_i  = h((v_i - V) / v, a_i, sum_j m_ij, g)                     node network

with the attributes a, the velocity V of the centre of mass, and numbers g common to all. After
P. Battaglia et al. (arXiv:1806.01261), as used by A. Sanchez-Gonzalez et al. (arXiv:1909.12790).
Where a block is differentiated by momenta, they stand for the velocities, with a scale of mass m:

    mu_ij (v_j - v_i) / m v         mu_ij = m_i m_j / (m_i + m_j), the momentum of a pair about
    m_i (v_i - V) / m v             its own centre of mass

Derivatives of these by p_i are at most 1 / m v. Those of velocities are 1 / (m_i v): an error of
the energy of a heavy body would enter the velocity of a light one beside it many times over.

Where asked for, the edge network also sees r / l, its logarithm, of which powers of the distance
are smooth functions, and the speed along d, ``d (v_j - v_i) / r v``: whether two discs meet within
a step is a matter of these. And it says two numbers more, which times d / r and the relative
velocity are added to y_i (and seen by h): most of what bodies do to each other has these
directions, and a number is learned sooner than a vector (as in V. Satorras et al.,
arXiv:2102.09844).

Walls are bodies that stand still: from each, a message comes by the same network, which is told
that it is one, along the perpendicular; mu_ij is the mass of the body.

With a connectivity radius R, messages come from bodies within it, times ``(1 - (r / R)^2)^3``: they
end with two continuous derivatives, so that energies and forces have no jump there (the kernel of
M. Mueller et al., Particle-based fluid simulation for interactive applications, 2003).
"""

from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.graph import directions, displacement, distance, to_walls
from gnsim.models.message_network import MessageSum
from gnsim.models.scales import Scales, Shape, relative_velocity
from gnsim.models.vector_messages import both_ways, perceptron
from gnsim.neighbours import NeighbourList
from gnsim.state import State

#: of the radius: pairs that much further apart are kept, and looked for anew less often
_SKIN = 0.2
#: of the usual distance: what is nearer has one logarithm
_TOUCHING = 1e-3


class Motion(Enum):
    """What a block sees of how bodies move."""

    NONE = "none"
    VELOCITIES = "velocities"
    MOMENTA = "momenta"


class GraphBlock(nn.Module):
    """Numbers of each body from its own motion and from what arrives along its edges.

    Symmetric under permutations, translations (with the walls) and, without walls, boosts by
    construction: positions and motion enter by differences. Not under rotations. Layers are smooth
    (SiLU): Hamiltonians are differentiated twice.

    Args:
        outputs: numbers of each body.
        motion: what is seen of it.
        common: how many numbers common to all are seen.
        bias: whether the last layer has one; energies have no origin.
        radial: whether distances, and speeds along them, are seen beside displacements, and
            messages have these directions; with velocities, and an output for each axis.
    """

    def __init__(
        self,
        shape: Shape,
        hidden: int,
        outputs: int,
        generator: torch.Generator,
        *,
        motion: Motion = Motion.VELOCITIES,
        common: int = 0,
        bias: bool = True,
        radial: bool = False,
    ) -> None:
        super().__init__()
        if radial and (motion is not Motion.VELOCITIES or outputs != shape.dim):
            raise ValueError(
                f"radial: wanted velocities and {shape.dim} outputs, found {motion.value} and "
                f"{outputs}"
            )
        self.motion = motion
        radius = shape.radius
        self.near = None if radius is None else NeighbourList(radius, _SKIN * radius)
        own = shape.dim * (motion is not Motion.NONE) + len(shape.attributes) + common
        self.walls = shape.walls
        self.radial = radial
        between = own + shape.dim + len(shape.attributes) + self.walls + 3 * radial
        arriving = hidden + shape.dim * radial
        self.edge = perceptron(between, hidden, hidden + 2 * radial, generator)
        self.node = perceptron(own + arriving, hidden, outputs, generator, bias=bias)
        self.sum = MessageSum()

    def forward(
        self, state: State, scales: Scales, common: Float[Tensor, " common"] | None = None
    ) -> Float[Tensor, "nodes outputs"]:
        """Inputs are divided by `scales`; `common` as it is."""
        near = self.near
        pairs = state.pairs if near is None else near.pairs(state.q, state.batch, state.box)
        edge_index = both_ways(pairs)
        source, target = edge_index
        d = displacement(state.q, edge_index, state.box)
        edges = [d / scales.length, *scales.columns(state, source), *scales.columns(state, target)]
        nodes = scales.columns(state, slice(None))
        relative = None
        if self.motion is not Motion.NONE:
            u = relative_velocity(state) / scales.velocity
            relative = u[source] - u[target]
            if self.motion is Motion.MOMENTA:
                mass = (state.mass / scales.mass)[:, None]
                m_source, m_target = mass[source], mass[target]
                u, relative = mass * u, m_source * m_target / (m_source + m_target) * relative
            edges.append(relative)
            nodes.append(u)
            if self.radial:
                edges += along(d / scales.length, relative)
        if common is not None:
            edges.append(common.expand(len(d), -1))
            nodes.append(common.expand(state.num_nodes, -1))
        if self.walls:
            edges.append(torch.zeros_like(d[:, :1]))
        messages = self._messages(d, scales.length, relative, edges)
        arrived = self.sum(messages, edge_index, state.num_nodes)
        if self.walls:
            arrived = arrived + self._from_walls(state, scales, common)
        y = self.node(torch.cat([*nodes, arrived], 1))
        return y + arrived[:, -state.dim :] if self.radial else y

    def _from_walls(
        self, state: State, scales: Scales, common: Float[Tensor, " common"] | None
    ) -> Float[Tensor, "nodes hidden"]:
        """What arrives from all walls at each body."""
        if state.walls is None:
            raise ValueError("walls: wanted those of the training, found open space")
        d = to_walls(state.q, state.walls)
        of_walls = d.shape[1]
        target = torch.arange(state.num_nodes).repeat_interleave(of_walls)
        d = d.flatten(0, 1)
        columns = scales.columns(state, target)
        edges = [d / scales.length, *map(torch.zeros_like, columns), *columns]
        relative = None
        if self.motion is not Motion.NONE:
            of = state.velocity if self.motion is Motion.VELOCITIES else state.p / scales.mass
            relative = -of[target] / scales.velocity
            edges.append(relative)
            if self.radial:
                edges += along(d / scales.length, relative)
        if common is not None:
            edges.append(common.expand(len(d), -1))
        edges.append(torch.ones_like(d[:, :1]))
        messages = self._messages(d, scales.length, relative, edges)
        return messages.unflatten(0, (state.num_nodes, of_walls)).sum(1)

    def _messages(
        self,
        d: Float[Tensor, "edges dim"],
        length: Tensor,
        relative: Float[Tensor, "edges dim"] | None,
        features: list[Tensor],
    ) -> Float[Tensor, "edges arriving"]:
        messages = self.edge(torch.cat(features, 1))
        if relative is not None and self.radial:
            straight, sideways = messages[:, -2:].split(1, 1)
            directed = straight * directions(d / length) + sideways * relative
            messages = torch.cat([messages[:, :-2], directed], 1)
        return messages if self.near is None else fading(d, self.near.radius) * messages


def along(
    d: Float[Tensor, "edges dim"], relative: Float[Tensor, "edges dim"]
) -> list[Float[Tensor, "edges 1"]]:
    """Lengths of scaled displacements, their logarithms, and components of velocities along d."""
    r = distance(d)[:, None]
    return [r, (r + _TOUCHING).log(), (directions(d) * relative).sum(1, keepdim=True)]


def fading(d: Float[Tensor, "edges dim"], radius: float) -> Float[Tensor, "edges 1"]:
    """One where bodies meet, zero with two derivatives at the radius, and zero beyond."""
    return (1 - d.square().sum(1, keepdim=True) / radius**2).clamp_min(0) ** 3
