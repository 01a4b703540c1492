"""Accurate trajectories of a known dynamics, whose energy is watched."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnsim.dynamics import SeparableHamiltonian
from gnsim.integrators.dop853 import Motion, solve
from gnsim.models.pairwise import Driven
from gnsim.state import State, Trajectory

TrueDynamics = SeparableHamiltonian | Driven

#: largest change of energy accepted, less the work done, relative to the initial |H| + T
ENERGY_DRIFT = 1e-9
#: relative and absolute tolerance per step
TOLERANCE = 1e-12
#: steps per frame after which a system is given up; close binaries take a hundred or two
MOST_STEPS = 1000


def integrate(dynamics: TrueDynamics, start: State, frames: int, interval: float) -> Trajectory:
    """The trajectory from `start` with a frame every `interval`, in float64.

    DOP853 with a step for each system (`gnsim.integrators.dop853`). Raises RuntimeError where a
    system's energy changes by more than `ENERGY_DRIFT` beside the work of its `power`: two bodies
    came too close for a trustworthy trajectory.
    """
    path, drift = attempt(dynamics, start, frames, interval)
    require_conserved(drift)
    return path


def lost(drift: Float[Tensor, " systems"]) -> Int[Tensor, " lost"]:
    """The systems whose drift is beyond `ENERGY_DRIFT`."""
    return torch.nonzero(~(drift <= ENERGY_DRIFT)).squeeze(1)


def require_conserved(drift: Float[Tensor, " systems"]) -> None:
    """Raise RuntimeError if any system is `lost`."""
    if len(lost(drift)):
        worst = int(drift.argmax())
        raise RuntimeError(
            f"truth: wanted energy kept to {ENERGY_DRIFT:g}, found a change of "
            f"{drift[worst]:.3g} in trajectory {worst}; shorten frames * interval, soften "
            "the law or take another seed"
        )


def attempt(
    dynamics: TrueDynamics, start: State, frames: int, interval: float
) -> tuple[Trajectory, Float[Tensor, " systems"]]:
    """The trajectory as far as it goes, and the largest drift of each system's energy.

    Drifts are infinite where a system was given up. All systems have the same number of bodies.
    """
    systems, dim, half = start.num_systems, start.dim, start.q.numel() // start.num_systems
    parts = [x.reshape(systems, -1) for x in (start.q, start.p)]
    start_row = torch.cat([*parts, torch.zeros_like(parts[0][:, :1])], 1)

    def motion_of(some: Int[Tensor, " some"]) -> Motion:
        return _motion(dynamics, start.systems(some), half)

    rows = solve(motion_of, start_row, frames, interval, TOLERANCE, MOST_STEPS * frames)
    q, p = (x.reshape(frames, -1, dim) for x in (rows[..., :half], rows[..., half:-1]))
    t = interval * torch.arange(frames, dtype=torch.float64)
    path = Trajectory(
        *(t, q, p, start.batch),
        attributes=start.attributes,
        box=start.box,
        units=start.units,
        bonds=start.bonds,
        walls=start.walls,
    )
    return path, _drift(dynamics, path, rows[..., -1])


def _motion(dynamics: TrueDynamics, start: State, half: int) -> Motion:
    """``d(q, p, work)/dt`` of rows of numbers, one for each system of `start`."""
    _ = start.pairs, start.mass, start.num_systems  # computed once, and carried along by `moved`

    def state(rows: Tensor) -> State:
        q, p = (x.reshape(start.q.shape) for x in (rows[:, :half], rows[:, half:-1]))
        return start.moved(q, p)

    def rate(rows: Tensor) -> Tensor:
        with torch.no_grad():
            now = state(rows)
            parts = [*dynamics.vector_field(now), _power(dynamics, now)]
        return torch.cat([x.reshape(len(rows), -1) for x in parts], 1)

    return Motion(rate, lambda rows: dynamics.gaps(state(rows)))


def _power(dynamics: TrueDynamics, state: State) -> Float[Tensor, " systems"]:
    if isinstance(dynamics, Driven):
        return dynamics.power(state)
    return state.q.new_zeros(state.num_systems)


def _drift(
    dynamics: TrueDynamics, path: Trajectory, work: Float[Tensor, "time systems"]
) -> Float[Tensor, " systems"]:
    with torch.no_grad():
        energy = torch.stack([dynamics.energy(state) for state in path]) - work
    start = path[0]
    kinetic = 0.5 * start.p.square().sum(1) / start.mass
    scale = energy[0].abs().index_add(0, start.batch, kinetic)
    drift = ((energy - energy[0]).abs() / scale).amax(0)
    return torch.nan_to_num(drift, nan=torch.inf)
