"""A trained simulator rolled out beside data: many systems at once, of which some may diverge."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.discovery.rollouts import with_hidden
from gnsim.invariants import total
from gnsim.metrics import position_spread
from gnsim.models.motion_scales import velocities
from gnsim.simulator import DivergedError, Simulator
from gnsim.simulators.protocol import RolloutProtocol
from gnsim.simulators.trained import TrainedSimulator
from gnsim.state import State, Trajectory

Tell = Callable[[str, int, int, str], None]
Paths = tuple[Float[Tensor, "time nodes dim"], Float[Tensor, "time nodes dim"]]


def followed(
    trained: TrainedSimulator, truth: Trajectory, protocol: RolloutProtocol, tell: Tell
) -> tuple[Trajectory, Trajectory]:
    """The rollout of a simulator in double precision from where it may begin, and its truth.

    Raises:
        InputError: simulator, protocol and data do not go together.
    """
    protocol.require(trained, truth)
    stride, substeps = protocol.frames_and_substeps(trained, truth)
    truth = with_hidden(truth.frames(slice(0, None, stride)).to(torch.float64), trained.model)
    seen = trained.remembered
    truth = truth.frames(slice(None if protocol.steps is None else seen + protocol.steps + 1))
    if seen:
        truth = _as_positions_tell(truth)
    simulator = Simulator(trained.model, trained.method(protocol.integrator), substeps)

    def relay(done: int, total: int) -> None:
        tell("rolling out", done, total, "")

    return rolled_out(simulator, truth, relay, seen), truth.frames(slice(seen, None))


def whole_spread(trained: TrainedSimulator, truth: Trajectory) -> Float[Tensor, " systems"]:
    """The spread of all held-out positions, however few of them a rollout is compared with."""
    return position_spread(with_hidden(truth.to(torch.float64), trained.model))


def _as_positions_tell(truth: Trajectory) -> Trajectory:
    """With the momenta that a simulator has which sees positions alone: half a frame behind."""
    v = velocities(truth.q, truth.box, truth.interval)
    return replace(truth, p=torch.cat([v[:1], v]) * truth.mass[:, None])


def rolled_out(
    simulator: Simulator,
    truth: Trajectory,
    progress: Callable[[int, int], None] | None = None,
    remembered: int = 0,
) -> Trajectory:
    """A rollout of every system from the first frame of `truth`; NaN from where one diverged on.

    A simulator that sees so many `remembered` frames before the present begins after these. A
    system that diverges does not end the others: what is left is taken in halves from there on.
    """
    start = truth.with_past(remembered, remembered) if remembered else truth[0]
    truth = truth.frames(slice(remembered, None))
    q, p = _paths(simulator, start, truth.t, progress)
    return replace(truth, q=q, p=p)


def _paths(
    simulator: Simulator,
    start: State,
    times: Float[Tensor, " time"],
    progress: Callable[[int, int], None] | None,
) -> Paths:
    try:
        path = simulator.rollout(start, times, progress=progress)
        return path.q, path.p
    except DivergedError as stopped:
        path = stopped.trajectory
    rest = len(times) - len(path)
    if start.num_systems == 1:
        ends = (
            torch.full((rest, *x.shape[1:]), torch.nan, dtype=x.dtype) for x in (path.q, path.p)
        )
        q, p = ends
    else:
        last, after = _last(start, path), times[len(path) - 1 :]
        middle = start.num_systems // 2
        halves = [
            _paths(simulator, last.systems(torch.arange(a, b)), after, None)
            for a, b in ((0, middle), (middle, start.num_systems))
        ]
        q, p = (torch.cat([half[k][1:] for half in halves], 1) for k in range(2))
    return torch.cat([path.q, q]), torch.cat([path.p, p])


def _last(start: State, path: Trajectory) -> State:
    """Where a path from `start` ended, with as long a past."""
    if start.past is None:
        return path[len(path) - 1]
    frames = torch.cat([start.past, path.q])
    return replace(path[len(path) - 1], past=frames[-1 - len(start.past) : -1])


def lost(path: Trajectory) -> Bool[Tensor, " systems"]:
    """Which systems did not stay finite throughout."""
    unfit = (~torch.isfinite(path.q) | ~torch.isfinite(path.p)).any(-1).any(0)
    return total(path, unfit[:, None].to(path.q)).squeeze(-1) > 0
