"""Forces beyond the radial ones between pairs, linear in their coefficients.

``F_i = w_i sum_k c_k B_k(q_i, v_i)`` on each body by itself, where w is one or an attribute of the
body; and friction between the two bodies of a pair, the same on both with opposite signs. Linear,
so that coefficients are solved for like couplings (`gnsim.models.coupled`). A kind of term is an
entry of `KINDS`; what is static has a potential and goes into H, what depends on the velocity does
not.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.graph import displacement, distance
from gnsim.state import State, Trajectory


@dataclass(frozen=True)
class Kind:
    """What a term is like: `symbols` for its coefficients in so many dimensions, and its force.

    `formula` and `latex` write that force with `{c}` for the coefficient (the vector of them), and
    x and v for position and velocity, n for the direction of a pair. `powers` of length and of time
    are those of its coefficients beside a mass. `of_pairs` terms add up over the other bodies.
    `of_velocity` terms are linear in the velocity; static ones have a `potential`
    [nodes, coefficients] for a weight of one.
    """

    name: str
    formula: str
    latex: str
    powers: tuple[int, int]
    symbols: Callable[[int], tuple[str, ...]]
    force: Callable[[State], Float[Tensor, "nodes dim coefficients"]]
    potential: Callable[[Tensor], Float[Tensor, "nodes coefficients"]] | None = None
    dims: tuple[int, ...] = (1, 2, 3)
    of_pairs: bool = False

    @property
    def of_velocity(self) -> bool:
        return self.potential is None


def _axes(symbol: str, dim: int) -> tuple[str, ...]:
    return tuple(f"{symbol}_{axis}" for axis in "xyz"[:dim])


def _drag(state: State) -> Tensor:
    return -state.velocity[..., None]


def _uniform(state: State) -> Tensor:
    axes = torch.eye(state.dim, dtype=state.q.dtype, device=state.q.device)
    return axes.expand(*state.q.shape, -1)


def _trap(state: State) -> Tensor:
    return -state.q[..., None]


def _magnetic(state: State) -> Tensor:
    """v x B for a unit B along each axis; in the plane, B stands upright."""
    v = state.velocity
    if v.shape[1] == 2:
        return torch.stack([v[:, 1], -v[:, 0]], 1)[..., None]
    axes = torch.eye(3, dtype=v.dtype, device=v.device)
    return torch.stack([torch.linalg.cross(v, axis.expand_as(v)) for axis in axes], -1)


def _friction(state: State) -> Tensor:
    source, target = state.pairs
    v = state.velocity
    return _on_both(v[source] - v[target], state)


def _dashpot(state: State) -> Tensor:
    """The part of friction along the line between the two."""
    source, target = state.pairs
    v = state.velocity
    d = displacement(state.q, state.pairs, state.box)
    r = distance(d)[:, None]
    along = ((v[source] - v[target]) * d).sum(1, keepdim=True)
    # two bodies in one place have no line between them
    return _on_both(along * d / torch.where(r > 0, r, 1.0).square(), state)


def _on_both(vectors: Float[Tensor, "pairs dim"], state: State) -> Tensor:
    """The sum over pairs of what acts on the target, and its opposite on the source."""
    source, target = state.pairs
    total = torch.zeros_like(state.q).index_add(0, target, vectors)
    return total.index_add(0, source, -vectors)[..., None]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("drag", "-{c}*v_i", r"-{c}\,\mathbf{{v}}_i", (0, -1), lambda dim: ("gamma",), _drag),
        Kind(
            "uniform",
            "{c}",
            r"\mathbf{{{c}}}",
            (1, -2),
            lambda dim: _axes("g", dim),
            _uniform,
            lambda q: -q,
        ),
        Kind(
            "trap",
            "-{c}*x_i",
            r"-{c}\,\mathbf{{x}}_i",
            (0, -2),
            lambda dim: ("kappa",),
            _trap,
            lambda q: 0.5 * q.square().sum(1, keepdim=True),
        ),
        Kind(
            "magnetic",
            "v_i x {c}",
            r"\mathbf{{v}}_i\times\mathbf{{{c}}}",
            (0, -1),
            lambda dim: ("B",) if dim == 2 else _axes("B", dim),
            _magnetic,
            dims=(2, 3),
        ),
        Kind(
            "friction",
            "-{c}*sum_j (v_i - v_j)",
            r"-{c}\sum_j(\mathbf{{v}}_i-\mathbf{{v}}_j)",
            (0, -1),
            lambda dim: ("eta",),
            _friction,
            of_pairs=True,
        ),
        Kind(
            "dashpot",
            "-{c}*sum_j ((v_i - v_j) . n_ij) n_ij",
            r"-{c}\sum_j((\mathbf{{v}}_i-\mathbf{{v}}_j)\cdot\mathbf{{n}}_{{ij}})\,\mathbf{{n}}_{{ij}}",
            (0, -1),
            lambda dim: ("zeta",),
            _dashpot,
            dims=(2, 3),
            of_pairs=True,
        ),
    )
}


@dataclass(frozen=True)
class Term:
    """A kind of `KINDS` in `dim` dimensions times a `weight`: an attribute, or empty for one.

    Raises:
        ValueError: an unknown kind, one that space has not enough or too many dimensions for, or
            a weight for a term of pairs.
    """

    kind: str
    dim: int
    weight: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"term: wanted one of {', '.join(KINDS)}, found '{self.kind}'")
        if self.dim not in KINDS[self.kind].dims:
            raise ValueError(
                f"term {self.kind}: wanted {KINDS[self.kind].dims} dimensions, found {self.dim}"
            )
        if self.of_pairs and self.weight:
            raise ValueError(f"term {self.kind}: wanted no weight, found '{self.weight}'")

    @classmethod
    def named(cls, name: str, dim: int) -> "Term":
        """The term that `name` is the name of."""
        kind, _, weight = name.partition(" of ")
        return cls(kind, dim, weight)

    @property
    def name(self) -> str:
        return f"{self.kind} of {self.weight}" if self.weight else self.kind

    @property
    def of_velocity(self) -> bool:
        return KINDS[self.kind].of_velocity

    @property
    def of_pairs(self) -> bool:
        return KINDS[self.kind].of_pairs

    @property
    def formula(self) -> str:
        """The force on body i as text."""
        plain = KINDS[self.kind].formula.format(c=self.stem)
        return f"{self.weight}_i*({plain})" if self.weight else plain

    @property
    def stem(self) -> str:
        """The coefficient, or the vector of them."""
        stem = KINDS[self.kind].symbols(self.dim)[0].partition("_")[0]
        return f"{stem}_{self.weight}" if self.weight else stem

    @property
    def symbols(self) -> tuple[str, ...]:
        """A name for each coefficient."""
        plain = KINDS[self.kind].symbols(self.dim)
        return tuple(f"{symbol}_{self.weight}" for symbol in plain) if self.weight else plain

    def resolvable(self, state: State, dt: float) -> float:
        """The largest coefficient whose motion steps of `dt` resolve; inf for a uniform field."""
        length, time = KINDS[self.kind].powers
        rate = (_weights(state, self.weight) / state.mass).abs().median()
        if self.of_pairs:  # the fastest motion of a body against its partners
            rate = rate * (1 + state.pairs.flatten().bincount().max())
        return float(dt**time / rate) if length == 0 and rate > 0 else math.inf

    def force(self, state: State) -> Float[Tensor, "nodes dim coefficients"]:
        """The force on each body per unit of each coefficient."""
        weight = _weights(state, self.weight)[:, None, None]
        return weight * KINDS[self.kind].force(state)

    def potential(self, state: State) -> Float[Tensor, "nodes coefficients"]:
        """The potential energy of each body per unit of each coefficient; static terms only."""
        potential = KINDS[self.kind].potential
        if potential is None:
            raise ValueError(f"the term {self.name} depends on velocities and has no potential")
        return _weights(state, self.weight)[:, None] * potential(state.q)


@dataclass(frozen=True)
class Field:
    """A term with the values of its coefficients, in the order of its `symbols`."""

    term: Term
    coefficients: Float[Tensor, " coefficients"]

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return self.term.force(state) @ self.coefficients.to(state.q)

    def potential(self, state: State) -> Float[Tensor, " nodes"]:
        """See `Term.potential`."""
        return self.term.potential(state) @ self.coefficients.to(state.q)


def _weights(state: State, weight: str) -> Float[Tensor, " nodes"]:
    if not weight:
        return torch.ones_like(state.mass)
    if weight == "mass":
        return state.mass
    if weight not in state.attributes:
        raise ValueError(
            f"a term needs the attribute '{weight}' of every body, and the state has "
            f"{', '.join(state.attributes) or 'none'}; add it with state.with_attributes"
        )
    return state.attributes[weight]


def possible_terms(trajectory: Trajectory, hidden_masses: bool) -> tuple[Term, ...]:
    """Every kind: of single bodies by itself and with each attribute that differs between bodies.

    Where masses are hidden, by itself only, and none of pairs: forces on the two bodies of a pair
    are opposite, and such forces are known as accelerations only. A trap has no place in a periodic
    box.
    """
    names = [n for n, value in trajectory.attributes.items() if value.unique().numel() > 1]
    weights = [""] if hidden_masses else ["", *names]
    terms = []
    for kind in KINDS.values():
        if trajectory.dim not in kind.dims or (kind.name == "trap" and trajectory.box is not None):
            continue
        if not kind.of_pairs:
            terms += [Term(kind.name, trajectory.dim, weight) for weight in weights]
        elif not hidden_masses:
            terms.append(Term(kind.name, trajectory.dim))
    return tuple(terms)
