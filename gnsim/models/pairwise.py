"""Separable pair Hamiltonians: ``H = sum_i p_i^2 / 2 m_i + sum_{pairs} V(r_ij, attributes)``.

Static fields add a potential of each body by itself. What also depends on velocities is no
Hamiltonian in q and p: `Driven` adds it to one.

The physics of one pair (`PairPotential`) stands apart from the sum over pairs
(`PairwiseHamiltonian`), so that a true system, a learned network and a distilled law differ in
the potential alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.dynamics import SeparableHamiltonian, Split
from gnsim.graph import displacement, distance
from gnsim.models.message_passing import MessagePassing
from gnsim.models.terms import Field
from gnsim.state import State

Attributes = Mapping[str, Tensor]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


class PairPotential(nn.Module, ABC):
    """The interaction of two bodies at distance r, by ``dV/dr``: positive where it attracts."""

    #: distance at which V is zero, where `energy` integrates the force
    reference: float = 1.0
    #: distances at which the force jumps or bends
    breaks: tuple[float, ...] = ()

    @abstractmethod
    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        """``dV/dr`` of each pair; symmetric in `source` and `target` (Newton's third law)."""

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        """V of each pair: the integral of `force` from `reference` to r.

        Gauss-Legendre, 64 nodes in log r; exact to rounding for power laws over many decades.
        A subclass that knows V in closed form gives it here instead.
        """
        nodes = torch.as_tensor(_NODES, dtype=r.dtype, device=r.device)
        weights = torch.as_tensor(_WEIGHTS, dtype=r.dtype, device=r.device)
        span = torch.log(r / self.reference)
        points = self.reference * torch.exp(0.5 * span[:, None] * (nodes + 1))
        wide = {k: v[:, None].expand_as(points).reshape(-1) for k, v in source.items()}
        wide_target = {k: v[:, None].expand_as(points).reshape(-1) for k, v in target.items()}
        force = self.force(points.reshape(-1), wide, wide_target).reshape(points.shape)
        return 0.5 * span * (weights * force * points).sum(-1)


@dataclass(frozen=True)
class Messages:
    """What bodies do to each other along the edges of one state: what the symbolic stage reads.

    `force` is radial, positive where it attracts. `share` is how much of all that pulls at a body
    comes through this edge, at the end where it is more. `factor` is what multiplies the force by
    construction and was taken out of it, as an expression: ``1``, or a product of the two bodies.
    """

    r: Float[Tensor, " pairs"]
    force: Float[Tensor, " pairs"]
    source: Attributes
    target: Attributes
    share: Float[Tensor, " pairs"]
    factor: str = "1"


class PairSum(MessagePassing):
    """Adds up what the sources do to the targets, and its opposite on the sources.

    Each pair is evaluated once, so that equal weights conserve momentum to rounding. The weights
    [pairs] turn a force into an acceleration where the two sides respond differently.
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(
        self,
        vectors: Float[Tensor, "pairs dim"],
        state: State,
        to_target: Float[Tensor, " pairs"] | None = None,
        to_source: Float[Tensor, " pairs"] | None = None,
    ) -> Float[Tensor, "nodes dim"]:
        nodes = state.num_nodes
        return self.propagate(
            state.pairs,
            vectors=vectors,
            to_target=to_target,
            to_source=to_source,
            sources=state.pairs[0],
            size=(nodes, nodes),
        )

    def message(self, vectors: Tensor) -> Tensor:
        return vectors

    def aggregate(
        self,
        inputs: Tensor,
        index: Tensor,
        sources: Tensor,
        to_target: Optional[Tensor],  # noqa: UP045 (PyG reads no unions with |)
        to_source: Optional[Tensor],  # noqa: UP045
        dim_size: int,
    ) -> Tensor:
        onto = inputs if to_target is None else inputs * to_target[:, None]
        back = inputs if to_source is None else inputs * to_source[:, None]
        return scatter(onto, index, dim_size) - scatter(back, sources, dim_size)


def scatter(vectors: Tensor, index: Tensor, size: int) -> Float[Tensor, "size dim"]:
    """Sums by `index`. An expanded index takes torch's fast path, six times that of index_add."""
    total = vectors.new_zeros(size, vectors.shape[1])
    return total.scatter_add(0, index[:, None].expand_as(vectors), vectors)


class PairwiseHamiltonian(SeparableHamiltonian):
    """All pairs of each system interact by one `PairPotential`; no self-pairs.

    The force on i from j is ``dV/dr (q_j - q_i) / r``: the exact gradient of the energy, without
    a second autograd pass. `fields` are static ones.
    """

    def __init__(self, pair: PairPotential, fields: Sequence[Field] = ()) -> None:
        super().__init__()
        self.pair = pair
        self.fields = tuple(fields)
        self.sum = PairSum()

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        force = self.sum(pair_forces(self.pair, state), state)
        return sum((field.force(state) for field in self.fields), start=force)

    def gaps(self, state: State) -> Float[Tensor, "systems gaps"] | None:
        """How far each pair is from the distances at which its force breaks."""
        if not self.pair.breaks:
            return None
        r = distance(displacement(state.q, state.pairs, state.box))
        return torch.cat([(r - b).view(state.num_systems, -1) for b in self.pair.breaks], 1)

    def messages(self, state: State) -> Messages:
        """The radial force along each edge, with the attributes of its ends."""
        state = self.attach(state)
        r = distance(displacement(state.q, state.pairs, state.box))
        attributes = state.ends
        force = self.pair.force(r, *attributes)
        source, target = state.pairs
        share = share_of_pull(force / state.mass[target], force / state.mass[source], state)
        return Messages(r, force, *attributes, share)

    def potential(self, state: State) -> Float[Tensor, " systems"]:
        r = distance(displacement(state.q, state.pairs, state.box))
        energy = self.pair.energy(r, *state.ends)
        total = energy.new_zeros(state.num_systems)
        total = total.index_add(0, state.batch[state.pairs[1]], energy)
        for field in self.fields:
            total = total.index_add(0, state.batch, field.potential(state))
        return total


class Driven(Split):
    """A pair Hamiltonian, and `fields` whose forces are linear in the velocity.

    Its `energy` is that of the Hamiltonian; it changes at the rate `power`.
    """

    def __init__(self, hamiltonian: PairwiseHamiltonian, fields: Sequence[Field]) -> None:
        super().__init__()
        self.hamiltonian = hamiltonian
        self.pair = hamiltonian.pair
        self.fields = tuple(fields)

    def attach(self, state: State) -> State:
        return self.hamiltonian.attach(state)

    def gaps(self, state: State) -> Float[Tensor, "systems gaps"] | None:
        """Those of the pairs."""
        return self.hamiltonian.gaps(state)

    def velocity_force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return sum((field.force(state) for field in self.fields), start=torch.zeros_like(state.p))

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return self.hamiltonian.force(state) + self.velocity_force(state)

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        return state.velocity, self.force(state)

    def messages(self, state: State) -> Messages:
        """Those of the pairs."""
        return self.hamiltonian.messages(state)

    def energy(self, state: State) -> Float[Tensor, " systems"]:
        """Kinetic and potential energy of each system."""
        return self.hamiltonian.energy(state)

    def power(self, state: State) -> Float[Tensor, " systems"]:
        """The rate of work of the fields on each system."""
        work = (self.velocity_force(state) * state.velocity).sum(-1)
        return work.new_zeros(state.num_systems).index_add(0, state.batch, work)


def pairs_and_fields(
    hamiltonian: Callable[[Sequence[Field]], PairwiseHamiltonian], fields: Sequence[Field]
) -> PairwiseHamiltonian | Driven:
    """The Hamiltonian built with the static fields; driven by the others where there are any."""
    static = [field for field in fields if not field.term.of_velocity]
    driving = [field for field in fields if field.term.of_velocity]
    return Driven(hamiltonian(static), driving) if driving else hamiltonian(static)


def share_of_pull(
    on_target: Float[Tensor, " pairs"], on_source: Float[Tensor, " pairs"], state: State
) -> Float[Tensor, " pairs"]:
    """See `Messages.share`, from the accelerations that each edge causes at its two ends."""
    source, target = state.pairs
    total = on_target.new_zeros(state.num_nodes)
    total = total.index_add(0, target, on_target.abs()).index_add(0, source, on_source.abs())
    total = total.clamp_min(torch.finfo(total.dtype).tiny)
    return torch.maximum(on_target.abs() / total[target], on_source.abs() / total[source])


def pair_forces(pair: PairPotential, state: State) -> Float[Tensor, "pairs dim"]:
    """The force of each pair on its target; minus that acts on its source."""
    d = displacement(state.q, state.pairs, state.box)
    r = distance(d)
    return (pair.force(r, *state.ends) / r)[:, None] * d
