"""The law that a discovery ends in: a radial pair force as an expression, with its constants."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sympy

from gnsim.state import Units
from gnsim.symbolic.equality import equals
from gnsim.symbolic.expressions import (
    SPEEDS,
    attribute_of,
    inlined,
    is_symmetric,
    is_variable,
    names_of,
    read,
)
from gnsim.symbolic.parser import FUNCTIONS, IDENTIFIER

if TYPE_CHECKING:
    from gnsim.models.pairwise import Driven
    from gnsim.models.terms import Field, Term
    from gnsim.models.vector_pairs import Corrected
    from gnsim.symbolic.potential import LawHamiltonian

Status = Literal["verified", "candidate", "no law found"]


@dataclass(frozen=True)
class Constant:
    """A fitted constant, its standard error (None where unknown) and its unit."""

    value: float
    stderr: float | None
    unit: str = ""


@dataclass(frozen=True)
class Hidden:
    """An attribute of each body that was inferred together with the law, such as its mass."""

    values: tuple[float, ...]
    stderr: tuple[float, ...]
    names: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether held-out data bear the law out, and why."""

    verified: bool
    status: Status
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Law:
    """A radial pair force ``F = dV/dr``, positive where it attracts.

    The force on body i from body j is ``F(r, attributes_i, attributes_j) (q_j - q_i) / r``. `force`
    is an expression (or text, which becomes one) in ``r``, in ``NAME_i, NAME_j`` for an attribute
    NAME of both bodies, and in the names of `constants`. `terms` are what acts beside it, with the
    constants that their `symbols` name as coefficients. `hidden` holds attributes inferred
    with the law. `radial` and `transverse` are what acts beside `force` along the line and across
    it, and may depend on the relative velocity as well, by ``v_r`` and ``v_t`` (see
    `gnsim.models.vector_pairs`). All in `units` of the data. Raises ValueError for a name that is
    neither variable nor constant, and for a term of other dimensions or without its constants.
    """

    force: sympy.Expr | str
    constants: Mapping[str, Constant]
    dim: int
    units: Units = field(default_factory=Units)
    hidden: Mapping[str, Hidden] = field(default_factory=dict)
    complexity: int | None = None
    loss: float | None = None
    verdict: Verdict | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    terms: "tuple[Term, ...]" = ()
    radial: sympy.Expr | str = sympy.S.Zero
    transverse: sympy.Expr | str = sympy.S.Zero

    def __post_init__(self) -> None:
        for part in ("force", "radial", "transverse"):
            object.__setattr__(self, part, read(getattr(self, part)))
        for name in self.constants:
            taken = is_variable(name) or name in SPEEDS or name in FUNCTIONS
            if taken or not IDENTIFIER.match(name):
                raise ValueError(
                    f"constant {name!r}: names of constants are letters, digits and _, none of r, "
                    f"{', '.join(SPEEDS)}, NAME_i, NAME_j or a function; rename it"
                )
        self._check_names(self.expr, ())
        for part in (self.radial_expr, self.transverse_expr):
            self._check_names(part, SPEEDS)
        for term in self.terms:
            missing = [name for name in term.symbols if name not in self.constants]
            if term.dim != self.dim or missing:
                raise ValueError(
                    f"term {term.name}: wanted {self.dim} dimensions and the constants "
                    f"{', '.join(term.symbols)}, found {term.dim} dimensions and "
                    f"{', '.join(self.constants) or 'no constants'}; give all of them"
                )
        for name, hidden in self.hidden.items():
            if len({len(hidden.values), len(hidden.stderr), len(hidden.names)}) != 1:
                raise ValueError(f"hidden {name!r}: values, stderr and names differ in length")

    def _check_names(self, part: sympy.Expr, variables: tuple[str, ...]) -> None:
        known = (*variables, *self.constants)
        unknown = [n for n in names_of(part) if n not in known and not is_variable(n)]
        if unknown:
            names = ", ".join(("r", *variables, "NAME_i", "NAME_j"))
            raise ValueError(
                f"force {part}: {unknown[0]!r} is neither a variable ({names}) nor "
                f"one of the constants ({', '.join(self.constants) or 'none'}); give its value"
            )

    @property
    def expr(self) -> sympy.Expr:
        """`force` as an expression, whether text or an expression was given."""
        return read(self.force)

    @property
    def radial_expr(self) -> sympy.Expr:
        """`radial` as an expression."""
        return read(self.radial)

    @property
    def transverse_expr(self) -> sympy.Expr:
        """`transverse` as an expression."""
        return read(self.transverse)

    @property
    def corrected(self) -> bool:
        """Whether anything acts between pairs beside `force`."""
        return self.radial_expr != 0 or self.transverse_expr != 0

    def beside(self) -> dict[str, str]:
        """What acts between a pair beside `force`, by where it points, each in one line."""
        from gnsim.symbolic.text import beside, force_text

        return {where: force_text(part) for where, part in beside(self).items()}

    @property
    def verified(self) -> bool:
        """True only where held-out data bore the law out."""
        return self.verdict is not None and self.verdict.verified

    @property
    def values(self) -> dict[str, float]:
        """The constants' values by name."""
        return {name: constant.value for name, constant in self.constants.items()}

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes of the bodies that the pair force depends on."""
        parts = (self.expr, self.radial_expr, self.transverse_expr)
        found = (attribute_of(name) for part in parts for name in names_of(part))
        return tuple(sorted({attribute[0] for attribute in found if attribute}))

    @property
    def fields(self) -> "tuple[Field, ...]":
        """The terms with their coefficients."""
        from gnsim.symbolic.potential import fields

        return fields(self)

    def __str__(self) -> str:
        from gnsim.symbolic.text import plain

        return plain(self)

    def text(self) -> str:
        """The pair force in one line of text, which `Law` reads."""
        from gnsim.symbolic.text import force_text

        return force_text(self.expr)

    def latex(self) -> str:
        """The law as LaTeX mathematics, without dollar signs."""
        from gnsim.symbolic.text import latex

        return latex(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def equals(self, other: "Law | sympy.Expr | str") -> bool:
        """Whether `other` has the same form, whatever the constants' values (`equality.equals`).

        An expression or text stands for a law of that pair force without terms.
        """
        terms = {term.name for term in other.terms} if isinstance(other, Law) else set()
        if {term.name for term in self.terms} != terms:
            return False
        if not isinstance(other, Law):
            return not self.corrected and equals(self.expr, other, self.values)
        parts = ((law.expr, law.radial_expr, law.transverse_expr) for law in (self, other))
        return all(
            one == another == 0 or equals(one, another, self.values, other.values)
            for one, another in zip(*parts, strict=True)
        )

    def potential_expr(self) -> sympy.Expr | None:
        """V(r) of a pair in closed form, zero at infinity where it can be; None if not found."""
        from gnsim.symbolic.potential import potential

        return potential(self.expr, self.values)

    def hamiltonian(self) -> "LawHamiltonian":
        """The law as a Hamiltonian that the `Simulator` runs.

        Raises ValueError where the force changes under exchange of the two bodies, or has a term
        that depends on velocities: there is no H(q, p) then.
        """
        from gnsim.symbolic.potential import hamiltonian

        driving = [term.name for term in self.terms if term.of_velocity]
        if driving:
            raise ValueError(
                f"term {driving[0]}: depends on velocities, so the law has no Hamiltonian; "
                "use dynamics()"
            )
        if self.corrected:
            raise ValueError(
                "radial, transverse: what acts beside the force may depend on velocities, so the "
                "law is run without a Hamiltonian; use dynamics()"
            )
        self._check_symmetric()
        return hamiltonian(self)

    def dynamics(self) -> "LawHamiltonian | Driven | Corrected":
        """The law as what the `Simulator` runs: its Hamiltonian, driven by velocity terms if any.

        Beside a correction there are no kicks and drifts, so it wants `DOP853` or a Runge-Kutta
        method.

        Raises ValueError where the force changes under exchange of the two bodies.
        """
        from gnsim.symbolic.potential import dynamics

        self._check_symmetric()
        return dynamics(self)

    def _check_symmetric(self) -> None:
        for part in (self.expr, self.radial_expr, self.transverse_expr):
            if not is_symmetric(inlined(part, self.values)):
                raise ValueError(
                    f"force {part}: changes when the bodies i and j are exchanged, so it breaks "
                    "Newton's third law and has no Hamiltonian; make it symmetric"
                )

    def acceleration(
        self,
        q: np.ndarray,
        v: np.ndarray | None = None,
        box: Sequence[float] | np.ndarray | None = None,
        bonds: Sequence[Sequence[int]] | np.ndarray | None = None,
        **attributes: Any,
    ) -> np.ndarray:
        """Accelerations [bodies, dim] at positions `q` [bodies, dim], in the data's units.

        `v` [bodies, dim] is needed where a term depends on velocities. `box` [dim] holds the edges
        of a periodic box, where bodies act through their nearest images. `bonds` [2, bonds] are
        the pairs that interact, where not all do. `attributes` are arrays [bodies]; those left out
        are the law's hidden ones, and mass is one where neither data nor caller had any. Raises
        ValueError for other shapes, for missing velocities or a missing attribute, for one that
        the data of the law did not have, for two bodies in one place, and for no masses, box or
        bonds where the law was learned with them.
        """
        from gnsim.symbolic.motion import acceleration

        return acceleration(self, q, v, box, bonds, attributes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the law as JSON, whole or not at all; floats are kept to the last bit."""
        from gnsim.symbolic.law_file import save

        save(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Law":
        """The law that `save` wrote; a one-line ValueError for a damaged or hostile file."""
        from gnsim.symbolic.law_file import load

        return load(path)
