"""Pair forces that depend on the relative velocity, in the frame of the pair.

The relative motion of a pair spans a plane: n points from the target i to the source j, t along
what of ``v_j - v_i`` is across n. A force ``R n + T t`` on the target, with R and T functions of
r, of ``v_r = (v_j - v_i) . n`` (positive where bodies part), of ``v_t >= 0`` across, and of
attributes, is the same for every observer at constant speed, in whatever direction they look and in
a mirror; its opposite acts on the source. A force out of that plane would change sign in a mirror.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.graph import displacement, distance
from gnsim.models.pairwise import Attributes, Driven, PairwiseHamiltonian, scatter
from gnsim.state import State


class RelativeMotion(NamedTuple):
    """Of each pair: distance, direction to the source, speeds along and across it, and the
    direction across (zero where nothing moves across)."""

    r: Float[Tensor, " pairs"]
    n: Float[Tensor, "pairs dim"]
    v_r: Float[Tensor, " pairs"]
    v_t: Float[Tensor, " pairs"]
    t: Float[Tensor, "pairs dim"]


def relative_motion(state: State) -> RelativeMotion:
    """How the source of each pair moves as its target sees it."""
    source, target = state.pairs
    d = displacement(state.q, state.pairs, state.box)
    r = distance(d)
    n = d / r[:, None]
    v = state.velocity
    u = v[source] - v[target]
    v_r = (u * n).sum(1)
    across = u - v_r[:, None] * n
    v_t = distance(across)
    t = across / torch.where(v_t > 0, v_t, 1.0)[:, None]
    return RelativeMotion(r, n, v_r, v_t, t)


class VectorPair(ABC):
    """The force of a pair on its target, by its two components."""

    @abstractmethod
    def components(
        self, motion: RelativeMotion, source: Attributes, target: Attributes
    ) -> tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"]]:
        """R and T of each pair; symmetric in `source` and `target` (Newton's third law)."""

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        """The sum over pairs, on each body."""
        motion = relative_motion(state)
        along, across = self.components(motion, *state.ends)
        vectors = along[:, None] * motion.n + across[:, None] * motion.t
        source, target = state.pairs
        return scatter(vectors, target, state.num_nodes) - scatter(vectors, source, state.num_nodes)


@dataclass(frozen=True)
class Scaled(VectorPair):
    """Another pair force times a number."""

    pair: VectorPair
    factor: float

    def components(
        self, motion: RelativeMotion, source: Attributes, target: Attributes
    ) -> tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"]]:
        along, across = self.pair.components(motion, source, target)
        return self.factor * along, self.factor * across


class Corrected(Dynamics):
    """A dynamics, and a pair force beside it that may depend on velocities in any way.

    It has no kicks and drifts of its own, so that no method which is symplectic for the first one
    is taken for it by mistake: `DOP853` and the Runge-Kutta methods integrate it.
    """

    def __init__(self, base: PairwiseHamiltonian | Driven, correction: VectorPair) -> None:
        super().__init__()
        self.base, self.correction = base, correction
        self.pair = base.pair

    def attach(self, state: State) -> State:
        return self.base.attach(state)

    def gaps(self, state: State) -> Float[Tensor, "systems gaps"] | None:
        """Those of the first dynamics."""
        return self.base.gaps(state)

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        dq, dp = self.base.vector_field(state)
        return dq, dp + self.correction.force(state)


#: what a law may be run as
Moving = PairwiseHamiltonian | Driven | Corrected
