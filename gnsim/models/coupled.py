"""Pair interactions with couplings that enter linearly, and so are solved for, not descended to.

Where a file does not give the masses, each body gets an unknown number x that multiplies the
interaction in one of few ways (`COUPLINGS`). The acceleration is linear in x: `basis` returns it
per unit of each x, and the training loss finds x by least squares (variable projection, Golub and
Pereyra 1973). Positions and velocities are the variables here, so that a body with a coupling of
zero does no harm; `canonical` turns the result into forces, and into a Hamiltonian where the
forces do not depend on velocities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnsim.dynamics import Split
from gnsim.graph import displacement, distance
from gnsim.models.pairwise import (
    Attributes,
    Driven,
    Messages,
    PairPotential,
    PairSum,
    PairwiseHamiltonian,
    attributes_of_pairs,
    pair_forces,
    pairs_and_fields,
    scatter,
    share_of_pull,
)
from gnsim.models.terms import Field, Term
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


@dataclass(frozen=True)
class Structure:
    """What a pair model is made of beside its pair potential: a name of `COUPLINGS`, and terms."""

    coupling: str
    terms: tuple[Term, ...] = ()


class CoupledPairs(Split):
    """``a_i = sum_j c_ij f(r_ij) (q_j - q_i) / r_ij + sum_k b_k B_k(q_i, v_i) / m_i``.

    With numbers x that can be solved for: the couplings that make up c, then the coefficients b.

    Args:
        pair: the interaction f, up to the couplings.
        structure: its coupling, and forces on each body by itself; these are in units of an
            acceleration where masses are hidden.
        bodies: bodies per system; hidden numbers belong to the place of a body in its system.
    """

    x: Tensor

    def __init__(self, pair: PairPotential, structure: Structure, bodies: int) -> None:
        super().__init__()
        self.pair = pair
        self.structure = structure
        self.coupling = COUPLINGS[structure.coupling]
        self.terms = structure.terms
        self.bodies = bodies
        self.sum = PairSum()
        self.num_couplings = 1 if self.coupling.of == "nobody" else bodies
        counts = [len(term.symbols) for term in self.terms]
        self.register_buffer("x", torch.zeros(self.num_couplings + sum(counts)))

    @property
    def couplings(self) -> Float[Tensor, " couplings"]:
        return self.x[: self.num_couplings]

    @property
    def coefficients(self) -> Float[Tensor, " coefficients"]:
        """Those of all terms, in their order."""
        return self.x[self.num_couplings :]

    def fields(self) -> tuple[Field, ...]:
        """The terms with their present coefficients."""
        counts = [len(term.symbols) for term in self.terms]
        values = self.coefficients.split(counts)
        return tuple(Field(t, v) for t, v in zip(self.terms, values, strict=True))

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        vectors = pair_forces(self.pair, state)
        if self.coupling.of == "nobody":
            force = self.couplings * self.sum(vectors, state)
        else:
            onto_target, onto_source = self.couplings[self._columns(state)]
            force = state.mass[:, None] * self.sum(vectors, state, onto_target, onto_source)
        return sum((field.force(state) for field in self.fields()), start=force)

    def velocity_force(self, state: State) -> Float[Tensor, "nodes dim"] | None:
        parts = [field.force(state) for field in self.fields() if field.term.of_velocity]
        return sum(parts[1:], start=parts[0]) if parts else None

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        return state.velocity, self.force(state)

    def basis(self, state: State) -> Float[Tensor, "nodes dim numbers"]:
        """Acceleration of each node per unit of each of the numbers x."""
        vectors = pair_forces(self.pair, state)
        count = self.num_couplings
        to_target, to_source = self._columns(state) + state.pairs.flip(0) * count
        size = state.num_nodes * count
        total = scatter(vectors, to_target, size) - scatter(vectors, to_source, size)
        of_pairs = total.view(state.num_nodes, count, state.dim).transpose(1, 2)
        mass = state.mass[:, None, None]
        of_pairs = of_pairs / mass if self.coupling.of == "nobody" else of_pairs
        return torch.cat([of_pairs, *(term.force(state) / mass for term in self.terms)], 2)

    def messages(self, state: State) -> Messages:
        """The radial force along each edge, without the hidden masses that multiply it."""
        r = distance(displacement(state.q, state.pairs, state.box))
        attributes = attributes_of_pairs(state)
        force = self.pair.force(r, *attributes)
        source, target = state.pairs
        if self.coupling.of == "nobody":
            per_unit = (1 / state.mass[target], 1 / state.mass[source])
        else:
            onto_target, onto_source = self.couplings[self._columns(state)]
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
        x = self.couplings
        if self.coupling.of == "nobody":
            return None, x[0]
        sign = torch.sign(x[x.abs().argmax()])
        size = sign * x
        size = size.clamp_min(1e-12 * float(size.max()))
        if self.coupling.of == "source":
            return size / size.max(), sign * size.max()
        return size.min() / size, sign * size.min()

    def canonical(self) -> "PairwiseHamiltonian | Driven":
        """The same motion in terms of forces, with the inferred masses attached to its states."""
        mass, strength = self.masses()
        pair = ScaledPair(self.pair, strength.detach(), of_masses=self.coupling.of == "source")
        attributes = {} if mass is None else {"mass": mass.detach()}
        return pairs_and_fields(
            lambda static: InferredHamiltonian(pair, attributes, static), self.forces()
        )

    def forces(self) -> tuple[Field, ...]:
        """The fields as forces: those of hidden masses, solved for as accelerations, have them."""
        if self.coupling.of == "nobody":
            return self.fields()
        return tuple(
            Field(replace(field.term, weight="mass"), field.coefficients) for field in self.fields()
        )


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

    def __init__(
        self, pair: PairPotential, inferred: Mapping[str, Tensor], fields: Sequence[Field] = ()
    ) -> None:
        super().__init__(pair, fields)
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
