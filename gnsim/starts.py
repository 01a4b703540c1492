"""Where noisy windows begin: the states from which a dynamics makes what was measured likeliest.

A prediction from a measured frame has the noise of that frame in all that follows. So the state at
the start of each window is fitted to all frames, as in the determination of orbits, and errors of
a dynamics are what no start explains. H. Ramsay et al., doi:10.1111/j.1467-9868.2007.00610.x.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnsim.accelerations import deviations, known_noise, noisy_motion, noisy_weights
from gnsim.dynamics import Dynamics, Split
from gnsim.graph import nearest_image
from gnsim.integrators.base import Integrator
from gnsim.integrators.runge_kutta import RK4
from gnsim.integrators.symplectic import Yoshida4
from gnsim.prediction import predict
from gnsim.state import Trajectory

#: frames that are fitted first; steps for some frames, and for all: the last brings slopes alone
_FIRST_FRAMES, _ROUNDS, _LAST_ROUNDS = 5, 3, 4
_QUOTIENT_STEP = 1e-6
#: steps of a prediction for one of fourth order in its slopes, unless these are to be exact
_COARSER = 4
_NUMBERS_AT_ONCE = 6_000_000
_LARGEST = 1e100


@dataclass(frozen=True)
class Starts:
    """Positions and velocities at the start of each window, fitted with some dynamics.

    `inverse` makes changes of them out of differences over their noise, to first order. `noise` is
    what is left of it in each component of the mean acceleration (`unexplained`). `misfit` is the
    sum of squares of what the fit leaves of those differences, and `freedom` how many of them no
    start takes out: of the true dynamics, they are the same in the mean.
    """

    phase: Float[Tensor, "2 nodes dim"]
    inverse: Float[Tensor, "systems unknowns rows"]
    noise: Float[Tensor, " nodes"]
    misfit: Float[Tensor, " nodes"]
    freedom: Float[Tensor, " nodes"]

    def part(self, first: int, last: int) -> "Starts":
        """Those of windows `first` to before `last`, which are not copied: they may be large."""
        bodies = self.phase.shape[1] // len(self.inverse)
        nodes = slice(first * bodies, last * bodies)
        return Starts(
            self.phase[:, nodes],
            self.inverse[first:last],
            self.noise[nodes],
            self.misfit[nodes],
            self.freedom[nodes],
        )

    def chosen(self, windows: Int[Tensor, " some"]) -> "Starts":
        """Those of some windows, in the order given."""
        nodes = torch.arange(len(self.noise)).view(len(self.inverse), -1)[windows].flatten()
        return Starts(
            self.phase[:, nodes],
            self.inverse[windows],
            self.noise[nodes],
            self.misfit[nodes],
            self.freedom[nodes],
        )


def joined(parts: list[Starts]) -> Starts:
    """Those of several batches of windows as of one."""
    return Starts(
        torch.cat([part.phase for part in parts], 1),
        torch.cat([part.inverse for part in parts]),
        torch.cat([part.noise for part in parts]),
        torch.cat([part.misfit for part in parts]),
        torch.cat([part.freedom for part in parts]),
    )


def _at_once(path: Trajectory) -> int:
    """So many windows of this length fit in memory."""
    bodies = path.num_nodes // path.num_systems
    unknowns = 2 * bodies * path.dim
    return max(1, _NUMBERS_AT_ONCE // (len(path) * unknowns**2))


def fitted_starts(
    dynamics: Dynamics,
    integrator: Integrator,
    path: Trajectory,
    substeps: int,
    known: Starts | None = None,
    slope_steps: int | None = None,
) -> Starts:
    """Gauss-Newton from the measured starts; steps that do not help halve. One from `known` ones.

    Slopes are taken in `slope_steps` of fourth order, a quarter of `substeps` unless given. Where
    they are not those of the predictions, starts end beside the likeliest ones: after a close
    encounter by so much that constants are several standard errors off.

    From the measured ones, to the first frames first and to twice as many then: what comes after a
    close encounter says where it began once that is nearly known.
    """
    size, parts = _at_once(path), []
    steps = slope_steps or max(1, substeps // _COARSER)
    for first in range(0, path.num_systems, size):
        last = min(first + size, path.num_systems)
        part = path.systems(torch.arange(first, last)) if size < path.num_systems else path
        of_part = None if known is None else known.part(first, last)
        parts.append(_fitted_part(dynamics, integrator, part, (substeps, steps), of_part))
    return joined(parts)


def _fitted_part(
    dynamics: Dynamics,
    integrator: Integrator,
    path: Trajectory,
    steps: tuple[int, int],
    known: Starts | None,
) -> Starts:
    """All windows of `path` at once; `steps` of predictions, and of slopes."""
    if known is not None:
        rows = _rows(dynamics, integrator, path, steps[0], known.phase)
        beside = known.phase + _as_phase(known.inverse @ rows[..., None], path)
        rows_beside = _rows(dynamics, integrator, path, steps[0], beside)
        better = rows_beside.square().sum(1) < rows.square().sum(1)
        phase = torch.where(better[path.batch][None, :, None], beside, known.phase)
        rows = torch.where(better[:, None], rows_beside, rows)
        return _fitted(dynamics, integrator, path, steps, phase, 1, rows)
    phase, frames = torch.stack([path.q[0], path.velocity[0]]), _FIRST_FRAMES
    while frames < len(path):
        first = path.frames(slice(0, frames))
        phase = _fitted(dynamics, integrator, first, steps, phase, _ROUNDS).phase
        frames = 2 * frames
    return _fitted(dynamics, integrator, path, steps, phase, _LAST_ROUNDS)


def _fitted(
    dynamics: Dynamics,
    integrator: Integrator,
    path: Trajectory,
    steps: tuple[int, int],
    phase: Float[Tensor, "2 nodes dim"],
    rounds: int,
    known: Float[Tensor, "systems rows"] | None = None,
) -> Starts:
    """So many steps from `phase`, whose differences may be `known`; the best of the starts seen."""
    best, step = phase, torch.zeros_like(phase)
    least = torch.full((path.num_systems,), torch.inf, dtype=phase.dtype)
    share = torch.ones_like(least)
    inverse, noise = phase.new_zeros(path.num_systems, 0, 0), torch.zeros_like(phase[0, :, 0])
    misfit, freedom = torch.full_like(noise, torch.inf), noise
    for _ in range(rounds):
        rows = known if known is not None else _rows(dynamics, integrator, path, steps[0], phase)
        known = None
        slopes = _slopes(dynamics, path, steps[1], phase)
        cost = rows.square().sum(1)
        better = cost < least
        least = torch.where(better, cost, least)
        # what is no number, or too large to be squared, tells no direction
        slopes = torch.where(slopes.abs() < _LARGEST, slopes, 0.0)
        orthogonal, triangle = torch.linalg.qr(slopes)
        found = torch.linalg.pinv(triangle) @ orthogonal.mT
        inverse = torch.where(better[:, None, None], found, inverse) if inverse.numel() else found
        share = torch.where(better, 1.0, 0.5 * share)
        moved = better[path.batch][None, :, None]
        best = torch.where(moved, phase, best)
        of_node = moved[0, :, 0]
        noise = torch.where(of_node, _noise_left(path, orthogonal), noise)
        misfit = torch.where(of_node, rows.square().view(path.num_nodes, -1).sum(1), misfit)
        by_node = orthogonal.reshape(path.num_nodes, -1, orthogonal.shape[2])
        freedom = torch.where(of_node, by_node.shape[1] - by_node.square().sum((1, 2)), freedom)
        step = torch.where(moved, _as_phase(found @ rows[..., None], path), 0.5 * step)
        phase = best + step
    # what was too long a step here is not to be taken in whole by those who go on from here
    return Starts(best, share[:, None, None] * inverse, noise, misfit, freedom)


def unexplained(
    dynamics: Dynamics, integrator: Integrator, path: Trajectory, substeps: int, starts: Starts
) -> Float[Tensor, "nodes dim"]:
    """The mean acceleration over each window that no start makes up for.

    Starts are corrected once, with the slopes that `starts` brings from a similar dynamics.
    """
    phase = _corrected(dynamics, integrator, path, substeps, starts)
    return noisy_motion(path, *_off(dynamics, integrator, path, substeps, phase))[2]


def residuals(
    dynamics: Dynamics, integrator: Integrator, path: Trajectory, substeps: int, starts: Starts
) -> Float[Tensor, "systems rows"]:
    """All that was measured less what is predicted, over its noise; starts as of `unexplained`."""
    phase = _corrected(dynamics, integrator, path, substeps, starts)
    return _rows(dynamics, integrator, path, substeps, phase)


def _corrected(
    dynamics: Dynamics, integrator: Integrator, path: Trajectory, substeps: int, starts: Starts
) -> Float[Tensor, "2 nodes dim"]:
    """Positions and velocities of `starts` after one step with the slopes that these bring."""
    rows = _rows(dynamics, integrator, path, substeps, starts.phase)
    return starts.phase + _as_phase(starts.inverse @ rows[..., None], path)


def _slopes(
    dynamics: Dynamics, path: Trajectory, substeps: int, phase: Float[Tensor, "2 nodes dim"]
) -> Float[Tensor, "systems rows unknowns"]:
    """What differences over their noise fall by per unit of each number of the start.

    In steps of fourth order, whatever predictions are made with: directions need not be exact.
    """
    bodies, dim = path.num_nodes // path.num_systems, path.dim
    unknowns = 2 * bodies * dim
    steps = (_QUOTIENT_STEP * _scales(path)).repeat_interleave(bodies * dim)
    moves = torch.diag(steps).view(unknowns, 2, 1, bodies, dim)
    moves = torch.cat([torch.zeros_like(moves[:1]), moves])
    copies = phase.view(1, 2, -1, bodies, dim) + moves
    flat = copies.transpose(0, 1).reshape(2, -1, dim)
    many = _repeated(path, unknowns + 1)
    fourth = Yoshida4() if isinstance(dynamics, Split) else RK4()
    rows = _rows(dynamics, fourth, many, substeps, flat)
    rows = rows.view(unknowns + 1, path.num_systems, -1)
    return ((rows[0] - rows[1:]) / steps[:, None, None]).permute(1, 2, 0)


def _noise_left(
    path: Trajectory, orthogonal: Float[Tensor, "systems rows unknowns"]
) -> Float[Tensor, " nodes"]:
    """The deviation of a component of the mean acceleration, of what starts cannot take out.

    `orthogonal` spans what starts can change. They take more than they would of free bodies, up to
    most of it where a body goes round within a window.
    """
    bodies = path.num_nodes // path.num_systems
    of_bodies, t = known_noise(path)[:bodies], path.t - path.t[0]
    deviation = deviations(of_bodies, float(t[-1]))
    weights = noisy_weights(t, of_bodies, path.velocity_given)
    kinds = 2 if path.velocity_given else 1
    each = torch.cat([w[2] * s for w, s in zip(weights[:kinds], deviation, strict=False)])
    by_body = orthogonal.view(path.num_systems, bodies, len(each), path.dim, -1)
    taken = torch.einsum("fb,sbfdu->sbdu", each, by_body).square().sum(-1).mean(-1)
    left = each.square().sum(0) - taken
    return left.clamp_min(0.0).sqrt().flatten()


def _scales(path: Trajectory) -> Float[Tensor, " kinds"]:
    """Of positions and of velocities: their spread within the systems, wherever these are."""
    by_system = torch.stack([path.q, path.velocity]).view(
        2, len(path), path.num_systems, -1, path.dim
    )
    middle = by_system.mean((1, 3), keepdim=True)
    spread = (by_system - middle).square().flatten(1).mean(1).sqrt()
    of_q = spread[0].clamp_min(torch.finfo(spread.dtype).tiny ** 0.5)
    return torch.stack([of_q, torch.maximum(spread[1], of_q / (path.t[-1] - path.t[0]) * 1e-3)])


def _repeated(path: Trajectory, copies: int) -> Trajectory:
    """Many copies of the same systems side by side."""
    return replace(
        path,
        q=path.q.repeat(1, copies, 1),
        p=path.p.repeat(1, copies, 1),
        batch=torch.arange(copies * path.num_systems).repeat_interleave(
            path.num_nodes // path.num_systems
        ),
        attributes={name: value.repeat(copies) for name, value in path.attributes.items()},
        names=(),
        noise=None if path.noise is None else path.noise.repeat(copies, 1),
    )


def _off(
    dynamics: Dynamics,
    integrator: Integrator,
    path: Trajectory,
    substeps: int,
    phase: Float[Tensor, "2 nodes dim"],
) -> tuple[Float[Tensor, "frames nodes dim"], Float[Tensor, "frames nodes dim"]]:
    """What was measured less what is predicted from `phase`, at all frames."""
    start = path[0].moved(phase[0], phase[1] * path.mass[:, None])
    positions, velocities = predict(dynamics, integrator, path, substeps, start)
    q = torch.cat([phase[:1], positions])
    v = torch.cat([phase[1:], velocities])
    return nearest_image(path.q - q, path.box), path.velocity - v


def _rows(
    dynamics: Dynamics,
    integrator: Integrator,
    path: Trajectory,
    substeps: int,
    phase: Float[Tensor, "2 nodes dim"],
) -> Float[Tensor, "systems rows"]:
    """What `_off` gives, over its noise."""
    return _over_noise(path, *_off(dynamics, integrator, path, substeps, phase))


def _over_noise(
    path: Trajectory,
    shift: Float[Tensor, "frames nodes dim"],
    gain: Float[Tensor, "frames nodes dim"],
) -> Float[Tensor, "systems rows"]:
    """Differences of all that was measured in units of its noise, window by window."""
    of_q, of_v = deviations(known_noise(path), float(path.t[-1] - path.t[0]))
    rows = shift / of_q[:, None]
    if path.velocity_given:
        rows = torch.cat([rows, gain / of_v[:, None]])
    return rows.transpose(0, 1).reshape(path.num_systems, -1)


def _as_phase(
    numbers: Float[Tensor, "systems unknowns 1"], path: Trajectory
) -> Float[Tensor, "2 nodes dim"]:
    """Numbers of the starts, by system, as positions and velocities by node."""
    by_system = numbers.view(path.num_systems, 2, -1, path.dim)
    return by_system.transpose(0, 1).reshape(2, -1, path.dim)
