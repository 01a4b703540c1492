"""Dynamics with exact solutions, and the symplectic defect of a step: for tests."""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ellipj
from torch import Tensor

from gnsim.dynamics import Hamiltonian, SeparableHamiltonian
from gnsim.invariants import total
from gnsim.models.pairwise import Attributes, PairPotential
from gnsim.state import State


def make_state(q: list, p: list, **attributes: list[float]) -> State:
    """One system in float64; `q` and `p` as nested lists [nodes][dim]."""
    return State(
        q=torch.tensor(q, dtype=torch.float64),
        p=torch.tensor(p, dtype=torch.float64),
        batch=torch.zeros(len(q), dtype=torch.long),
        attributes={k: torch.tensor(v, dtype=torch.float64) for k, v in attributes.items()},
    )


class HarmonicOscillator(SeparableHamiltonian):
    """``H = p^2 / 2m + k q^2 / 2``: every body on a spring of its own to the origin."""

    def __init__(self, stiffness: float = 1.0) -> None:
        super().__init__()
        self.stiffness = stiffness

    def potential(self, state: State) -> Float[Tensor, " systems"]:
        return total(state, 0.5 * self.stiffness * state.q.square()).sum(-1)

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return -self.stiffness * state.q

    def exact(self, state: State, t: float) -> State:
        mass = state.mass[:, None]
        omega = torch.sqrt(self.stiffness / mass)
        cos, sin = torch.cos(omega * t), torch.sin(omega * t)
        q = state.q * cos + state.p / (mass * omega) * sin
        return state.moved(q, state.p * cos - mass * omega * state.q * sin)


class Pendulum(SeparableHamiltonian):
    """``H = p^2 / 2 - cos q``, for mass 1."""

    def potential(self, state: State) -> Float[Tensor, " systems"]:
        return total(state, -torch.cos(state.q)).sum(-1)

    def force(self, state: State) -> Float[Tensor, "nodes dim"]:
        return -torch.sin(state.q)

    def exact(self, state: State, t: float) -> State:
        """From rest at the angle q, by Jacobi's elliptic functions of modulus ``sin(q / 2)``."""
        k = np.sin(state.q.numpy() / 2)
        sn, cn, dn, _ = ellipj(t, k**2)
        q = 2 * np.arcsin(k * cn / dn)
        p = -2 * k * np.sqrt(1 - k**2) * sn / dn
        return state.moved(torch.from_numpy(q), torch.from_numpy(p))


class Gravity(PairPotential):
    """``V = -G m_i m_j / r``."""

    def __init__(self, constant: float = 1.0) -> None:
        super().__init__()
        self.constant = constant

    def force(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return self.constant * source["mass"] * target["mass"] / r.square()

    def energy(
        self, r: Float[Tensor, " pairs"], source: Attributes, target: Attributes
    ) -> Float[Tensor, " pairs"]:
        return -self.constant * source["mass"] * target["mass"] / r


def kepler(t: float, eccentricity: float = 0.3, masses: tuple[float, float] = (1.0, 0.5)) -> State:
    """Two bodies under `Gravity` with G = 1, semi-major axis 1, at t after the pericentre."""
    total_mass = sum(masses)
    mean_motion = total_mass**0.5
    anomaly = mean_motion * t
    for _ in range(60):  # Newton on Kepler's equation E - e sin E = n t
        residual = anomaly - eccentricity * np.sin(anomaly) - mean_motion * t
        anomaly -= residual / (1 - eccentricity * np.cos(anomaly))
    minor = np.sqrt(1 - eccentricity**2)
    rate = mean_motion / (1 - eccentricity * np.cos(anomaly))
    d = np.array([np.cos(anomaly) - eccentricity, minor * np.sin(anomaly)])
    v = np.array([-rate * np.sin(anomaly), rate * minor * np.cos(anomaly)])
    reduced = masses[0] * masses[1] / total_mass
    q = [(-masses[1] / total_mass * d).tolist(), (masses[0] / total_mass * d).tolist()]
    return make_state(q, [(-reduced * v).tolist(), (reduced * v).tolist()], mass=list(masses))


class NonSeparable(Hamiltonian):
    """``H = (q^2 + 1)(p^2 + 1) / 2``: not a sum of T(p) and V(q)."""

    def energy(self, state: State) -> Float[Tensor, " systems"]:
        return total(state, 0.5 * (state.q.square() + 1) * (state.p.square() + 1)).sum(-1)


def step_jacobian(step: Callable[[State], State], state: State) -> Float[Tensor, "phase phase"]:
    """``d(q', p') / d(q, p)`` by autograd, all positions before all momenta."""
    size = state.q.numel()

    def flat(z: Tensor) -> Tensor:
        after = step(state.moved(z[:size].view_as(state.q), z[size:].view_as(state.p)))
        return torch.cat([after.q.reshape(-1), after.p.reshape(-1)])

    z = torch.cat([state.q.reshape(-1), state.p.reshape(-1)])
    return cast(Tensor, torch.autograd.functional.jacobian(flat, z))


def symplectic_defect(step: Callable[[State], State], state: State) -> float:
    """The largest component of ``J^T Omega J - Omega``: zero for a symplectic step."""
    jacobian = step_jacobian(step, state)
    eye = torch.eye(state.q.numel(), dtype=state.q.dtype)
    zero = torch.zeros_like(eye)
    omega = torch.cat([torch.cat([zero, eye], 1), torch.cat([-eye, zero], 1)])
    return float((jacobian.T @ omega @ jacobian - omega).abs().max())
