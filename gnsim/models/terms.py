"""Forces beyond those between pairs: on each body by itself, linear in their coefficients.

``F_i = w_i sum_k c_k B_k(q_i, v_i)``, where w is one or an attribute of the body. Linear, so that
coefficients are solved for like couplings (`gnsim.models.coupled`). A kind of term is an entry of
`KINDS`; what is static has a potential and goes into H, what depends on the velocity does not.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.state import State, Trajectory


@dataclass(frozen=True)
class Kind:
    """What a term is like: `symbols` for its coefficients in so many dimensions, and its force.

    `formula` and `latex` write that force with `{c}` for the coefficient (the vector of them), and
    x and v for position and velocity. `powers` of length and of time are those of its coefficients
    beside a mass.
    `of_velocity` terms are linear in the velocity; static ones have a `potential`
    [nodes, coefficients] for a weight of one.
    """

    name: str
    formula: str
    latex: str
    powers: tuple[int, int]
    symbols: Callable[[int], tuple[str, ...]]
    force: Callable[[Tensor, Tensor], Float[Tensor, "nodes dim coefficients"]]
    potential: Callable[[Tensor], Float[Tensor, "nodes coefficients"]] | None = None
    dims: tuple[int, ...] = (1, 2, 3)

    @property
    def of_velocity(self) -> bool:
        return self.potential is None


def _axes(symbol: str, dim: int) -> tuple[str, ...]:
    return tuple(f"{symbol}_{axis}" for axis in "xyz"[:dim])


def _drag(q: Tensor, v: Tensor) -> Tensor:
    return -v[..., None]


def _uniform(q: Tensor, v: Tensor) -> Tensor:
    return torch.eye(q.shape[1], dtype=q.dtype, device=q.device).expand(*q.shape, -1)


def _trap(q: Tensor, v: Tensor) -> Tensor:
    return -q[..., None]


def _magnetic(q: Tensor, v: Tensor) -> Tensor:
    """v x B for a unit B along each axis; in the plane, B stands upright."""
    if v.shape[1] == 2:
        return torch.stack([v[:, 1], -v[:, 0]], 1)[..., None]
    axes = torch.eye(3, dtype=v.dtype, device=v.device)
    return torch.stack([torch.linalg.cross(v, axis.expand_as(v)) for axis in axes], -1)


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
    )
}


@dataclass(frozen=True)
class Term:
    """A kind of `KINDS` in `dim` dimensions times a `weight`: an attribute, or empty for one.

    Raises:
        ValueError: an unknown kind, or one that space has not enough or too many dimensions for.
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
        return float(dt**time / rate) if length == 0 and rate > 0 else math.inf

    def force(self, state: State) -> Float[Tensor, "nodes dim coefficients"]:
        """The force on each body per unit of each coefficient."""
        weight = _weights(state, self.weight)[:, None, None]
        return weight * KINDS[self.kind].force(state.q, state.velocity)

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


def possible_terms(trajectory: Trajectory, with_attributes: bool) -> tuple[Term, ...]:
    """Every kind, by itself and, if asked, with each attribute that differs between bodies.

    A trap has no place in a periodic box.
    """
    names = [n for n, value in trajectory.attributes.items() if value.unique().numel() > 1]
    weights = ["", *names] if with_attributes else [""]
    kinds = [
        kind.name
        for kind in KINDS.values()
        if trajectory.dim in kind.dims and not (kind.name == "trap" and trajectory.box is not None)
    ]
    return tuple(Term(kind, trajectory.dim, weight) for kind in kinds for weight in weights)
