"""The published pair laws: springs, gravity and charges. A new law is a potential and an entry.

Potentials of Cranmer et al. (arXiv:2006.11287), where the inverse powers are softened by
``r + 0.01``. Intervals between frames are ten of the published time steps.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gnsim.datasets.settings import positive, require
from gnsim.datasets.systems.system import System, SystemSettings
from gnsim.models.pairwise import Attributes, PairPotential


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


class InverseSquare(PairPotential):
    """``V = s a_i a_j / (r + e)``, ``dV/dr = -s a_i a_j / (r + e)^2``, attribute a, sign s."""

    def __init__(self, attribute: str, sign: int, softening: float) -> None:
        super().__init__()
        self.attribute = attribute
        self.sign = sign
        self.softening = softening

    def _strength(self, source: Attributes, target: Attributes) -> Float[Tensor, " pairs"]:
        return self.sign * source[self.attribute] * target[self.attribute]

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self._strength(source, target) / (r + self.softening)

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return -self._strength(source, target) / (r + self.softening).square()


@dataclass(frozen=True)
class SpringSettings(SystemSettings):
    """Stiffness and rest length of every spring; the defaults are the published (r - 1)^2."""

    stiffness: float = 2.0
    rest_length: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.stiffness, "stiffness")
        require(0 <= self.rest_length < float("inf"), "rest_length", "at least 0", self.rest_length)


@dataclass(frozen=True)
class SoftenedSettings(SystemSettings):
    """Length added to every distance."""

    interval: float = 0.01
    softening: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.softening < float("inf"), "softening", "at least 0", self.softening)


def _inverse_square_law(coefficient: str, softening: float) -> str:
    return f"{coefficient} / {f'(r + {softening!r})' if softening else 'r'}**2"


PAIRS = (
    System(
        name="spring",
        description="every pair joined by a spring, V = stiffness / 2 (r - rest_length)^2",
        settings=SpringSettings,
        pair=lambda s: Spring(s.stiffness, s.rest_length),
        law=lambda s: f"{s.stiffness!r} * (r - {s.rest_length!r})",
    ),
    System(
        name="r2",
        description="gravity, V = -m_i m_j / (r + softening)",
        settings=SoftenedSettings,
        pair=lambda s: InverseSquare("mass", -1, s.softening),
        law=lambda s: _inverse_square_law("mass_i * mass_j", s.softening),
    ),
    System(
        name="charge",
        description="charges, V = q_i q_j / (r + softening)",
        settings=SoftenedSettings,
        pair=lambda s: InverseSquare("charge", +1, s.softening),
        law=lambda s: _inverse_square_law("-charge_i * charge_j", s.softening),
    ),
)
