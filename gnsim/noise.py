"""How noisy measured trajectories are, and how long windows must be for it."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.state import Trajectory
from gnsim.windows import typical_acceleration

#: fourth differences of white noise have this variance in units of its own
_FOURTH = 70.0
#: the median of the size of a normal number
_MEDIAN = 0.6745
#: share of the usual acceleration that noise may make of the error of one window
_QUIET = 0.1
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

    Two at least where velocities were not measured: the first is spent on them.
    """
    systems = trajectory.num_systems
    usual = typical_acceleration(trajectory).view(systems, -1).median(0).values
    longest = max(1, (len(trajectory) - 1) // 4)
    lengths = [n for n in _LENGTHS if n <= longest and (trajectory.velocity_given or n > 1)]
    for steps in lengths:
        made = window_noise(trajectory, steps).min(1).values
        if float((made / usual).median()) <= _QUIET:
            return steps
    return lengths[-1] if lengths else longest
