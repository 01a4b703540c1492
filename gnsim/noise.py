"""How noisy measured trajectories are, and how long windows must be for it."""

import math
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.state import Trajectory
from gnsim.windows import position_weights

#: orders of differences in time: of white noise all tell the same, of a smooth motion less and less
_ORDERS = (4, 6, 8)
_WHITE = 0.6
#: a low quantile of the differences tells as much noise as their median does, down to this share
_LEAST, _EVERYWHERE = 0.1, 0.5
#: share of the mean acceleration over a window that noise may make; that where nothing else does
_QUIET, _NOTHING_ELSE = 0.1, 0.7
_LENGTHS = (1, 2, 4, 8, 16)


def noise(values: Float[Tensor, "time nodes dim"], systems: int) -> Float[Tensor, " bodies"]:
    """Standard deviation of the white noise in each body's positions or velocities.

    From eighth differences in time, of which a smooth motion has little. Zero where fourth
    differences say otherwise: that is motion sampled coarsely, no noise. Zero where many of them
    are far smaller than most: forces that break leave motion between the breaks as it is, noise
    spares none. Zero too for fewer than nine frames. By quantiles, so that close encounters do not
    count.
    """
    bodies = values.shape[1] // systems
    if len(values) <= _ORDERS[-1]:
        return values.new_zeros(bodies)
    usual = [_from_differences(values, systems, order, 0.5) for order in _ORDERS]
    least = _from_differences(values, systems, _ORDERS[-1], _LEAST)
    white = (usual[-1] >= _WHITE * usual[0]) & (least.mean() >= _EVERYWHERE * usual[-1].mean())
    return torch.where(white, usual[-1], 0.0)


def _from_differences(
    values: Float[Tensor, "time nodes dim"], systems: int, order: int, share: float
) -> Float[Tensor, " bodies"]:
    """The deviation of normal numbers of whose differences so large a share would be as small."""
    size = values.diff(n=order, dim=0).abs() / math.comb(2 * order, order) ** 0.5
    by_body = size.view(len(size), systems, -1, values.shape[2]).movedim(2, 0)
    normal = NormalDist().inv_cdf(0.5 + 0.5 * share)
    # an axis along which nothing moves is no proof that nothing is noisy
    moving = by_body.flatten(0, 2).amax(0) > 0
    if not moving.any():
        return values.new_zeros(len(by_body))
    return torch.stack([_quantile(x[..., moving].flatten(), share) for x in by_body]) / normal


def _quantile(values: Float[Tensor, " values"], share: float) -> Float[Tensor, ""]:
    """As `torch.quantile`, which takes no more than 16 million numbers."""
    return values.kthvalue(max(1, round(share * len(values)))).values


def window_noise(trajectory: Trajectory, steps: int) -> Float[Tensor, "bodies kinds"]:
    """What noise makes of each component of a mean acceleration over so many steps.

    As the errors of windows are made (`gnsim.windows.mean_accelerations`), by their linear weights.
    """
    t = (trajectory.t[1] - trajectory.t[0]) * torch.arange(1, steps + 1, dtype=trajectory.t.dtype)
    T, systems = float(t[-1]), trajectory.num_systems
    of_q = noise(trajectory.q, systems)
    if not trajectory.velocity_given:
        weights = position_weights(t)[-1]
        # the noise of the first frame is in every difference from it
        return (of_q * (weights.square().sum() + weights.sum().square()).sqrt())[:, None]
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
