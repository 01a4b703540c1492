"""`System`: a true law with its settings, and how its initial states are drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from gnsim.datasets.systems.samplers import Bodies, published
from gnsim.models.pairwise import Driven, PairPotential, PairwiseHamiltonian, pairs_and_fields
from gnsim.models.terms import Field, Term

Terms = Mapping[str, tuple[float, ...]]


def _none(settings: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class System:
    """A true law: its pair potential, and for scoring what is to be found.

    That is the radial force dV/dr as an expression, positive where it attracts, in r, mass_i,
    mass_j, charge_i, charge_j, and those of its `constants` that stand in several places and so
    have names; and the coefficients of its `terms` on single bodies, by their
    names (see `gnsim.models.terms`); where not all pairs of bodies interact, the `bonds` of those
    that do. All are functions of the settings.
    """

    name: str
    description: str
    settings: type
    pair: Callable[[Any], PairPotential]
    law: Callable[[Any], str]
    terms: Callable[[Any], Terms] = _none
    constants: Callable[[Any], Mapping[str, float]] = _none
    draw: Callable[[Any, np.random.Generator], Bodies] = published
    bonds: Callable[[Any], Int[np.ndarray, "2 bonds"]] | None = None

    def dynamics(self, settings: Any) -> PairwiseHamiltonian | Driven:
        """What moves it. Raises ValueError for a term that is not defined in ``settings.dim``."""
        fields = [
            Field(Term.named(name, settings.dim), torch.tensor(values, dtype=torch.float64))
            for name, values in self.terms(settings).items()
        ]
        pair = self.pair(settings)
        return pairs_and_fields(lambda static: PairwiseHamiltonian(pair, static), fields)
