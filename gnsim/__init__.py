"""Trajectories to graphs to learned Hamiltonians, and to the laws written in their messages.

The public names are imported on first use, so that ``import gnsim`` (and with it the command line)
does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnsim.api import discover
    from gnsim.datasets import Dataset, load
    from gnsim.dynamics import Dynamics, Hamiltonian, SeparableHamiltonian
    from gnsim.integrators import (
        RK2,
        RK4,
        Dopri5,
        Dopri8,
        Euler,
        ImplicitMidpoint,
        KahanLi6,
        KahanLi8,
        Leapfrog,
        Ruth3,
        SymplecticEuler,
        Yoshida4,
        Yoshida6,
    )
    from gnsim.simulator import Simulator
    from gnsim.state import State, Trajectory, Units
    from gnsim.symbolic.law import Law

__version__ = "0.1.0"

_NAMES_OF = {
    "gnsim.api": ("discover",),
    "gnsim.datasets": ("Dataset", "load"),
    "gnsim.dynamics": ("Dynamics", "Hamiltonian", "SeparableHamiltonian"),
    "gnsim.integrators": (
        "RK2",
        "RK4",
        "Dopri5",
        "Dopri8",
        "Euler",
        "ImplicitMidpoint",
        "KahanLi6",
        "KahanLi8",
        "Leapfrog",
        "Ruth3",
        "SymplecticEuler",
        "Yoshida4",
        "Yoshida6",
    ),
    "gnsim.simulator": ("Simulator",),
    "gnsim.state": ("State", "Trajectory", "Units"),
    "gnsim.symbolic.law": ("Law",),
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}

__all__ = [
    "RK2",
    "RK4",
    "Dataset",
    "Dopri5",
    "Dopri8",
    "Dynamics",
    "Euler",
    "Hamiltonian",
    "ImplicitMidpoint",
    "KahanLi6",
    "KahanLi8",
    "Law",
    "Leapfrog",
    "Ruth3",
    "SeparableHamiltonian",
    "Simulator",
    "State",
    "SymplecticEuler",
    "Trajectory",
    "Units",
    "Yoshida4",
    "Yoshida6",
    "discover",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'gnsim' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
