"""What each force would add to the errors of windows, to first order.

A force beside a law moves bodies off its path by its double integral in time, and that difference
is turned into a mean acceleration as the differences of the data are (`gnsim.accelerations`). The
integrals are Simpson's, along the law's own path.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.accelerations import known_noise, noisy_weights
from gnsim.dynamics import Dynamics
from gnsim.models.pairwise import scatter
from gnsim.models.terms import Term
from gnsim.models.vector_pairs import relative_motion
from gnsim.prediction import between, predict
from gnsim.state import State, Trajectory
from gnsim.symbolic.corrections.monomials import Monomial
from gnsim.symbolic.expressions import inlined
from gnsim.symbolic.law import Law
from gnsim.symbolic.potential import Compiled
from gnsim.symbolic.problem import Problem
from gnsim.windows import Windows, acceleration_scale

#: of a state, accelerations of every body under each of so many forces of unit strength
Accelerations = Callable[[State], Float[Tensor, "forces nodes dim"]]


def columns(
    law: Dynamics, problem: Problem, forces: Accelerations
) -> Float[Tensor, "forces kinds nodes dim"]:
    """What errors fall by per unit of each force, relative as `signed_errors` are."""
    with torch.no_grad():
        return torch.cat([_of_part(law, problem, part, forces) for part in problem.chunks()], 2)


def of_monomials(tried: Sequence[Monomial], law: Law) -> Accelerations:
    """Each of unit strength, at the constants of the law."""
    compiled = [(Compiled(inlined(one.expr, law.values)), one.along) for one in tried]

    def accelerations(state: State) -> Float[Tensor, "forces nodes dim"]:
        motion = relative_motion(state)
        ends, speeds = state.ends, {"v_r": motion.v_r, "v_t": motion.v_t}
        source, target = state.pairs
        found = []
        for force, along in compiled:
            size = force(motion.r, *ends, speeds)
            vectors = size[:, None] * (motion.n if along else motion.t)
            onto, back = (scatter(vectors, of, state.num_nodes) for of in (target, source))
            found.append((onto - back) / state.mass[:, None])
        return torch.stack(found)

    return accelerations


def of_terms(terms: Sequence[Term]) -> Accelerations:
    """Forces on each body by itself, per unit of each of their coefficients."""

    def accelerations(state: State) -> Float[Tensor, "forces nodes dim"]:
        found = [term.force(state).movedim(2, 0) / state.mass[:, None] for term in terms]
        return torch.cat([state.q.new_zeros(0, *state.q.shape), *found])

    return accelerations


def _of_part(
    law: Dynamics, problem: Problem, windows: Windows, forces: Accelerations
) -> Float[Tensor, "forces kinds nodes dim"]:
    path = windows.path
    start = path[0]
    if windows.starts is not None:
        q, v = windows.starts.phase
        start = start.moved(q, v * start.mass[:, None])
    start = law.attach(start)
    q, v = predict(law, problem.integrator, path, problem.substeps, start)
    q, v = torch.cat([start.q[None], q]), torch.cat([start.velocity[None], v])
    interval = float(path.t[1] - path.t[0])
    between_q, between_v = between(q, v, 2, interval)
    places, speeds = torch.cat([q[:1], between_q]), torch.cat([v[:1], between_v])
    kernel = _kernel(path)
    total: Tensor | float = 0.0
    for k in range(len(places)):
        state = start.moved(places[k], speeds[k] * start.mass[:, None])
        total = total + kernel[k, :, :, None] * forces(state)[:, None]
    return total / acceleration_scale(windows)[-1]


def _kernel(path: Trajectory) -> Float[Tensor, "moments kinds nodes"]:
    """How much an acceleration at each frame, and half-way between, adds to an error of a window.

    The map from differences at all frames to an error, after the one from an acceleration to these.
    """
    t = path.t - path.t[0]
    frames, nodes = len(t), path.num_nodes
    if path.noise is None:
        span = float(t[-1])
        of_q, of_v = torch.zeros(2, 2, frames, nodes, dtype=t.dtype)
        of_q[0, -1], of_v[1, -1] = 2 / span**2, 1 / span
    else:
        bodies = nodes // path.num_systems
        weights = noisy_weights(t, known_noise(path)[:bodies], path.velocity_given)
        of_q, of_v = (w[2:3].repeat(1, 1, path.num_systems) for w in weights)
    moments = torch.linspace(0, float(t[-1]), 2 * frames - 1, dtype=t.dtype)
    kernel = torch.zeros(len(moments), len(of_q), nodes, dtype=t.dtype)
    width = float(t[1] - t[0])
    for k in range(frames - 1):
        for place, share in zip(range(2 * k, 2 * k + 3), (1 / 6, 4 / 6, 1 / 6), strict=True):
            lever = (t[k + 1 :] - moments[place])[:, None]
            added = (of_q[:, k + 1 :] * lever + of_v[:, k + 1 :]).sum(1)
            kernel[place] += share * width * added
    return kernel
