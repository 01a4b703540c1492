"""What a form is fitted to: windows of trajectories, and how motion is integrated over them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.accelerations import deviations, known_noise
from gnsim.dynamics import Dynamics
from gnsim.graph import displacement, distance
from gnsim.integrators.base import Integrator
from gnsim.integrators.symplectic import Leapfrog
from gnsim.noise import window_noise
from gnsim.starts import fitted_starts, residuals
from gnsim.state import Trajectory
from gnsim.windows import Windows, WindowSampler, acceleration_scale, missed

_PAIRS_AT_ONCE = 60_000
#: steps of a leapfrog for one of a smooth force
_BREAK_SUBSTEPS = 16


@dataclass(frozen=True)
class Problem:
    """What a form is fitted to: windows of one trajectory and how they are integrated.

    `noise` is that of the data, in each component of the mean acceleration over a window; `fine`
    says that steps are made for breaks, `fine_slopes` that starts are fitted with slopes in as
    many steps as predictions.
    """

    windows: Windows
    bodies: int
    integrator: Integrator
    substeps: int
    noise: Float[Tensor, "bodies kinds"]
    fine: bool = False
    fine_slopes: bool = False

    @classmethod
    def of(
        cls,
        trajectory: Trajectory,
        steps: int,
        count: int,
        integrator: Integrator,
        substeps: int,
        generator: torch.Generator | None = None,
    ) -> "Problem":
        """`count` windows of so many steps, spread over the trajectory (see `WindowSampler`)."""
        sampler = WindowSampler(trajectory.to(torch.float64), steps)
        return cls.cut(sampler, sampler.spread(count, generator), integrator, substeps)

    @classmethod
    def cut(
        cls, sampler: WindowSampler, windows: Windows, integrator: Integrator, substeps: int
    ) -> "Problem":
        """Windows that were cut by `sampler`.

        Where no velocities were measured, nobody knows how windows start: as in noisy ones, the
        starts are fitted, to positions as good as exact.
        """
        made = window_noise(sampler.trajectory, sampler.steps)
        path = windows.path
        if not path.velocity_given and path.noise is None:
            exact = torch.zeros(path.num_nodes, 2, dtype=torch.float64)
            windows = replace(windows, path=replace(path, noise=exact))
        return cls(windows, sampler.bodies, integrator, substeps, made)

    def shortened(self, frames: int) -> "Problem":
        """The first frames of each window."""
        path = self.windows.path.frames(slice(0, frames))
        made = window_noise(path, frames - 1)
        return replace(self, windows=replace(self.windows, path=path, starts=None), noise=made)

    def joined(self, other: "Problem") -> "Problem":
        """With the windows of `other` after its own; their starts are found anew."""
        one, two = self.windows, other.windows
        systems = int(one.system.max()) + 1
        windows = replace(
            one,
            path=_joined(one.path, two.path),
            typical=torch.cat([one.typical, two.typical]),
            start=torch.cat([one.start, two.start]),
            system=torch.cat([one.system, two.system + systems]),
            starts=None,
        )
        return replace(self, windows=windows)

    @property
    def noisy(self) -> bool:
        """Whether noise rules what errors are."""
        return bool((self.noise > 0).any())

    def for_breaks(self) -> "Problem":
        """With many small steps of low order: what a jump of the force asks for."""
        if self.fine:
            return self
        substeps = _BREAK_SUBSTEPS * self.substeps
        return replace(self, integrator=Leapfrog(), substeps=substeps, fine=True)

    def misfit(self) -> Float[Tensor, " windows"] | None:
        """Half the sum of squares of what settled starts leave, over the noise; None without any.

        Of the true law, the negative logarithm of its likelihood. Infinite where motion is not
        finite.
        """
        if not self.noisy or self.windows.starts is None:
            return None
        return 0.5 * self.windows.starts.misfit.view(-1, self.bodies).sum(1)

    def loudness(self) -> float:
        """What the usual acceleration makes of a position over a window, over the noise of that."""
        path = self.windows.path
        span = float(path.t[-1] - path.t[0])
        of_q, _ = deviations(known_noise(path), span)
        return float((0.5 * self.windows.typical * span**2 / of_q).median())

    def noise_share(self) -> Float[Tensor, "nodes kinds"]:
        """What noise makes of each component of an error, relative as errors are.

        As far as it is left by the starts of the windows, where these are settled.
        """
        scale = acceleration_scale(self.windows)[-1]
        if self.noisy and self.windows.starts is not None:
            return self.windows.starts.noise[:, None] / scale
        return self.noise.repeat(len(self.windows.start), 1) / scale

    def noise_sizes(self) -> Float[Tensor, "nodes kinds"]:
        """The size of error that noise alone makes; its geometric mean."""
        half_dim = torch.tensor(0.5 * self.windows.path.dim, dtype=torch.float64)
        # exp of the mean log of the length of a normal vector, as `mean_error` averages errors
        length = torch.exp(0.5 * (torch.digamma(half_dim) + math.log(2)))
        return length * self.noise_share()

    def chance(self) -> float:
        """Standard error of the logarithm of a geometric mean of noise over all windows."""
        half_dim = torch.tensor(0.5 * self.windows.path.dim, dtype=torch.float64)
        spread = 0.5 * torch.polygamma(1, half_dim).sqrt()
        return float(spread) / len(self.windows.start) ** 0.5

    def travelled(self) -> float:
        """The distance by which a pair usually comes closer or goes apart from frame to frame."""
        path = self.windows.path
        r = [
            distance(displacement(state.q, state.pairs, state.box)) for state in (path[0], path[1])
        ]
        return float((r[1] - r[0]).abs().median())

    def settled(self, model: Dynamics) -> "Problem":
        """With the starts that are likeliest for `model`, where measured ones will not do."""
        windows = self.windows
        if windows.path.noise is None:
            return self
        with torch.no_grad():
            slope_steps = self.substeps if self.fine_slopes else None
            starts = fitted_starts(
                model, self.integrator, windows.path, self.substeps, windows.starts, slope_steps
            )
        return replace(self, windows=replace(windows, starts=starts))

    def chunks(self) -> Iterator[Windows]:
        """The windows in parts that fit in memory."""
        size = max(1, _PAIRS_AT_ONCE // self.windows.path.pairs_per_system)
        return (self.windows.part(k, k + size) for k in range(0, len(self.windows.start), size))


def _alike(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool(torch.allclose(one.double(), other.double()))


def _joined(one: Trajectory, other: Trajectory) -> Trajectory:
    """The systems of both. Raises ValueError where times, box, bonds or attributes differ."""
    for name in ("t", "box", "bonds"):
        if not _alike(getattr(one, name), getattr(other, name)):
            raise ValueError(
                f"{name}: the parts of the data differ in it; give parts of one kind of system"
            )
    if set(one.attributes) != set(other.attributes):
        odd = sorted(set(one.attributes) ^ set(other.attributes))
        raise ValueError(f"attribute {odd[0]!r}: only one part of the data has it; give it in all")
    both = {name: torch.cat([of, other.attributes[name]]) for name, of in one.attributes.items()}
    known = one.noise is not None and other.noise is not None
    noise = torch.cat([known_noise(one), known_noise(other)]) if known else None
    return replace(
        one,
        q=torch.cat([one.q, other.q], 1),
        p=torch.cat([one.p, other.p], 1),
        batch=torch.cat([one.batch, other.batch + one.num_systems]),
        attributes=both,
        noise=noise,
    )


def final_error(
    model: Dynamics, problem: Problem, windows: Windows
) -> Float[Tensor, "nodes kinds dim"]:
    """Errors at the ends of the windows over the size of the acceleration."""
    errors = missed(model, problem.integrator, windows, problem.substeps)
    return (errors / acceleration_scale(windows))[:, -1].movedim(0, 1)


def residuals_over_noise(
    model: Dynamics, problem: Problem, windows: Windows
) -> Float[Tensor, "windows rows"]:
    """What a dynamics leaves of all that was measured in noisy windows, over the noise.

    Raises:
        ValueError: windows whose starts no dynamics was fitted with.
    """
    if windows.starts is None:
        raise ValueError("windows.starts: wanted those of a dynamics, as the windows are noisy")
    path = windows.path
    return residuals(model, problem.integrator, path, problem.substeps, windows.starts)
