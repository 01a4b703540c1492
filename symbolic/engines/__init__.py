"""Engines of symbolic regression behind one interface, each run in a child process."""

import difflib

from gnsim.symbolic.engines.base import Availability, Engine, EngineError, EngineWarning
from gnsim.symbolic.engines.operon import Operon
from gnsim.symbolic.engines.pysr import PySR
from gnsim.symbolic.front import Candidate

ENGINES: dict[str, type[Engine]] = {Operon.name: Operon, PySR.name: PySR}


def engine(name: str) -> Engine:
    """The engine called `name`; raises ValueError, with the nearest name, for an unknown one."""
    if name not in ENGINES:
        close = difflib.get_close_matches(name.lower(), ENGINES, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(ENGINES)}"
        raise ValueError(f"engine {name!r} is unknown; {hint}")
    return ENGINES[name]()


__all__ = [
    "ENGINES",
    "Availability",
    "Candidate",
    "Engine",
    "EngineError",
    "EngineWarning",
    "Operon",
    "PySR",
    "engine",
]
