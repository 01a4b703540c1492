"""Pair interactions with couplings that enter linearly, and so are solved for, not descended to.

Where a file does not give the masses or charges, each body gets an unknown number x that multiplies
the interaction in one of few ways (`COUPLINGS`). The acceleration is linear in x (in each of them,
where two charges multiply): `basis` returns its derivatives, and the training loss finds x by least
squares (variable projection, Golub and Pereyra 1973). Positions and velocities are the variables
here, so that a body with a coupling of zero does no harm; `canonical` turns the result into forces,
and into a Hamiltonian where the forces do not depend on velocities.
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
    target's own response (then ``x_i = 1 / m_i``), nobody's (one common strength over the mass
    that the file gives, or over one), or both bodies' charges times a common strength, over such a
    mass. `attribute` is what is hidden, `meaning` says it in words.
    """

    name: str
    of: Literal["nobody", "source", "target", "both"]
    meaning: str
    attribute: str = ""

    def counts(self, bodies: int) -> tuple[int, int]:
        """How many numbers x multiply the interaction as a whole, and how many charges follow."""
        return {"nobody": (1, 0), "both": (1, bodies)}.get(self.of, (bodies, 0))

    @property
    def factor(self) -> str:
        """What the hidden numbers multiply the force by, as an expression."""
        of_both = self.of in ("source", "both")
        return f"{self.attribute}_i*{self.attribute}_j" if of_both else "1"

    @property
    def hides_masses(self) -> bool:
        """Then forces on single bodies are known as accelerations only."""
        return self.attribute == "mass"


COUPLINGS: Mapping[str, Coupling] = {
    "none": Coupling("none", "nobody", "nothing hidden: the strength is common to all bodies"),
    "response": Coupling(
        "response", "target", "hidden masses; the force does not depend on them", "mass"
    ),
    "source": Coupling(
        "source", "source", "hidden masses; the force is proportional to both", "mass"
    ),
    "charges": Coupling(
        "charges", "both", "hidden charges; the force is proportional to both", "charge"
    ),
}


@dataclass(frozen=True)
class Structure:
    """What a pair model is made of beside its pair potential: a name of `COUPLINGS`, and terms.

    Raises:
        ValueError: terms of pairs beside hidden masses, where only accelerations are known: those
            of the two bodies would not be opposite forces.
    """

    coupling: str
    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        of_pairs = [term.name for term in self.terms if term.of_pairs]
        if of_pairs and COUPLINGS[self.coupling].hides_masses:
            raise ValueError(f"term {of_pairs[0]}: wanted masses that are given, found hidden ones")


class CoupledPairs(Split):
    """``a_i = sum_j c_ij f(r_ij) (q_j - q_i) / r_ij + sum_k b_k B_k(q_i, v_i) / m_i``.

    With numbers x that can be solved for: the couplings that make up c, then the coefficients b.

    Args:
        pair: the interaction f, up to the couplings.
        structure: its coupling, and terms; these are in units of an acceleration where masses are
            hidden.
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
        self.num_couplings = sum(self.coupling.counts(bodies))
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
        if not self.terms:
            return ()
        counts = [len(term.symbols) for term in self.terms]
        values = self.coefficients.split(counts)
        return tuple(Field(t, v) for t, v in zip(self.terms, values, strict=True))

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        vectors = pair_forces(self.pair, state)
        if self.coupling.hides_masses:
            onto_target, onto_source = self.couplings[self._columns(state)]
            force = state.mass[:, None] * self.sum(vectors, state, onto_target, onto_source)
        else:
            force = self.sum(self._strength(state) * vectors, state)
        return sum((field.force(state) for field in self.fields()), start=force)

    def velocity_force(self, state: State) -> Float[Tensor, "nodes dim"] | None:
        parts = [field.force(state) for field in self.fields() if field.term.of_velocity]
        return sum(parts[1:], start=parts[0]) if parts else None

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        return state.velocity, self.force(state)

    def basis(self, state: State) -> Float[Tensor, "nodes dim numbers"]:
        """Derivative of the acceleration of each node by each of the numbers x."""
        vectors = pair_forces(self.pair, state)
        count = self.num_couplings
        size = state.num_nodes * count
        total = vectors.new_zeros(size, state.dim)
        for columns, factor in self._derivatives(state):
            to_target, to_source = columns + state.pairs.flip(0) * count
            part = vectors * factor
            total = total + scatter(part, to_target, size) - scatter(part, to_source, size)
        of_pairs = total.view(state.num_nodes, count, state.dim).transpose(1, 2)
        mass = state.mass[:, None, None]
        of_pairs = of_pairs if self.coupling.hides_masses else of_pairs / mass
        return torch.cat([of_pairs, *(term.force(state) / mass for term in self.terms)], 2)

    def messages(self, state: State) -> Messages:
        """The radial force along each edge, without the hidden numbers that multiply it."""
        r = distance(displacement(state.q, state.pairs, state.box))
        attributes = state.ends
        force = self.pair.force(r, *attributes)
        source, target = state.pairs
        if self.coupling.hides_masses:
            onto_target, onto_source = self.couplings[self._columns(state)]
        else:
            strength = self._strength(state)[:, 0]
            onto_target, onto_source = strength / state.mass[target], strength / state.mass[source]
        share = share_of_pull(force * onto_target, force * onto_source, state)
        return Messages(r, force * self.hidden()[1], *attributes, share, self.coupling.factor)

    def of_each_pair(self, state: State) -> Float[Tensor, "nodes dim pairs_of_places"]:
        """Acceleration of each node as if each pair of places had a strength of its own, per unit.

        Systems have the same places, and so their pairs the same order.
        """
        vectors = pair_forces(self.pair, state)
        count = self.bodies * (self.bodies - 1) // 2
        number = torch.arange(len(vectors)) % count
        source, target = state.pairs * count + number
        size = state.num_nodes * count
        total = scatter(vectors, target, size) - scatter(vectors, source, size)
        of_pairs = total.view(state.num_nodes, count, state.dim).transpose(1, 2)
        return of_pairs / state.mass[:, None, None]

    def _columns(self, state: State) -> Int[Tensor, "2 pairs"]:
        """Which coupling acts on the target and on the source of each pair."""
        source, target = state.pairs % self.bodies
        return torch.stack([target, source] if self.coupling.of == "target" else [source, target])

    def _strength(self, state: State) -> Float[Tensor, "pairs 1"]:
        """What multiplies the force of each pair, where masses are not what is hidden."""
        strength = self.couplings[:1].expand(state.pairs.shape[1])
        if self.coupling.of == "both":
            source, target = self.couplings[1:][state.pairs % self.bodies]
            strength = strength * source * target
        return strength[:, None]

    def _derivatives(self, state: State) -> list[tuple[Int[Tensor, "2 pairs"], Tensor | float]]:
        """The numbers that act on target and source of each pair, and what they multiply."""
        if self.coupling.hides_masses:
            return [(self._columns(state), 1.0)]
        common = torch.zeros_like(state.pairs)
        if self.coupling.of == "nobody":
            return [(common, 1.0)]
        places = state.pairs % self.bodies
        source, target = self.couplings[1:][places]
        strength = self.couplings[0]
        return [
            (common, (source * target)[:, None]),
            ((1 + places[0]).expand(2, -1), (strength * target)[:, None]),
            ((1 + places[1]).expand(2, -1), (strength * source)[:, None]),
        ]

    def unit_couplings(self) -> Float[Tensor, " couplings"]:
        """The couplings for a strength of one."""
        scaled, charges = self.coupling.counts(self.bodies)
        if not charges:
            return self.couplings / self.hidden()[1]
        largest = self.couplings[scaled:].abs().max()
        return torch.cat([torch.ones_like(largest)[None], self.couplings[scaled:] / largest])

    def hidden(self) -> tuple[dict[str, Float[Tensor, " bodies"]], Float[Tensor, ""]]:
        """Inferred attributes, the largest being one, and the strength of the pair force then.

        A mass that the data leave at or below zero becomes a millionth of a millionth of the
        largest: momenta stay defined, and no other body moves differently.
        """
        x = self.couplings
        if self.coupling.of == "nobody":
            return {}, x[0]
        if self.coupling.of == "both":
            largest = x[1:].abs().max()
            return {"charge": x[1:] / largest}, x[0] * largest.square()
        sign = torch.sign(x[x.abs().argmax()])
        size = sign * x
        size = size.clamp_min(1e-12 * float(size.max()))
        if self.coupling.of == "source":
            return {"mass": size / size.max()}, sign * size.max()
        return {"mass": size.min() / size}, sign * size.min()

    def canonical(self) -> "PairwiseHamiltonian | Driven":
        """The same motion in terms of forces, with what was inferred attached to its states."""
        hidden, strength = self.hidden()
        of = self.coupling.attribute if self.coupling.factor != "1" else ""
        pair = ScaledPair(self.pair, strength.detach(), of)
        attributes = {name: values.detach() for name, values in hidden.items()}
        return pairs_and_fields(
            lambda static: InferredHamiltonian(pair, attributes, static), self.forces()
        )

    def forces(self) -> tuple[Field, ...]:
        """The fields as forces: those of hidden masses, solved for as accelerations, have them."""
        if not self.coupling.hides_masses:
            return self.fields()
        return tuple(
            Field(replace(field.term, weight="mass"), field.coefficients) for field in self.fields()
        )


class ScaledPair(PairPotential):
    """Another pair potential times a strength and, where given, times an attribute of both."""

    strength: Tensor

    def __init__(self, pair: PairPotential, strength: Tensor, attribute: str) -> None:
        super().__init__()
        self.pair = pair
        self.attribute = attribute
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
        if not self.attribute:
            return self.strength
        return self.strength * source[self.attribute] * target[self.attribute]


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
