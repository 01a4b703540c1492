"""Accurate trajectories of a known Hamiltonian, by an integrator that is not ours."""

import numpy as np
import torch
from scipy.integrate import solve_ivp

from gnsim.dynamics import SeparableHamiltonian
from gnsim.state import State, Trajectory

#: largest change of energy accepted, relative to the initial |H| + T
ENERGY_DRIFT = 1e-9
#: relative and absolute tolerance per step
TOLERANCE = 1e-12
#: systems integrated with one common step size: calls cost more than bodies
_GROUP = 64


def integrate(
    hamiltonian: SeparableHamiltonian, start: State, frames: int, interval: float
) -> Trajectory:
    """The trajectory from `start` with a frame every `interval`, in float64.

    DOP853 of scipy (Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, 1993).
    Raises RuntimeError where the solver fails or a system's energy changes by more than
    `ENERGY_DRIFT`: two bodies came too close for a trustworthy trajectory.
    """
    t = interval * torch.arange(frames, dtype=torch.float64)
    empty = Trajectory(
        t=t,
        q=start.q[None].expand(frames, -1, -1).clone(),
        p=start.p[None].expand(frames, -1, -1).clone(),
        batch=start.batch,
        attributes=start.attributes,
        box=start.box,
        units=start.units,
    )
    systems = torch.arange(start.num_systems)
    for group in systems.split(_GROUP):
        nodes = torch.isin(start.batch, group)
        q, p = _solve(hamiltonian, empty.systems(group)[0], t.numpy())
        empty.q[:, nodes], empty.p[:, nodes] = q, p
    _require_conserved(hamiltonian, empty)
    return empty


def _solve(
    hamiltonian: SeparableHamiltonian, start: State, t: np.ndarray
) -> tuple[torch.Tensor, ...]:
    shape = (2, *start.q.shape)

    def rate(_: float, y: np.ndarray) -> np.ndarray:
        q, p = torch.from_numpy(y).reshape(shape)
        with torch.no_grad():
            dq, dp = hamiltonian.vector_field(start.moved(q, p))
        return torch.stack((dq, dp)).reshape(-1).numpy()

    _ = start.pairs, start.mass  # computed once here, and carried along by `moved`
    y = torch.stack((start.q, start.p)).reshape(-1).numpy()
    solution = solve_ivp(rate, (t[0], t[-1]), y, "DOP853", t, rtol=TOLERANCE, atol=TOLERANCE)
    if not solution.success:
        raise RuntimeError(
            f"truth: the solver stopped at t = {solution.t[-1]:.6g}: {solution.message}"
        )
    q, p = torch.from_numpy(np.ascontiguousarray(solution.y.T)).reshape(len(t), *shape).unbind(1)
    return q, p


def _require_conserved(hamiltonian: SeparableHamiltonian, trajectory: Trajectory) -> None:
    start = trajectory[0]
    initial = hamiltonian.energy(start)
    scale = initial.abs() + hamiltonian.kinetic(start)
    drift = torch.stack(
        [(hamiltonian.energy(state) - initial).abs() / scale for state in trajectory]
    )
    worst = int(drift.amax(0).argmax())
    if not drift.max() <= ENERGY_DRIFT:
        raise RuntimeError(
            f"truth: wanted energy kept to {ENERGY_DRIFT:g}, found a change of "
            f"{drift[:, worst].max():.3g} in trajectory {worst}; shorten frames * interval, soften "
            "the law or take another seed"
        )
