"""Pair laws with a range of their own: screened charges, wells, and charges joined by springs."""

from dataclasses import dataclass

from gnsim.datasets.settings import not_negative, positive
from gnsim.datasets.systems.potentials import (
    InverseSquare,
    LennardJones,
    Morse,
    Spring,
    Superposition,
    Yukawa,
)
from gnsim.datasets.systems.published import softened
from gnsim.datasets.systems.samplers import chain, lattice, neighbours
from gnsim.datasets.systems.settings import LatticeSettings, SoftenedSettings, StringSettings
from gnsim.datasets.systems.system import System


@dataclass(frozen=True)
class YukawaSettings(SoftenedSettings):
    """Strength, and the length over which the other charges hide a charge."""

    strength: float = 1.0
    screening: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.strength, "strength")
        positive(self.screening, "screening")


@dataclass(frozen=True)
class LennardJonesSettings(LatticeSettings):
    """Depth of the well, and the distance where V is zero."""

    interval: float = 0.02
    depth: float = 1.0
    diameter: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.depth, "depth")
        positive(self.diameter, "diameter")


@dataclass(frozen=True)
class MorseSettings(LatticeSettings):
    """Depth of the well, its distance, and the inverse of its width."""

    interval: float = 0.05
    depth: float = 1.0
    steepness: float = 2.0
    rest_length: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("depth", "steepness", "rest_length"):
            positive(getattr(self, name), name)


@dataclass(frozen=True)
class SuperpositionSettings(SoftenedSettings):
    """Stiffness and rest length of the springs."""

    stiffness: float = 2.0
    rest_length: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.stiffness, "stiffness")
        not_negative(self.rest_length, "rest_length")


def _yukawa_law(s: YukawaSettings) -> str:
    slope = "(1 / (r + softening)**2 + 1 / (screening * (r + softening)))"
    return f"-{s.strength!r} * charge_i * charge_j * exp(-(r + softening) / screening) * {slope}"


def _lennard_jones_law(s: LennardJonesSettings) -> str:
    ratio = f"({s.diameter!r} / r)"
    return f"-24 * {s.depth!r} / r * (2 * {ratio}**12 - {ratio}**6)"


def _morse_law(s: MorseSettings) -> str:
    e = "exp(-steepness * (r - rest_length))"
    return f"2 * {s.depth!r} * steepness * {e} * (1 - {e})"


def _superposition_law(s: SuperpositionSettings) -> str:
    spring = f"{s.stiffness!r} * (r - {s.rest_length!r})"
    return f"{spring} - charge_i * charge_j / {softened(s.softening)}**2"


WELLS = (
    System(
        name="yukawa",
        description="charges in a plasma: with r' = r + softening, "
        "V = strength q_i q_j exp(-r' / screening) / r'",
        settings=YukawaSettings,
        pair=lambda s: Yukawa("charge", s.strength, s.screening, s.softening),
        law=_yukawa_law,
        constants=lambda s: {"softening": s.softening, "screening": s.screening},
    ),
    System(
        name="lennard-jones",
        description="atoms, V = 4 depth ((diameter / r)^12 - (diameter / r)^6), "
        "from a warm lattice",
        settings=LennardJonesSettings,
        pair=lambda s: LennardJones(s.depth, s.diameter),
        law=_lennard_jones_law,
        draw=lattice,
    ),
    System(
        name="morse",
        description="bound atoms, V = depth (1 - exp(-steepness (r - rest_length)))^2 - depth, "
        "from a warm lattice",
        settings=MorseSettings,
        pair=lambda s: Morse(s.depth, s.steepness, s.rest_length),
        law=_morse_law,
        constants=lambda s: {"steepness": s.steepness, "rest_length": s.rest_length},
        draw=lattice,
    ),
    System(
        name="string",
        description="a chain: each body and the next are joined by a spring, "
        "V = stiffness / 2 (r - rest_length)^2",
        settings=StringSettings,
        pair=lambda s: Spring(s.stiffness, s.rest_length),
        law=lambda s: f"{s.stiffness!r} * (r - {s.rest_length!r})",
        draw=chain,
        bonds=neighbours,
    ),
    System(
        name="superposition",
        description="charges joined by springs, "
        "V = stiffness / 2 (r - rest_length)^2 + q_i q_j / (r + softening)",
        settings=SuperpositionSettings,
        pair=lambda s: Superposition(
            Spring(s.stiffness, s.rest_length), InverseSquare("charge", 1.0, s.softening)
        ),
        law=_superposition_law,
    ),
)
