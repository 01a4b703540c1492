"""What a dynamics predicts for the frames of a trajectory, from its first one on."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.integrators.base import Integrator
from gnsim.state import State, Trajectory


def predict(
    dynamics: Dynamics,
    integrator: Integrator,
    path: Trajectory,
    substeps: int,
    start: State | None = None,
    stride: int = 1,
) -> tuple[Float[Tensor, "frames nodes dim"], Float[Tensor, "frames nodes dim"]]:
    """Positions and velocities at the frames after the first, integrated from there or `start`.

    In `substeps` for every `stride` frames, and interpolated between these. Raises ValueError for a
    stride that does not divide the steps of the path.
    """
    if (len(path) - 1) % stride:
        raise ValueError(
            f"stride: wanted a divisor of the {len(path) - 1} steps of the path, found {stride}"
        )
    state = dynamics.attach(path[0] if start is None else start)
    interval = stride * float(path.t[1] - path.t[0])
    positions, velocities = [state.q], [state.velocity]
    for _ in range(0, len(path) - 1, stride):
        for _ in range(substeps):
            state = integrator.step(dynamics, state, interval / substeps)
        positions.append(state.q)
        velocities.append(state.velocity)
    return between(torch.stack(positions), torch.stack(velocities), stride, interval)


def between(
    q: Float[Tensor, "ends nodes *any"],
    v: Float[Tensor, "ends nodes *any"],
    parts: int,
    interval: float,
) -> tuple[Float[Tensor, "frames nodes *any"], Float[Tensor, "frames nodes *any"]]:
    """Positions and velocities at `parts` times a step, the first end left out.

    Cubic Hermite interpolation over steps of length `interval`: errors of fourth order in it in
    positions, of third in velocities.
    """
    if parts == 1:
        return q[1:], v[1:]
    s = torch.arange(1, parts + 1, dtype=q.dtype, device=q.device) / parts
    s = s.view(-1, *[1] * (q.dim() - 1))
    begin, end = (x[:, None] for x in (q[:-1], q[1:]))
    leaving, arriving = (interval * x[:, None] for x in (v[:-1], v[1:]))
    of_end = s**2 * (3 - 2 * s)
    positions = begin + of_end * (end - begin)
    positions = positions + s * (s - 1) ** 2 * leaving + s**2 * (s - 1) * arriving
    change = 6 * s * (1 - s) * (end - begin)
    change = change + (3 * s - 1) * (s - 1) * leaving + s * (3 * s - 2) * arriving
    return positions.flatten(0, 1), (change / interval).flatten(0, 1)
