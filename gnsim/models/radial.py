"""A learned pair potential: a small network in log r and the attributes of both bodies."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.models.pairwise import Attributes, PairPotential

#: e to this power is far beyond any ratio of forces, and far below what float32 holds
_LARGEST = 60.0


class RadialNetwork(PairPotential):
    """``dV/dr = sinh(f(u, a_i + a_j, a_i a_j))`` with ``u = log(r / r_0) / s``.

    The hyperbolic sine lets one smooth network span the decades of a power law and still change
    its sign, as a spring does. Sums and products (of two attributes, ``a_i b_j + b_i a_j``) make
    the force symmetric in the two bodies, and every symmetric function is one of them; a force
    that goes with the product of charges need not be learned from scratch. It is a gradient by
    construction: V is its integral over r.

    `attributes` names what the file gives for each body; masses enter by their logarithm, others
    as they are, and all are scaled by their own spread. `fit_scales` sets the scales from training
    data.
    """

    shift_log_r: Tensor
    scale_log_r: Tensor

    def __init__(
        self, attributes: tuple[str, ...], hidden: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.attributes = attributes
        self.hidden = hidden
        width = 1 + len(attributes) * (len(attributes) + 3) // 2
        self.linear = nn.Linear(width, 1)
        self.body = nn.Sequential(
            nn.Linear(width, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 1),
        )
        # attributes have a prefix, for a file may name one log_r
        for name in ("log_r", *(f"of_{a}" for a in attributes)):
            self.register_buffer(f"shift_{name}", torch.zeros(1))
            self.register_buffer(f"scale_{name}", torch.ones(1))
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        for layer in (m for m in self.modules() if isinstance(m, nn.Linear)):
            bound = layer.in_features**-0.5
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.zero_()

    def fit_scales(self, r: Float[Tensor, " pairs"], values: Mapping[str, Tensor]) -> None:
        """Centre and spread of log r and of each attribute, from training data."""
        logs = torch.log(r)
        self.shift_log_r.fill_(logs.mean())
        self.scale_log_r.fill_(logs.std().clamp_min(1e-3))
        for name in self.attributes:
            seen = feature(name, values[name])
            self._of("shift", name).fill_(seen.mean())
            self._of("scale", name).fill_(seen.std().clamp_min(1e-3))

    @property
    def reference(self) -> float:  # type: ignore[override]
        """Where V is zero: the middle of the distances that were seen."""
        return float(torch.exp(self.shift_log_r))

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        u = ((torch.log(r) - self.shift_log_r) / self.scale_log_r)[:, None]
        columns = [u, *self._symmetric(source, target)] if self.attributes else [u]
        x = torch.cat(columns, 1).to(self.linear.weight)
        return _bent((self.linear(x) + self.body(x)).squeeze(1).to(r))

    def _symmetric(self, source: Attributes, target: Attributes) -> tuple[Tensor, Tensor]:
        """Sums and products of the attributes of both bodies, [pairs, sums] and [pairs, products].

        Polarised power sums, which generate all polynomials that are symmetric in two points.
        """
        s, t = self._features(source), self._features(target)
        first, second = torch.triu_indices(len(self.attributes), len(self.attributes))
        products = s[:, first] * t[:, second] + s[:, second] * t[:, first]
        return (s + t) / 2**0.5, products / 2

    def _features(self, values: Attributes) -> Float[Tensor, "pairs features"]:
        columns = [
            (feature(n, values[n]) - self._of("shift", n)) / self._of("scale", n)
            for n in self.attributes
        ]
        return torch.stack(columns, 1)

    def _of(self, kind: str, attribute: str) -> Tensor:
        return self.get_buffer(f"{kind}_of_{attribute}")


def _bent(z: Tensor) -> Tensor:
    """The hyperbolic sine, its argument bent back smoothly before it can overflow."""
    return torch.sinh(_LARGEST * torch.tanh(z / _LARGEST))


def feature(name: str, value: Tensor) -> Tensor:
    """An attribute as networks see it: masses by their logarithm."""
    return torch.log(value) if name == "mass" else value
