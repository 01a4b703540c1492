"""The numbers of a law itself, which move with any correction: constants and hidden attributes.

A law that was fitted alone has taken what it could of a correction into its own numbers: Newton's
masses hold half of what relativity does to Mercury. So they are free again beside every correction.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.state import State
from gnsim.symbolic.law import Law

#: share of itself by which a number is moved either way
_MOVED = 1e-3


@dataclass(frozen=True)
class Number:
    """A constant of a law, or the hidden attribute of a body by its place."""

    name: str
    place: int | None = None

    def of(self, law: Law) -> float:
        """Its value."""
        if self.place is None:
            return law.constants[self.name].value
        return law.hidden[self.name].values[self.place]

    def set(self, law: Law, value: float, stderr: float | None = None) -> Law:
        """`law` with another value of it, and where given, another standard error.

        An infinite one says that nobody knows: None for constants, the old one for hidden numbers.
        What was said of the law with its old numbers does not hold for it.
        """
        law = replace(law, verdict=None, loss=None, metadata=_without_errors(law.metadata))
        if self.place is None:
            old = law.constants[self.name]
            error = old.stderr if stderr is None else stderr
            known = error is not None and math.isfinite(error)
            new = replace(old, value=value, stderr=error if known else None)
            return replace(law, constants={**law.constants, self.name: new})
        old_all = law.hidden[self.name]
        values, errors = list(old_all.values), list(old_all.stderr)
        values[self.place] = value
        if stderr is not None and math.isfinite(stderr):
            errors[self.place] = stderr
        changed = replace(old_all, values=tuple(values), stderr=tuple(errors))
        return replace(law, hidden={**law.hidden, self.name: changed})


def numbers(law: Law) -> list[Number]:
    """All of them; of hidden attributes all but the one that the others are in units of."""
    found = [Number(name) for name in law.constants]
    for name, hidden in law.hidden.items():
        unit = min(range(len(hidden.values)), key=lambda k: (hidden.stderr[k], k))
        found += [Number(name, k) for k in range(len(hidden.values)) if k != unit]
    return found


def _without_errors(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Without the numbers by grouping that stand beside the constants that a law was found with."""
    return {key: value for key, value in metadata.items() if key != "couplings"}


def changes(law: Law, moved: Sequence[Number], state: State) -> Float[Tensor, "numbers nodes dim"]:
    """What accelerations change by per unit of each number, by central quotients."""
    found = []
    for number in moved:
        value = number.of(law)
        size = _MOVED * (abs(value) or 1.0)
        both = [accelerations(number.set(law, value + step), state) for step in (size, -size)]
        found.append((both[0] - both[1]) / (2 * size))
    return torch.stack(found) if found else state.q.new_zeros(0, *state.q.shape)


def accelerations(law: Law, state: State) -> Float[Tensor, "nodes dim"]:
    """Those of a law, in one state."""
    dynamics = law.dynamics()
    attached = dynamics.attach(state)
    with torch.no_grad():
        return dynamics.vector_field(attached)[1] / attached.mass[:, None]
