"""The laws of Cranmer et al. (arXiv:2006.11287) between pairs, with their parameters.

Intervals between frames are ten of the published time steps.
"""

from dataclasses import dataclass

from gnsim.datasets.settings import not_negative, positive
from gnsim.datasets.systems.potentials import BrokenSpring, InverseSquare, Logarithm, Spring
from gnsim.datasets.systems.settings import SoftenedSettings, SystemSettings
from gnsim.datasets.systems.system import System


def softened(softening: float) -> str:
    """r' as an expression, to be multiplied or raised to a power."""
    return f"(r + {softening!r})" if softening else "r"


@dataclass(frozen=True)
class SpringSettings(SystemSettings):
    """Stiffness and rest length of every spring; the defaults are the published (r - 1)^2."""

    stiffness: float = 2.0
    rest_length: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.stiffness, "stiffness")
        not_negative(self.rest_length, "rest_length")


@dataclass(frozen=True)
class LogarithmSettings(SoftenedSettings):
    interval: float = 0.05


@dataclass(frozen=True)
class BrokenSettings(SoftenedSettings):
    """Distance, softening included, from which the force acts."""

    interval: float = 0.1
    threshold: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.threshold, "threshold")


def _broken_law(settings: BrokenSettings) -> str:
    threshold, rest = (f"{x - settings.softening:.15g}" for x in (settings.threshold, 1.0))
    return f"Piecewise((0, r < {threshold}), (2 * (r - {rest}), True))"


def spring_law(settings: SpringSettings) -> str:
    return f"{settings.stiffness!r} * (r - {settings.rest_length!r})"


PUBLISHED = (
    System(
        name="spring",
        description="every pair joined by a spring, V = stiffness / 2 (r - rest_length)^2",
        settings=SpringSettings,
        pair=lambda s: Spring(s.stiffness, s.rest_length),
        law=spring_law,
    ),
    System(
        name="r2",
        description="gravity, V = -m_i m_j / (r + softening)",
        settings=SoftenedSettings,
        pair=lambda s: InverseSquare("mass", -1.0, s.softening),
        law=lambda s: f"mass_i * mass_j / {softened(s.softening)}**2",
    ),
    System(
        name="r1",
        description="gravity in the plane, V = m_i m_j log(r + softening)",
        settings=LogarithmSettings,
        pair=lambda s: Logarithm("mass", s.softening),
        law=lambda s: f"mass_i * mass_j / {softened(s.softening)}",
    ),
    System(
        name="charge",
        description="charges, V = q_i q_j / (r + softening)",
        settings=SoftenedSettings,
        pair=lambda s: InverseSquare("charge", 1.0, s.softening),
        law=lambda s: f"-charge_i * charge_j / {softened(s.softening)}**2",
    ),
    System(
        name="discontinuous",
        description="a spring that is slack at short distance: with r' = r + softening, "
        "dV/dr = 0 for r' < threshold and 2 (r' - 1) beyond",
        settings=BrokenSettings,
        pair=lambda s: BrokenSpring(s.threshold, s.softening),
        law=_broken_law,
    ),
)
