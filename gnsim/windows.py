"""Windows: short stretches of a trajectory, and how far a dynamics ends up from them.

Every comparison of a dynamics with data goes through here: the training loss, the refit of a
law's constants and its verification. Errors are expressed as the mean acceleration that would
have been needed, so that positions and velocities, days and years, have one scale.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnsim.accelerations import mean_accelerations
from gnsim.dynamics import Dynamics
from gnsim.graph import nearest_image
from gnsim.integrators.base import Integrator
from gnsim.noise import measured_noise
from gnsim.prediction import predict
from gnsim.starts import Starts, unexplained
from gnsim.state import Trajectory

#: share of the mean step by which a step may differ: float32 and decimal rounding
EVEN = 1e-5
#: errors below this share of a body's typical acceleration count as absolute, above as relative
_ABSOLUTE_SHARE = 0.3
#: least typical acceleration of a body, by its own mean and by what is usual for its place
_SHARE_OF_MEAN, _SHARE_OF_USUAL = 0.3, 0.1


@dataclass(frozen=True)
class Windows:
    """A batch of windows as one trajectory of many systems, with the scale of each node.

    `typical` is the median acceleration of each body over its whole trajectory, or where that is
    noisy, over all trajectories;
    `start` and `system` say where each window was cut. Predictions are integrated in steps of
    `stride` frames, from `starts` where those of the measurements are too noisy.
    """

    path: Trajectory
    typical: Float[Tensor, " nodes"]
    start: Int[Tensor, " windows"]
    system: Int[Tensor, " windows"]
    stride: int = 1
    starts: Starts | None = None

    def part(self, first: int, last: int) -> "Windows":
        """Windows `first` to before `last`."""
        starts = None if self.starts is None else self.starts.part(first, last)
        return self._some(torch.arange(len(self.start))[first:last], starts)

    def chosen(self, windows: Int[Tensor, " some"]) -> "Windows":
        """Some of the windows, in the order given."""
        return self._some(windows, None if self.starts is None else self.starts.chosen(windows))

    def _some(self, windows: Int[Tensor, " some"], starts: Starts | None) -> "Windows":
        return replace(
            self,
            path=self.path.systems(windows),
            typical=self.typical.view(len(self.start), -1)[windows].flatten(),
            start=self.start[windows],
            system=self.system[windows],
            starts=starts,
        )


class WindowSampler:
    """Cuts windows of `steps` steps, of `stride` frames each, out of equally spaced times.

    Raises:
        ValueError: fewer frames than one window, times that are not equally spaced, or systems of
            unlike sizes.
    """

    def __init__(self, trajectory: Trajectory, steps: int, stride: int = 1) -> None:
        frames, span = len(trajectory), steps * stride
        if frames < span + 1:
            raise ValueError(
                f"t: a window of {span} steps needs {span + 1} frames, found {frames}; "
                "give longer trajectories or a shorter window"
            )
        counts = trajectory.batch.bincount()
        if int(counts.min()) != int(counts.max()):
            raise ValueError(
                f"bodies: wanted as many in every trajectory, found {int(counts.min())} to "
                f"{int(counts.max())}; give those of one size, or train gns, which takes all"
            )
        self.interval = stride * equal_interval(trajectory.t)
        self.trajectory = trajectory
        self.steps, self.stride, self.span = steps, stride, span
        self.systems = trajectory.num_systems
        self.bodies = trajectory.num_nodes // self.systems
        self.noise = measured_noise(trajectory)
        clean = self.noise is None
        self.typical = typical_acceleration(trajectory) if clean else _usual(trajectory, span)
        self.total = (frames - span) * self.systems

    def sample(self, count: int, generator: torch.Generator) -> Windows:
        """`count` windows, uniformly at random with replacement."""
        return self._cut(torch.randint(0, self.total, (count,), generator=generator))

    def spread(self, count: int, generator: torch.Generator | None = None) -> Windows:
        """At most `count` windows, evenly spread over systems and time, not overlapping.

        With a `generator`, one at random of each of so many equal parts of them.
        """
        per_system = self.per_system
        available = per_system * self.systems
        count = min(count, available)
        if generator is None:
            chosen = torch.linspace(0, available - 1, count, dtype=torch.float64).round().long()
        else:
            share = torch.rand(count, generator=generator, dtype=torch.float64)
            chosen = ((torch.arange(count) + share) * available / count).long()
        return self._cut(self._place(chosen, per_system))

    @property
    def per_system(self) -> int:
        """Windows of a system that do not overlap."""
        return max(1, (len(self.trajectory) - 1) // self.span)

    def in_a_row(self, length: int) -> int:
        """How many of `length` windows that follow each other a system has."""
        return min(length, self.per_system)

    def stretches(self, count: int, length: int) -> Windows:
        """`length` windows that follow each other, from at most `count` places, evenly spread.

        Fewer in a row where a system has no more; those of a stretch stand together.
        """
        per_system, length = self.per_system, self.in_a_row(length)
        of_system = per_system // length
        available = of_system * self.systems
        chosen = torch.linspace(0, available - 1, min(count, available), dtype=torch.float64)
        system, stretch = chosen.round().long() // of_system, chosen.round().long() % of_system
        first = system * per_system + stretch * length
        slots = first[:, None] + torch.arange(length)
        return self._cut(self._place(slots.flatten(), per_system))

    def _place(self, slots: Int[Tensor, " windows"], per_system: int) -> Int[Tensor, " windows"]:
        """Where windows that do not overlap begin, counted over all systems."""
        system, slot = slots // per_system, slots % per_system
        return system * (len(self.trajectory) - self.span) + slot * self.span

    def _cut(self, chosen: Int[Tensor, " windows"]) -> Windows:
        positions = len(self.trajectory) - self.span
        system, start = chosen // positions, chosen % positions
        nodes = (system[:, None] * self.bodies + torch.arange(self.bodies)).reshape(-1)
        frames = start[None, :] + torch.arange(self.span + 1)[:, None]
        frames = frames.repeat_interleave(self.bodies, dim=1)
        source = self.trajectory
        path = Trajectory(
            t=torch.arange(self.span + 1, dtype=source.t.dtype) * self.interval / self.stride,
            q=source.q[frames, nodes],
            p=source.p[frames, nodes],
            batch=torch.arange(len(chosen)).repeat_interleave(self.bodies),
            attributes={name: value[nodes] for name, value in source.attributes.items()},
            box=source.box,
            units=source.units,
            bonds=source.bonds,
            walls=source.walls,
            velocity_given=source.velocity_given,
            noise=None if self.noise is None else self.noise[nodes],
        )
        return Windows(path, self.typical[nodes], start, system, self.stride)


def typical_acceleration(trajectory: Trajectory) -> Float[Tensor, " nodes"]:
    """Median over time of each body's acceleration from frame to frame.

    More for a body that is free most of the time: a share of its mean, or of what is usual for its
    place in other systems, so that free flight is no infinitely precise statement.
    """
    velocity = trajectory.velocity
    steps = (trajectory.t[1:] - trajectory.t[:-1])[:, None, None]
    size = ((velocity[1:] - velocity[:-1]) / steps).norm(dim=-1)
    mean = size.mean(0)
    usual = mean.view(trajectory.num_systems, -1).median(0).values.repeat(trajectory.num_systems)
    floor = size.mean() * 1e-12 + torch.finfo(size.dtype).tiny ** 0.5
    typical = torch.maximum(size.median(0).values, _SHARE_OF_MEAN * mean)
    return torch.maximum(typical, _SHARE_OF_USUAL * usual).clamp_min(floor)


def _usual(trajectory: Trajectory, span: int) -> Float[Tensor, " nodes"]:
    """Median acceleration of each body over windows of so many frames, in all systems and times.

    A scale with the noise of the window itself in it would trust most where noise happens to lower
    the acceleration, and so make all forces too small.
    """
    velocity, systems = trajectory.velocity, trajectory.num_systems
    elapsed = float(trajectory.t[span] - trajectory.t[0])
    size = (velocity[span:] - velocity[:-span]).norm(dim=-1) / elapsed
    usual = size.view(len(size) * systems, -1).median(0).values
    return torch.maximum(usual, _SHARE_OF_USUAL * usual.max()).repeat(systems)


def missed(
    dynamics: Dynamics, integrator: Integrator, windows: Windows, substeps: int
) -> Float[Tensor, "kinds rows nodes dim"]:
    """`mean_acceleration_error` of a prediction; of noisy windows, from the starts that it has."""
    path = windows.path
    if windows.starts is None:
        if path.noise is not None:
            raise ValueError("windows.starts: wanted those of a dynamics, as the windows are noisy")
        return mean_acceleration_error(path, *predict(dynamics, integrator, path, substeps))
    return unexplained(dynamics, integrator, path, substeps, windows.starts)[None, None]


def mean_acceleration_error(
    path: Trajectory,
    positions: Float[Tensor, "later nodes dim"],
    velocities: Float[Tensor, "later nodes dim"],
) -> Float[Tensor, "kinds rows nodes dim"]:
    """What is missing, as a mean acceleration since the start of the window.

    Positions are compared to the nearest image in a box; see `gnsim.accelerations`.
    """
    off = nearest_image(path.q[1:] - positions, path.box)
    return mean_accelerations(path, off, path.velocity[1:] - velocities)


def acceleration_scale(windows: Windows) -> Float[Tensor, "rows nodes 1"]:
    """The size of the acceleration that a relative error is relative to, for each row of errors."""
    path = windows.path
    if path.noise is not None and bool((path.noise > 0).any()):
        return windows.typical[None, :, None]
    elapsed = (path.t[1:] - path.t[0])[:, None, None]
    measured = ((path.velocity[1:] - path.velocity[0]) / elapsed).square().sum(-1, keepdim=True)
    size = (measured + (_ABSOLUTE_SHARE * windows.typical[:, None]).square()).sqrt()
    return size if path.velocity_given or len(size) == 1 else size[1:]


def uneven_frame(t: Float[Tensor, " time"]) -> int | None:
    """The frame whose step differs most from the mean step; None where all are equal to `EVEN`."""
    interval = float((t[-1] - t[0]) / (len(t) - 1))
    off = (t.diff() - interval).abs()
    rounding = 4 * torch.finfo(t.dtype).eps * float(t.abs().max())
    return int(off.argmax()) + 1 if float(off.max()) > max(EVEN * interval, rounding) else None


def equal_interval(t: Float[Tensor, " time"]) -> float:
    """The mean step. Raises ValueError where the steps differ."""
    interval = float((t[-1] - t[0]) / (len(t) - 1))
    frame = uneven_frame(t)
    if frame is not None:
        raise ValueError(
            f"t[{frame}]: the step is {float(t[frame] - t[frame - 1]):g}, the mean step "
            f"{interval:g}; wanted even steps: resample the trajectory at equal intervals"
        )
    return interval
