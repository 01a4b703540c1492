"""Settings that systems share: how much is simulated, from which states, and what of it is seen."""

from dataclasses import dataclass

from gnsim.datasets.settings import flag, not_negative, positive, whole


@dataclass(frozen=True)
class SystemSettings:
    """How many systems are simulated, for how long, and with which masses; what is seen of them.

    `noise` is Gaussian, relative to the root mean square of all positions about their mean, and
    of all velocities about theirs. Without `velocities` they are estimated from the positions
    seen, as for a user's file. Neither changes the trajectories that are simulated.
    """

    trajectories: int = 50
    bodies: int = 4
    dim: int = 3
    frames: int = 100
    interval: float = 0.1
    seed: int = 0
    equal_masses: bool = False
    noise: float = 0.0
    velocities: bool = True

    def __post_init__(self) -> None:
        for name, least in (
            ("trajectories", 1),
            ("bodies", 2),
            ("dim", 1),
            ("frames", 2),
            ("seed", 0),
        ):
            whole(getattr(self, name), name, least)
        positive(self.interval, "interval")
        not_negative(self.noise, "noise")
        flag(self.equal_masses, "equal_masses")
        flag(self.velocities, "velocities")


@dataclass(frozen=True)
class SoftenedSettings(SystemSettings):
    """Length added to every distance."""

    interval: float = 0.01
    softening: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative(self.softening, "softening")


@dataclass(frozen=True)
class LatticeSettings(SystemSettings):
    """Lattice constant, random share of it added to each site, and temperature of the start."""

    spacing: float = 1.2
    jitter: float = 0.1
    temperature: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.spacing, "spacing")
        not_negative(self.jitter, "jitter")
        not_negative(self.temperature, "temperature")


@dataclass(frozen=True)
class StringSettings(SystemSettings):
    """Stiffness of the springs between neighbours, and their rest length."""

    bodies: int = 6
    interval: float = 0.05
    stiffness: float = 20.0
    rest_length: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.stiffness, "stiffness")
        positive(self.rest_length, "rest_length")
