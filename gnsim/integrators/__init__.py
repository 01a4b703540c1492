"""One-step methods of right-hand sides by name: `INTEGRATORS`; `Jumps` of what has none."""

from collections.abc import Mapping
from types import MappingProxyType

from gnsim.integrators.base import IntegrationError, Integrator
from gnsim.integrators.dop853 import DOP853
from gnsim.integrators.implicit import ImplicitMidpoint
from gnsim.integrators.jumps import Jumps
from gnsim.integrators.runge_kutta import RK2, RK4, AdaptiveRungeKutta, Dopri5, Dopri8, Euler
from gnsim.integrators.symplectic import (
    Composition,
    KahanLi6,
    KahanLi8,
    Leapfrog,
    Ruth3,
    SymplecticEuler,
    Yoshida4,
    Yoshida6,
)

INTEGRATORS: Mapping[str, type[Integrator]] = MappingProxyType(
    {
        "symplectic_euler": SymplecticEuler,
        "leapfrog": Leapfrog,
        "ruth3": Ruth3,
        "yoshida4": Yoshida4,
        "yoshida6": Yoshida6,
        "kahan_li6": KahanLi6,
        "kahan_li8": KahanLi8,
        "implicit_midpoint": ImplicitMidpoint,
        "euler": Euler,
        "rk2": RK2,
        "rk4": RK4,
        "dopri5": Dopri5,
        "dopri8": Dopri8,
    }
)

__all__ = [
    "DOP853",
    "INTEGRATORS",
    "RK2",
    "RK4",
    "AdaptiveRungeKutta",
    "Composition",
    "Dopri5",
    "Dopri8",
    "Euler",
    "ImplicitMidpoint",
    "IntegrationError",
    "Integrator",
    "Jumps",
    "KahanLi6",
    "KahanLi8",
    "Leapfrog",
    "Ruth3",
    "SymplecticEuler",
    "Yoshida4",
    "Yoshida6",
]
