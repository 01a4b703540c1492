"""All settings of a discovery, and which of them cannot be used."""

import math
from dataclasses import dataclass, field

from gnsim.config import did_you_mean
from gnsim.errors import InputError
from gnsim.integrators import INTEGRATORS, Integrator
from gnsim.symbolic.engines import ENGINES, engine
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import check_training

#: errors over windows have a scatter from two windows on, messages a fit from as many
_LEAST = {
    "symbolic.runs": 1,
    "symbolic.samples": 2,
    "symbolic.candidates": 1,
    "symbolic.window": 1,
    "symbolic.windows": 2,
    "symbolic.selection_windows": 2,
    "symbolic.verdict_windows": 2,
    "symbolic.substeps": 1,
    "rollout.substeps": 1,
}


@dataclass(frozen=True)
class SymbolicConfig:
    """Settings of the search for the law.

    `engine` is a name of `gnsim.symbolic.ENGINES`, or ``auto``: Operon, and PySR where it can run.
    Each of `runs` searches, with seeds of their own, has at most `time_limit` seconds (one of the
    potential half of that); on an idle machine they end before, and repeat with their seeds. They
    see `samples` messages; `candidates` of their front are kept. Constants are fitted on `windows`
    windows of `window` steps (more where data are noisy, fewer where a part of them is shorter),
    candidates compared on `selection_windows` of them.
    """

    engine: str = "auto"
    runs: int = 2
    time_limit: float = 60.0
    samples: int = 2000
    candidates: int = 6
    window: int = 8
    windows: int = 1500
    selection_windows: int = 80
    verdict_windows: int = 300
    integrator: str = "kahan_li6"
    substeps: int = 1


@dataclass(frozen=True)
class RolloutConfig:
    """How network and law are rolled out over the held-out trajectory.

    With this integrator while energy is kept with it, else by DOP853 with steps of its own choice.
    """

    integrator: str = "kahan_li6"
    substeps: int = 1


@dataclass(frozen=True)
class DiscoveryConfig:
    """All settings of `discover`."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    symbolic: SymbolicConfig = field(default_factory=SymbolicConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)


def engines(name: str) -> tuple[str, ...]:
    """The engines behind the setting `engine`."""
    if name != "auto":
        return (name,)
    return tuple(e for e in ENGINES if e == "operon" or engine(e).available().ok)


def check_settings(config: DiscoveryConfig) -> None:
    """Raises InputError for settings that cannot be used, before anything long begins."""
    check_training(config.training)
    for name, least in _LEAST.items():
        part, _, key = name.partition(".")
        found = getattr(getattr(config, part), key)
        if found < least:
            raise InputError(f"{name}: wanted {least} or more, found {found}")
    if not 0 < config.symbolic.time_limit < math.inf:
        found = config.symbolic.time_limit
        raise InputError(f"symbolic.time_limit: wanted seconds above 0, found {found}")
    known = ("auto", *ENGINES)
    name = config.symbolic.engine
    if name not in known:
        raise InputError(f"symbolic.engine: '{name}' is unknown; {did_you_mean(name, known)}")
    for chosen in engines(name):
        there = engine(chosen).available()
        if not there.ok:
            raise InputError(f"symbolic.engine: {chosen}: {there.reason}; {there.remedy}")
    for chosen in (config.symbolic.integrator, config.rollout.integrator):
        integrator_named(chosen)


def integrator_named(name: str) -> Integrator:
    """Raises InputError for a name that no integrator has."""
    if name not in INTEGRATORS:
        raise InputError(f"integrator: '{name}' is unknown; {did_you_mean(name, INTEGRATORS)}")
    return INTEGRATORS[name]()
