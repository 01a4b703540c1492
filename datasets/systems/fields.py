"""Systems with forces on single bodies besides those between pairs."""

from dataclasses import dataclass

from gnsim.datasets.settings import not_negative, require
from gnsim.datasets.systems.potentials import InverseSquare, Spring
from gnsim.datasets.systems.published import SpringSettings, softened, spring_law
from gnsim.datasets.systems.settings import SoftenedSettings
from gnsim.datasets.systems.system import System, Terms


@dataclass(frozen=True)
class DampedSettings(SpringSettings):
    """`drag` is the same on every body; where left out 1 / bodies, the published strength."""

    interval: float = 0.2
    drag: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drag is not None:
            not_negative(self.drag, "drag")


@dataclass(frozen=True)
class MagneticSettings(SoftenedSettings):
    """The magnetic field, which stands along z."""

    field: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(abs(self.field) < float("inf"), "field", "a finite number", self.field)


@dataclass(frozen=True)
class ExternalSettings(SoftenedSettings):
    """Stiffness of the trap."""

    trap: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(self.trap, "trap")


def _drag(settings: DampedSettings) -> Terms:
    return {"drag": (1 / settings.bodies if settings.drag is None else settings.drag,)}


def _magnetic(settings: MagneticSettings) -> Terms:
    field = settings.field
    return {"magnetic of charge": (field,) if settings.dim == 2 else (0.0, 0.0, field)}


def _charge_law(settings: SoftenedSettings) -> str:
    return f"-charge_i * charge_j / {softened(settings.softening)}**2"


FIELDS = (
    System(
        name="damped",
        description="springs as in 'spring' in a viscous medium, F = -drag v on every body, "
        "where drag=null is 1 / bodies",
        settings=DampedSettings,
        pair=lambda s: Spring(s.stiffness, s.rest_length),
        law=spring_law,
        terms=_drag,
    ),
    System(
        name="magnetic",
        description="charges as in 'charge' in a uniform magnetic field, F = q v x B",
        settings=MagneticSettings,
        pair=lambda s: InverseSquare("charge", 1.0, s.softening),
        law=_charge_law,
        terms=_magnetic,
    ),
    System(
        name="external",
        description="charges as in 'charge' in a harmonic trap, F = -trap x",
        settings=ExternalSettings,
        pair=lambda s: InverseSquare("charge", 1.0, s.softening),
        law=_charge_law,
        terms=lambda s: {"trap": (s.trap,)},
    ),
)
