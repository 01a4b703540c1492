"""The graph-network simulator of particles: encode, process, decode, and a semi-implicit step.

A. Sanchez-Gonzalez et al., Learning to Simulate Complex Physics with Graph Networks
(arXiv:2002.09405).

    of a node    its velocity v and last accelerations, ways to the walls, kind, other attributes
    of an edge   d = (q_j - q_i) / R, |d|, u = v_j - v_i, u d / |d|; for all within the radius R
    out          y_i of nodes, z_ij and w_ij of edges
    then         a_i = y_i + sum_j (z_ij d / |d| + w_ij u),  v += a dt,  q += v dt

Published are d and |d|, and y_i alone. Pressure and friction have the directions of d and u: with
numbers for these, as in `graph_block`, it needs not learn directions. Published are also the last
velocities in place of accelerations, which are their differences: from frame to frame velocities
change by a few percent of their spread, which a network hardly sees. Each of the two has the scale
of its own spread here, and u that between neighbours.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnsim.dynamics import Jump
from gnsim.graph import directions, displacement, distance
from gnsim.models.encode_process_decode import EncodeProcessDecode, by_target
from gnsim.models.learned import Learned, held
from gnsim.models.motion_scales import MotionScales, velocities
from gnsim.models.scales import Shape
from gnsim.neighbours import NeighbourList
from gnsim.state import State, Trajectory

#: the attribute that names kinds of particles
TYPE = "particle_type"
#: of the radius: how much further pairs are kept, so that they are looked for less often
_SKIN = 0.2
_EMBEDDING = 16
#: by which a step may differ from that of the training
_SAME_STEP = 1e-6


class GNS(Learned, Jump):
    """Accelerations of particles from where they were at the last frames.

    ``State.past`` holds these, at least `Shape.history` of them. Velocities and accelerations are
    differences of positions: momenta of the state are not read. Symmetric under permutations, and
    under translations with the walls; under nothing else, and nothing is conserved. The network
    works in its own precision, positions keep theirs.
    """

    keeps_precision = True

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.motion = MotionScales(shape.dim)
        radius = shape.radius
        self.near = None if radius is None else NeighbourList(radius, _SKIN * radius)
        self.kinds = nn.Embedding(len(shape.types), _EMBEDDING)
        with torch.no_grad():
            self.kinds.weight.normal_(generator=generator)
        of_node = shape.history * shape.dim + 2 * shape.dim * shape.walls
        of_node += len(shape.attributes) + _EMBEDDING * bool(shape.types)
        of_edge, outputs = 2 * shape.dim + 2, (shape.dim, 2)
        sizes = (of_node, of_edge, outputs, hidden, shape.passes)
        self.network = EncodeProcessDecode(*sizes, generator)

    def fit_scales(self, path: Trajectory, step: float) -> None:
        super().fit_scales(path, step)
        self.motion.fit(path, self.shape.radius)

    def jump(self, state: State, dt: float | Tensor) -> State:
        """Raises ValueError for another step than that of the training, or too short a past."""
        step = float(self.scales.step)
        if abs(float(dt) / step - 1) > _SAME_STEP:
            raise ValueError(f"dt: wanted the step of the training, {step:g}, found {float(dt):g}")
        gain = dt * self.motion.acceleration(self.scaled_acceleration(state))
        _, gain = held(state, state.q, gain)
        v = self._velocities(state)[-1] + gain
        return state.after(state.q + dt * v, state.mass[:, None] * v)

    def scaled_acceleration(self, state: State) -> Float[Tensor, "nodes dim"]:
        """What the network says, of mean zero and spread one over the training data."""
        pairs = state.pairs if self.near is None else self._near(state)
        edge_index = by_target(pairs, state.num_nodes)
        d = displacement(state.q, edge_index, state.box) / self.scales.length
        v = self._velocities(state)[-1]
        source, target = edge_index
        u, straight = (v[source] - v[target]) / self.motion.relative_spread, directions(d)
        of_edge = torch.cat([d, distance(d)[:, None], u, (straight * u).sum(1, keepdim=True)], 1)
        dtype = self.network.dtype
        y, z = self.network(self._of_node(state).to(dtype), of_edge.to(dtype), edge_index)
        along, with_motion = z.to(d.dtype).split(1, 1)
        pushes = self.motion.alike * (along * straight + with_motion * u)
        return y.to(d.dtype).index_add(0, target, pushes)

    def _near(self, state: State) -> Int[Tensor, "2 pairs"]:
        return cast(NeighbourList, self.near).pairs(state.q, state.batch, state.box)

    def _of_node(self, state: State) -> Float[Tensor, "nodes features"]:
        v = self._velocities(state)
        a = self.motion.scaled_acceleration(v.diff(dim=0) / self.scales.step)
        parts = [self.motion.scaled_velocity(v[-1]), a.transpose(0, 1).flatten(1)]
        if self.shape.walls:
            if state.walls is None:
                raise ValueError("walls: wanted those of the training, found open space")
            low, high = state.walls
            gaps = torch.cat([state.q - low, high - state.q], 1) / self.scales.length
            parts.append(gaps.clamp(-1, 1))
        if self.shape.types:
            parts.append(self.kinds(self._kind(state)))
        parts += self.scales.columns(state, slice(None))
        return torch.cat(parts, 1)

    def _kind(self, state: State) -> Int[Tensor, " nodes"]:
        """Which of the kinds of the training each particle is of."""
        known = torch.tensor(self.shape.types)
        given = state.attributes[TYPE].round().long()
        place = torch.searchsorted(known, given).clamp_max(len(known) - 1)
        if bool((other := known[place] != given).any()):
            raise ValueError(
                f"{TYPE}: wanted those of the training, {', '.join(map(str, self.shape.types))}, "
                f"found {int(given[other][0])}"
            )
        return place

    def _velocities(self, state: State) -> Float[Tensor, "history nodes dim"]:
        """With which the last frames were reached, the latest last."""
        history = self.shape.history
        if state.past is None or len(state.past) < history:
            found = 0 if state.past is None else len(state.past)
            raise ValueError(f"past: wanted positions at {history} frames before, found {found}")
        q = torch.cat([state.past[-history:], state.q[None]])
        return velocities(q, state.box, float(self.scales.step))
