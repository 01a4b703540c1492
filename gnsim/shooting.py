"""The initial state from which a dynamics follows measured positions best: single shooting.

A law that leaves something out, as Newton's leaves out relativity, has other velocities on the
same orbit; started from the measured ones it drifts for that reason alone. So the state at the
start is fitted to the positions of a first arc, as in the determination of orbits.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.graph import nearest_image
from gnsim.integrators.base import Integrator
from gnsim.simulator import DivergedError, Simulator
from gnsim.state import State, Trajectory

_ROUNDS = 3
_QUOTIENT_STEP = 1e-6


def fitted_start(
    dynamics: Dynamics, integrator: Integrator, arc: Trajectory, substeps: int = 1
) -> State:
    """The state at the first time of `arc`, a trajectory of one system, fitted to its positions.

    Gauss-Newton on positions over their distance from the centre of the system; the derivatives
    are quotients from one rollout of all varied states side by side. In a periodic box differences
    are to the nearest image. Gives the best state seen, the last solved for included.

    Raises:
        DivergedError: the rollout along the arc from the measured state is not finite.
    """
    start = arc[0]
    dim = start.dim
    from_centre = nearest_image(arc.q - arc.q.mean(1, keepdim=True), arc.box)
    scale = from_centre.square().sum(-1).mean(0).sqrt()[:, None]
    speed = arc.velocity.square().sum(-1).mean(0).sqrt()[:, None]
    steps = torch.stack([scale.expand(-1, dim), speed.expand(-1, dim)]) * _QUOTIENT_STEP
    phase = torch.stack([start.q, start.velocity])
    best, least = phase, float("inf")
    directions = torch.eye(phase.numel(), dtype=phase.dtype).view(-1, *phase.shape)
    for last in [False] * _ROUNDS + [True]:
        varied = phase[None] if last else torch.cat([phase[None], phase + directions * steps])
        try:
            paths = _paths(dynamics, integrator, arc, substeps, varied)
        except DivergedError:
            if least == float("inf"):
                raise
            break
        off = (nearest_image(arc.q - paths[0], arc.box) / scale).reshape(-1)
        cost = float(off.square().mean())
        if cost >= least:
            break
        best, least = phase, cost
        if last:
            break
        columns = (nearest_image(paths[1:] - paths[0], arc.box) / scale).flatten(1)
        change = torch.linalg.lstsq(columns.T, off[:, None], driver="gelsd").solution
        phase = phase + change.view_as(phase) * steps
    return start.moved(best[0], best[1] * start.mass[:, None])


def _paths(
    dynamics: Dynamics,
    integrator: Integrator,
    arc: Trajectory,
    substeps: int,
    phases: Float[Tensor, "copies 2 nodes dim"],
) -> Float[Tensor, "copies time nodes dim"]:
    """Positions over the arc from each of many initial positions and velocities."""
    copies, _, nodes, dim = phases.shape
    first = arc[0]
    state = replace(
        first,
        q=phases[:, 0].reshape(-1, dim),
        p=(phases[:, 1] * first.mass[:, None]).reshape(-1, dim),
        batch=torch.arange(copies).repeat_interleave(nodes),
        attributes={name: value.repeat(copies) for name, value in first.attributes.items()},
    )
    path = Simulator(dynamics, integrator, substeps).rollout(state, arc.t)
    return path.q.view(len(arc), copies, nodes, dim).transpose(0, 1)
