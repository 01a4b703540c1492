"""How noisy measured trajectories are, and how long windows must be for it."""

import math
from dataclasses import replace
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.accelerations import noisy_weights
from gnsim.state import Trajectory

#: orders of differences in time: of white noise all tell the same, of a smooth motion less and less
_ORDERS = (4, 6, 8)
#: frames from which they tell anything
LEAST_FRAMES = _ORDERS[-1] + 1
_WHITE = 0.6
#: a low quantile of the differences tells as much noise as their median does, down to this share
_LEAST, _EVERYWHERE = 0.1, 0.5
#: share of the mean acceleration over a window that noise may make, where a network or a law is
#: fitted; that where nothing else does
QUIET, STILL, _NOTHING_ELSE = 0.1, 0.03, 0.7
#: and the share below which it is not spoken of
_LITTLE = 0.01
_LENGTHS = (1, 2, 4, 8, 16, 32)


def noise(values: Float[Tensor, "time nodes dim"], systems: int) -> Float[Tensor, " bodies"]:
    """Standard deviation of the white noise in each body's positions or velocities.

    From eighth differences in time, of which a smooth motion has little. Zero where fourth
    differences say otherwise: that is motion sampled coarsely, no noise. Zero where many of them
    are far smaller than most: forces that break leave motion between the breaks as it is, noise
    spares none. Zero too for fewer than nine frames. By quantiles, so that close encounters do not
    count.
    """
    bodies = values.shape[1] // systems
    if len(values) < LEAST_FRAMES:
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


def measured_noise(trajectory: Trajectory) -> Float[Tensor, "nodes kinds"] | None:
    """That of the positions and of the velocities of each body; None where it does not matter.

    That is, where it makes less than a hundredth of the acceleration over the shortest window.
    Velocities that were not measured have none of their own. What a trajectory says of its noise
    is taken as it is.
    """
    if trajectory.noise is not None:
        return trajectory.noise if bool((trajectory.noise > 0).any()) else None
    found = _noise_of_bodies(trajectory)
    if not bool((found > 0).any()) or _share(found, trajectory, _shortest(trajectory)) < _LITTLE:
        return None
    return found.repeat(trajectory.num_systems, 1)


def as_noisy_as(other: Trajectory, trajectory: Trajectory) -> Trajectory:
    """`trajectory`, with the noise that was measured in another of the same bodies.

    For parts that are to be compared: one by itself may be too short, or just beyond the bound.
    """
    found, bodies = measured_noise(other), other.num_nodes // other.num_systems
    of_bodies = other.q.new_zeros(bodies, 2) if found is None else found[:bodies]
    return replace(trajectory, noise=of_bodies.repeat(trajectory.num_systems, 1))


def window_noise(trajectory: Trajectory, steps: int) -> Float[Tensor, "bodies kinds"]:
    """What noise makes of each component of a mean acceleration over so many steps.

    As the errors of windows are made (`gnsim.accelerations`), by their linear weights. Zero where
    it does not matter.
    """
    bodies = trajectory.num_nodes // trajectory.num_systems
    found = measured_noise(trajectory)
    if found is None:
        return trajectory.q.new_zeros(bodies, 2 if trajectory.velocity_given else 1)
    return _made(found[:bodies], trajectory, steps)[:, None]


def quiet_steps(trajectory: Trajectory, wanted: float = QUIET) -> int:
    """The shortest window in which noise makes no larger share than `wanted`, for most bodies.

    One step without noise, and a third of the trajectory at most. Two at least where velocities
    were not measured: the first is spent on them. The shortest as well where noise rules in windows
    of any length: there is no motion to wait for.
    """
    longest = max(1, (len(trajectory) - 1) // 3)
    shortest = _shortest(trajectory)
    lengths = [n for n in _LENGTHS if shortest <= n <= longest]
    if not lengths:
        return longest
    found = _noise_of_bodies(trajectory)
    shares = [_share(found, trajectory, steps) for steps in lengths]
    quiet = [n for n, share in zip(lengths, shares, strict=True) if share <= wanted]
    if quiet:
        return quiet[0]
    return lengths[0] if shares[-1] > _NOTHING_ELSE else lengths[-1]


def _shortest(trajectory: Trajectory) -> int:
    return 1 if trajectory.velocity_given else 2


def _noise_of_bodies(trajectory: Trajectory) -> Float[Tensor, "bodies kinds"]:
    systems, given = trajectory.num_systems, trajectory.velocity_given
    of_q = noise(trajectory.q, systems)
    of_v = noise(trajectory.velocity, systems) if given else torch.zeros_like(of_q)
    return torch.stack([of_q, of_v], 1)


def _made(
    found: Float[Tensor, "bodies kinds"], trajectory: Trajectory, steps: int
) -> Float[Tensor, " bodies"]:
    """What this noise makes of each component of a mean acceleration over so many steps."""
    frames = torch.arange(steps + 1, dtype=trajectory.t.dtype, device=trajectory.t.device)
    t = (trajectory.t[1] - trajectory.t[0]) * frames
    of_q, of_v = (
        weights[2].square().sum(0) for weights in noisy_weights(t, found, trajectory.velocity_given)
    )
    return (of_q * found[:, 0].square() + of_v * found[:, 1].square()).sqrt()


def _share(found: Float[Tensor, "bodies kinds"], trajectory: Trajectory, steps: int) -> float:
    """What noise makes of the mean acceleration over so many steps, of the median body."""
    if len(trajectory) <= steps:
        return 0.0
    T = steps * float(trajectory.t[1] - trajectory.t[0])
    change = (trajectory.velocity[steps:] - trajectory.velocity[:-steps]).norm(dim=-1) / T
    of_body = change.view(len(change) * trajectory.num_systems, -1).median(0).values
    made = trajectory.dim**0.5 * _made(found, trajectory, steps)
    return float((made / of_body.clamp_min(torch.finfo(made.dtype).tiny)).median())
