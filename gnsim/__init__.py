"""Trajectories to graphs to learned Hamiltonians, and to the laws written in their messages.

The public names are imported on first use, so that ``import gnsim`` (and with it the command line)
does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnsim.dynamics import Dynamics, Hamiltonian, SeparableHamiltonian
    from gnsim.state import State, Trajectory, Units

__version__ = "0.1.0"

_MODULE_OF = {
    "Dynamics": "gnsim.dynamics",
    "Hamiltonian": "gnsim.dynamics",
    "SeparableHamiltonian": "gnsim.dynamics",
    "State": "gnsim.state",
    "Trajectory": "gnsim.state",
    "Units": "gnsim.state",
}

__all__ = ["Dynamics", "Hamiltonian", "SeparableHamiltonian", "State", "Trajectory", "Units"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'gnsim' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
