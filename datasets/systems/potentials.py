"""True pair potentials, each with V and dV/dr in closed form.

An attribute's name stands for a strength ``a_i a_j``, no name for 1. Inverse powers are softened
as in Cranmer et al. (arXiv:2006.11287): ``r' = r + e``.
"""

from jaxtyping import Float
from torch import Tensor, where

from gnsim.models.pairwise import Attributes, PairPotential


def product(attribute: str, source: Attributes, target: Attributes) -> Float[Tensor, " pairs"]:
    return source[attribute] * target[attribute]


class Spring(PairPotential):
    """``V = k / 2 (r - r0)^2``, ``dV/dr = k (r - r0)``."""

    def __init__(self, stiffness: float, rest_length: float) -> None:
        super().__init__()
        self.stiffness = stiffness
        self.rest_length = rest_length

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return 0.5 * self.stiffness * (r - self.rest_length).square()

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self.stiffness * (r - self.rest_length)


class BrokenSpring(PairPotential):
    """``V = 0`` for r' < b and ``(r' - 1)^2 - (b - 1)^2`` beyond; ``dV/dr = 2 (r' - 1)`` there.

    The published energy jumps at the break b; motion by its slope keeps this one, which does not.
    """

    def __init__(self, threshold: float, softening: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.softening = softening
        self.breaks = (threshold - softening,)

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        beyond = (r + self.softening).clamp_min(self.threshold)
        return (beyond - 1).square() - (self.threshold - 1) ** 2

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        r = r + self.softening
        return where(r < self.threshold, 0.0, 2 * (r - 1))


class Logarithm(PairPotential):
    """``V = a_i a_j log r'``, ``dV/dr = a_i a_j / r'``."""

    def __init__(self, attribute: str, softening: float) -> None:
        super().__init__()
        self.attribute = attribute
        self.softening = softening

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return product(self.attribute, source, target) * (r + self.softening).log()

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return product(self.attribute, source, target) / (r + self.softening)


class InverseSquare(PairPotential):
    """``V = g a_i a_j / r'``, ``dV/dr = -g a_i a_j / r'^2``, strength g; below zero it attracts."""

    def __init__(self, attribute: str, strength: float, softening: float) -> None:
        super().__init__()
        self.attribute = attribute
        self.strength = strength
        self.softening = softening

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self.strength * product(self.attribute, source, target) / (r + self.softening)

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        strength = self.strength * product(self.attribute, source, target)
        return -strength / (r + self.softening).square()


class Yukawa(PairPotential):
    """``V = g a_i a_j exp(-r' / l) / r'``, ``dV/dr = -V (1 / r' + 1 / l)``."""

    def __init__(self, attribute: str, strength: float, screening: float, softening: float) -> None:
        super().__init__()
        self.attribute = attribute
        self.strength = strength
        self.screening = screening
        self.softening = softening

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        r = r + self.softening
        strength = self.strength * product(self.attribute, source, target)
        return strength * (-r / self.screening).exp() / r

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        slope = 1 / (r + self.softening) + 1 / self.screening
        return -self.energy(r, source, target) * slope


class LennardJones(PairPotential):
    """``V = 4 w ((s / r)^12 - (s / r)^6)``, ``dV/dr = -24 w / r (2 (s / r)^12 - (s / r)^6)``."""

    def __init__(self, depth: float, diameter: float) -> None:
        super().__init__()
        self.depth = depth
        self.diameter = diameter

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        sixth = (self.diameter / r) ** 6
        return 4 * self.depth * (sixth.square() - sixth)

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        sixth = (self.diameter / r) ** 6
        return -24 * self.depth / r * (2 * sixth.square() - sixth)


class Morse(PairPotential):
    """``V = D (1 - e)^2 - D`` with ``e = exp(-a (r - r0))``, ``dV/dr = 2 a D e (1 - e)``."""

    def __init__(self, depth: float, width: float, rest_length: float) -> None:
        super().__init__()
        self.depth = depth
        self.width = width
        self.rest_length = rest_length

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        e = (-self.width * (r - self.rest_length)).exp()
        return self.depth * ((1 - e).square() - 1)

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        e = (-self.width * (r - self.rest_length)).exp()
        return 2 * self.width * self.depth * e * (1 - e)


class Superposition(PairPotential):
    """The sum of several."""

    def __init__(self, *parts: PairPotential) -> None:
        super().__init__()
        self.parts = parts

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return sum((part.energy(r, source, target) for part in self.parts), r.new_zeros(()))

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return sum((part.force(r, source, target) for part in self.parts), r.new_zeros(()))
