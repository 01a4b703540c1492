"""Pair interactions with couplings that enter linearly, and so are solved for, not descended to.

Where a file does not give the masses, each body gets an unknown number x that multiplies the
interaction in one of few ways (`COUPLINGS`). The acceleration is linear in x: `basis` returns it
per unit of each x, and the training loss finds x by least squares (variable projection, Golub and
Pereyra 1973). Positions and velocities are the variables here, so that a body with a coupling of
zero does no harm; `hamiltonian` turns the result into canonical form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.graph import displacement, distance
from gnsim.models.pairwise import (
    Attributes,
    Messages,
    PairPotential,
    PairSum,
    PairwiseHamiltonian,
    attributes_of_pairs,
    pair_forces,
    scatter,
    share_of_pull,
)
from gnsim.state import State


@dataclass(frozen=True)
class Coupling:
    """How a hidden number per body enters the acceleration ``a_i = sum_j c_ij f(r_ij)``.

    `of` says whose number c_ij is: the source's (then ``x_j = G m_j``, as in gravity), the
    target's own response (then ``x_i = 1 / m_i``), or nobody's (one common strength over the mass
    that the file gives, or over one).
    """

    name: str
    of: Literal["nobody", "source", "target"]
    meaning: str


COUPLINGS: Mapping[str, Coupling] = {
    "none": Coupling("none", "nobody", "nothing hidden: the strength is common to all bodies"),
    "response": Coupling("response", "target", "hidden masses; the force does not depend on them"),
    "source": Coupling("source", "source", "hidden masses; the force is proportional to both"),
}


class CoupledPairs(Dynamics):
    """``a_i = sum_j c_ij f(r_ij) (q_j - q_i) / r_ij`` with couplings x that can be solved for.

    Args:
        pair: the interaction f, up to the couplings.
        coupling: a name from `COUPLINGS`.
        bodies: bodies per system; hidden numbers belong to the place of a body in its system.
    """

    separable = True
    x: Tensor

    def __init__(self, pair: PairPotential, coupling: str, bodies: int) -> None:
        super().__init__()
        self.pair = pair
        self.coupling = COUPLINGS[coupling]
        self.bodies = bodies
        self.sum = PairSum()
        self.register_buffer("x", torch.zeros(1 if self.coupling.of == "nobody" else bodies))

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        vectors = pair_forces(self.pair, state)
        if self.coupling.of == "nobody":
            return self.x * self.sum(vectors, state)
        onto_target, onto_source = self.x[self._columns(state)]
        return state.mass[:, None] * self.sum(vectors, state, onto_target, onto_source)

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        return state.velocity, self.force(state)

    def basis(self, state: State) -> Float[Tensor, "nodes dim couplings"]:
        """Acceleration of each node per unit of each coupling."""
        vectors = pair_forces(self.pair, state)
        count = self.x.numel()
        to_target, to_source = self._columns(state) + state.pairs.flip(0) * count
        size = state.num_nodes * count
        total = scatter(vectors, to_target, size) - scatter(vectors, to_source, size)
        per_node = total.view(state.num_nodes, count, state.dim).transpose(1, 2)
        return per_node / state.mass[:, None, None] if self.coupling.of == "nobody" else per_node

    def messages(self, state: State) -> Messages:
        """The radial force along each edge, without the hidden masses that multiply it."""
        r = distance(displacement(state.q, state.pairs, state.box))
        attributes = attributes_of_pairs(state)
        force = self.pair.force(r, *attributes)
        source, target = state.pairs
        if self.coupling.of == "nobody":
            per_unit = (1 / state.mass[target], 1 / state.mass[source])
        else:
            onto_target, onto_source = self.x[self._columns(state)]
            per_unit = (onto_target, onto_source)
        share = share_of_pull(force * per_unit[0], force * per_unit[1], state)
        return Messages(r, force * self.masses()[1], *attributes, share, self.factor)

    @property
    def factor(self) -> str:
        """What the hidden masses multiply the pair force by, as an expression."""
        return "mass_i*mass_j" if self.coupling.of == "source" else "1"

    def _columns(self, state: State) -> Int[Tensor, "2 pairs"]:
        """Which coupling acts on the target and on the source of each pair."""
        source, target = state.pairs % self.bodies
        if self.coupling.of == "nobody":
            return torch.zeros_like(state.pairs)
        return torch.stack([source, target] if self.coupling.of == "source" else [target, source])

    def masses(self) -> tuple[Float[Tensor, " bodies"] | None, Float[Tensor, ""]]:
        """Inferred masses, the heaviest being one, and the strength that multiplies the pair force.

        None for the masses where the coupling hides none. A coupling that the data leave at or
        below zero becomes a millionth of a millionth of the largest: momenta stay defined, and no
        other body moves differently.
        """
        if self.coupling.of == "nobody":
            return None, self.x[0]
        sign = torch.sign(self.x[self.x.abs().argmax()])
        size = sign * self.x
        size = size.clamp_min(1e-12 * float(size.max()))
        if self.coupling.of == "source":
            return size / size.max(), sign * size.max()
        return size.min() / size, sign * size.min()

    def hamiltonian(self) -> "InferredHamiltonian":
        """The same motion in canonical form, with the inferred masses attached to its states."""
        mass, strength = self.masses()
        pair = ScaledPair(self.pair, strength.detach(), of_masses=self.coupling.of == "source")
        return InferredHamiltonian(pair, {} if mass is None else {"mass": mass.detach()})


class ScaledPair(PairPotential):
    """Another pair potential times a strength and, for hidden sources, times both masses."""

    strength: Tensor

    def __init__(self, pair: PairPotential, strength: Tensor, of_masses: bool) -> None:
        super().__init__()
        self.pair = pair
        self.of_masses = of_masses
        self.register_buffer("strength", strength)

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self._factor(source, target) * self.pair.force(r, source, target)

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self._factor(source, target) * self.pair.energy(r, source, target)

    def _factor(self, source: Attributes, target: Attributes) -> Tensor:
        return self.strength * source["mass"] * target["mass"] if self.of_masses else self.strength


class InferredHamiltonian(PairwiseHamiltonian):
    """A pair Hamiltonian that brings attributes of its own, one per body of a system."""

    def __init__(self, pair: PairPotential, inferred: Mapping[str, Tensor]) -> None:
        super().__init__(pair)
        self.inferred = dict(inferred)

    def attach(self, state: State) -> State:
        """`state` with the inferred attributes, at unchanged velocities.

        Raises:
            ValueError: the systems of `state` have another number of bodies than the training data.
        """
        for name, values in self.inferred.items():
            if state.num_nodes != state.num_systems * len(values):
                raise ValueError(
                    f"{name}: {len(values)} values were inferred, one per body, but the state has "
                    f"{state.num_nodes} bodies in {state.num_systems} systems; "
                    "use systems of the same bodies or give the attribute"
                )
        repeated = {
            name: values.to(state.q).repeat(state.num_systems)
            for name, values in self.inferred.items()
        }
        return state.with_attributes(repeated)
