"""Forces that are cut off, as simulations cut them off in close encounters."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.config import did_you_mean
from gnsim.dynamics import Split
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.state import State


def _components(force: Tensor, limit: Tensor) -> Tensor:
    return force.clamp(-limit, limit)


def _norm(force: Tensor, limit: Tensor) -> Tensor:
    size = force.norm(dim=1, keepdim=True).clamp_min(torch.finfo(force.dtype).tiny)
    return force * (limit / size).clamp_max(1.0)


#: what is bounded of the force on each body: each component, or its length
LIMITS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "component": _components,
    "norm": _norm,
}


class Limited(Split):
    """A pair Hamiltonian, the force on each body cut off at `limit`; `kind` is a name of `LIMITS`.

    No Hamiltonian: work depends on the way, and cut-off components also on the axes. Where no
    force is as large, it moves as the Hamiltonian. `limit` is in the unit of a force.

    Raises:
        ValueError: a kind that there is not, or a limit that is not above zero.
    """

    limit: Tensor

    def __init__(self, dynamics: PairwiseHamiltonian, limit: float, kind: str) -> None:
        super().__init__()
        if kind not in LIMITS:
            raise ValueError(f"kind: '{kind}' is unknown; {did_you_mean(kind, LIMITS)}")
        if not limit > 0:
            raise ValueError(f"limit: wanted a number above zero, found {limit}")
        self.dynamics, self.kind = dynamics, kind
        self.register_buffer("limit", torch.tensor(limit, dtype=torch.float64))

    def attach(self, state: State) -> State:
        return self.dynamics.attach(state)

    def gaps(self, state: State) -> Float[Tensor, "systems gaps"] | None:
        """Those of the pairs."""
        return self.dynamics.gaps(state)

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return LIMITS[self.kind](self.dynamics.force(state), self.limit.to(state.q))

    def vector_field(
        self, state: State
    ) -> tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]:
        return state.velocity, self.force(state)
