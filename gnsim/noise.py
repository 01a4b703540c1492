"""How noisy measured trajectories are, and how long windows must be for it."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.state import Trajectory

#: fourth differences of white noise have this variance in units of its own
_FOURTH = 70.0
#: the median of the size of a normal number
_MEDIAN = 0.6745
#: share of the mean acceleration over a window that noise may make; that where nothing else does
_QUIET, _NOTHING_ELSE = 0.1, 0.7
_LENGTHS = (1, 2, 4, 8, 16)


def noise(values: Float[Tensor, "time nodes dim"], systems: int) -> Float[Tensor, " bodies"]:
    """Standard deviation of the white noise in each body's positions or velocities.

    From fourth differences in time, which leave little of a smooth motion; what they leave of one
    that is sampled coarsely counts as noise. Zero for fewer than five frames. By the median, so
    that close encounters do not count.
    """
    bodies = values.shape[1] // systems
    if len(values) < 5:
        return values.new_zeros(bodies)
    size = values.diff(n=4, dim=0).abs() / (_MEDIAN * _FOURTH**0.5)
    return size.view(-1, systems, bodies, values.shape[2]).movedim(2, 0).flatten(1).median(1).values


def window_noise(trajectory: Trajectory, steps: int) -> Float[Tensor, "bodies kinds"]:
    """What noise makes of each component of a mean acceleration over so many steps."""
    T = steps * float(trajectory.t[1] - trajectory.t[0])
    systems = trajectory.num_systems
    of_q = noise(trajectory.q, systems)
    if not trajectory.velocity_given:
        # the variance of a curvature fitted to steps + 1 points beside a line (exact for many)
        return (of_q * (720 / steps) ** 0.5 / T**2)[:, None]
    of_v = noise(trajectory.velocity, systems)
    of_positions = 2 * (2 * of_q.square() + (of_v * T).square()).sqrt() / T**2
    return torch.stack([of_positions, 2**0.5 * of_v / T], 1)


def quiet_steps(trajectory: Trajectory) -> int:
    """The shortest window in which noise does not rule for most bodies; one step without noise.

    Two at least where velocities were not measured: the first is spent on them. The shortest as
    well where noise rules in windows of any length: there is no motion to wait for.
    """
    longest = max(1, (len(trajectory) - 1) // 4)
    lengths = [n for n in _LENGTHS if n <= longest and (trajectory.velocity_given or n > 1)]
    if not lengths:
        return longest
    for steps in lengths:
        share = _share_of_noise(trajectory, steps)
        if share <= _QUIET:
            return steps
    return lengths[0] if share > _NOTHING_ELSE else lengths[-1]


def _share_of_noise(trajectory: Trajectory, steps: int) -> float:
    """What noise makes of the mean acceleration over so many steps, of the median body."""
    T = steps * float(trajectory.t[1] - trajectory.t[0])
    change = (trajectory.velocity[steps:] - trajectory.velocity[:-steps]).norm(dim=-1) / T
    of_body = change.view(len(change) * trajectory.num_systems, -1).median(0).values
    made = trajectory.dim**0.5 * window_noise(trajectory, steps).min(1).values
    tiny = torch.finfo(made.dtype).tiny
    return float((made / of_body.clamp_min(tiny)).median())
