"""A law's expression as a pair potential that runs in torch: the law as a Hamiltonian."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import sympy
import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.pairwise import Attributes, Driven, PairPotential, PairwiseHamiltonian
from gnsim.models.terms import Field
from gnsim.models.vector_pairs import Corrected, RelativeMotion, VectorPair
from gnsim.state import State
from gnsim.symbolic.expressions import (
    attribute_of,
    bounded,
    breaks_of,
    compiled,
    inlined,
    names_of,
    pieces_of,
)
from gnsim.symbolic.parser import is_readable

if TYPE_CHECKING:
    from gnsim.symbolic.law import Law

_SECONDS = 3.0
_NAMES = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh")


def _choice(beyond: Tensor, before: Tensor | float | int, after: Tensor | float | int) -> Tensor:
    return torch.where(beyond < 0, before, after)


def _blurred(
    blur: float, beyond: Tensor, before: Tensor | float | int, after: Tensor | float | int
) -> Tensor:
    return before + torch.sigmoid(beyond / blur) * (after - before)


_TORCH: Mapping[str, Callable] = {
    "Abs": torch.abs,
    "choice": _choice,
    "signum": torch.sign,
    **{f: getattr(torch, f) for f in _NAMES},
}


class ClosedFormPotential(PairPotential):
    """``dV/dr`` of a law; V where it is known in closed form, else by quadrature."""

    def __init__(self, law: "Law") -> None:
        super().__init__()
        force = inlined(law.expr, law.values)
        self.breaks = tuple(float(b) for b in breaks_of(force))
        self._law = law
        self._force = Compiled(force)

    @cached_property
    def _energy(self) -> "Compiled | None":
        """Found when it is first asked for: that can take seconds."""
        energy = self._law.potential_expr()
        return None if energy is None else Compiled(inlined(energy, self._law.values))

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self._force(r, source, target)

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        if self._energy is None:
            return super().energy(r, source, target)
        return self._energy(r, source, target)


class Compiled:
    """An expression in torch, of r, attributes of source (j) and target (i), and constants.

    Breaks are sharp, or logistic steps of the width `blur`.
    """

    def __init__(self, expr: sympy.Expr, blur: float = 0.0) -> None:
        self.names = names_of(expr)
        choice = {"choice": partial(_blurred, blur)} if blur else {}
        self.function = compiled(expr, self.names, {**_TORCH, **choice})

    def __call__(
        self,
        r: Tensor,
        source: Attributes,
        target: Attributes,
        constants: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Tensor:
        values = [
            constants[name] if name in constants else self._value(name, r, source, target)
            for name in self.names
        ]
        return torch.as_tensor(self.function(*values), dtype=r.dtype, device=r.device).expand_as(r)

    @staticmethod
    def _value(name: str, r: Tensor, source: Attributes, target: Attributes) -> Tensor:
        found = attribute_of(name)
        if found is None:
            return r
        attribute, end = found
        values = target if end == "i" else source
        if attribute in values:
            return values[attribute]
        if attribute == "mass":
            return torch.ones_like(r)
        raise ValueError(
            f"the law needs the attribute {attribute!r} of every body, and the state has "
            f"{', '.join(values) or 'none'}; add it with state.with_attributes"
        )


class LawHamiltonian(PairwiseHamiltonian):
    """The Hamiltonian of a law; `attach` gives a state the attributes found together with it."""

    def __init__(self, law: "Law", fields: Sequence[Field]) -> None:
        super().__init__(ClosedFormPotential(law), fields)
        self.law = law

    def attach(self, state: State) -> State:
        """`state` with the law's hidden attributes, by position within each system.

        Raises ValueError where a system has another number of bodies than the law knows.
        """
        attributes = {}
        for name, hidden in self.law.hidden.items():
            counts = torch.bincount(state.batch).tolist()
            wrong = [k for k, count in enumerate(counts) if count != len(hidden.values)]
            if wrong:
                raise ValueError(
                    f"hidden attribute {name!r} is known for {len(hidden.values)} bodies, but "
                    f"system {wrong[0]} has {counts[wrong[0]]}; "
                    f"give {name!r} in the state's attributes"
                )
            values = torch.tensor(hidden.values, dtype=state.q.dtype, device=state.q.device)
            attributes[name] = values.repeat(state.num_systems)
        return state.with_attributes(attributes) if attributes else state


class ClosedFormPair(VectorPair):
    """A force ``R n + T t`` by two expressions; constants stand as numbers."""

    def __init__(self, radial: sympy.Expr, transverse: sympy.Expr) -> None:
        self._components = (Compiled(radial), Compiled(transverse))

    def components(
        self, motion: RelativeMotion, source: Attributes, target: Attributes
    ) -> tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"]]:
        speeds = {"v_r": motion.v_r, "v_t": motion.v_t}
        along, across = (c(motion.r, source, target, speeds) for c in self._components)
        return along, across


def dynamics(law: "Law") -> "LawHamiltonian | Driven | Corrected":
    """See `Law.dynamics`."""
    driving = [field for field in fields(law) if field.term.of_velocity]
    static = Driven(hamiltonian(law), driving) if driving else hamiltonian(law)
    if not law.corrected:
        return static
    radial, transverse = (inlined(e, law.values) for e in (law.radial_expr, law.transverse_expr))
    return Corrected(static, ClosedFormPair(radial, transverse))


def hamiltonian(law: "Law") -> LawHamiltonian:
    """The Hamiltonian of the pair force and the static terms."""
    return LawHamiltonian(law, [field for field in fields(law) if not field.term.of_velocity])


def fields(law: "Law") -> tuple[Field, ...]:
    """See `Law.fields`."""
    return tuple(
        Field(term, torch.tensor([law.values[s] for s in term.symbols], dtype=torch.float64))
        for term in law.terms
    )


def potential(force: sympy.Expr, values: Mapping[str, float]) -> sympy.Expr | None:
    """The integral of `force` over r in closed form, zero at infinity where it has a limit there.

    `values` of the constants tell their signs. None where no integral in the functions of
    `parser.FUNCTIONS` is found in a few seconds.
    """
    signed = {s: _signed(s, values.get(s.name)) for s in force.free_symbols}
    back = {dummy: s for s, dummy in signed.items()}
    r = next((signed[s] for s in signed if s.name == "r"), None)
    if r is None:
        return force * sympy.Symbol("r", positive=True)
    broken = isinstance(force, sympy.Piecewise)
    found = bounded(_SECONDS, _joined if broken else _integral, force.xreplace(signed), r)
    return found.xreplace(back) if found is not None else None


def _signed(s: sympy.Symbol, value: float | None) -> sympy.Dummy:
    if s.is_positive or (value is not None and value > 0):
        return sympy.Dummy(s.name, positive=True)
    if value is not None and value < 0:
        return sympy.Dummy(s.name, negative=True)
    return sympy.Dummy(s.name, real=True)


def _joined(force: sympy.Expr, r: sympy.Symbol) -> sympy.Expr | None:
    """The integrals of the pieces, each continued from the one that begins where it ends."""
    integrals = [e for piece in pieces_of(force) if (e := _integral(piece, r)) is not None]
    if len(integrals) < len(pieces_of(force)):
        return None
    found = [(integrals.pop(), True)]
    for inner, end in reversed(list(zip(integrals, breaks_of(force), strict=True))):
        offset = found[0][0].subs(r, end) - inner.subs(r, end)
        found.insert(0, (inner + offset, r < end))
    return sympy.Piecewise(*found)


def _integral(force: sympy.Expr, r: sympy.Symbol) -> sympy.Expr | None:
    found = _by_terms(force, r)
    if found is None:
        found = sympy.integrate(force, r)
    if found.has(sympy.Integral, sympy.I, sympy.Piecewise) or not is_readable(found):
        return None
    at_infinity = sympy.limit(found, r, sympy.oo)
    if at_infinity.is_finite and not at_infinity.has(sympy.Limit, r):
        found = found - at_infinity
    return found


def _by_terms(force: sympy.Expr, r: sympy.Symbol) -> sympy.Expr | None:
    """The integral of a sum of powers of r; None for anything else."""
    total = sympy.Integer(0)
    for term in sympy.Add.make_args(sympy.expand(force)):
        factor, power = term.as_independent(r)
        exponent = sympy.S.Zero if power == 1 else power.as_base_exp()[1]
        if power not in (1, r**exponent) or exponent.has(r):
            return None
        if not exponent.is_Number:
            return None
        whole = sympy.log(r) if exponent == -1 else r ** (exponent + 1) / (exponent + 1)
        total += factor * whole
    return total
