"""What differences of positions and velocities mean as a mean acceleration over a window."""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.state import Trajectory

#: positions and velocities count as no more precise than this, beside each other over a window
_PRECISE = 1e-3


def mean_accelerations(
    path: Trajectory,
    shift: Float[Tensor, "steps nodes *any"],
    gain: Float[Tensor, "steps nodes *any"],
) -> Float[Tensor, "kinds rows nodes *any"]:
    """Differences of positions and of velocities as the mean accelerations that make them.

    ``2 shift / T^2`` and ``gain / T`` at each frame. Where velocities were not measured, the one at
    the start is unknown, and what it would explain is taken out: one row for each frame from the
    second, the constant acceleration that fits all positions up to it best beside a free velocity.
    Where measurements are noisy, one number: see `noisy_weights`.
    """
    t = path.t - path.t[0]
    if path.noise is not None:
        still = torch.zeros_like(shift[:1])
        both = (torch.cat([still, of_frames]) for of_frames in (shift, gain))
        return noisy_motion(path, *both)[None, 2:]
    if path.velocity_given:
        elapsed = t[1:].view(-1, *[1] * (shift.dim() - 1))
        return torch.stack([2 * shift / elapsed.square(), gain / elapsed])
    return torch.einsum("rs,s...->r...", position_weights(t[1:]), shift)[None]


def position_weights(t: Float[Tensor, " steps"]) -> Float[Tensor, "rows steps"]:
    """What makes mean accelerations of differences of positions, without the start velocity.

    Weights w with ``sum w t = 0`` and ``sum w t^2 / 2 = 1``, of the first two steps and more. From
    one step alone the velocity cannot be told.
    """
    if len(t) == 1:
        return (2 / t.square())[None]
    seen = torch.ones(len(t), len(t), dtype=t.dtype, device=t.device).tril()[1:]
    weights = seen * (t.square() - t * (seen @ t**3 / (seen @ t.square()))[:, None])
    return 2 * weights / (weights @ t.square())[:, None]


def noisy_motion(
    path: Trajectory,
    shift: Float[Tensor, "frames nodes *any"],
    gain: Float[Tensor, "frames nodes *any"],
) -> Float[Tensor, "numbers nodes *any"]:
    """Start, velocity there and constant acceleration behind noisy differences at all frames.

    Noise is that of the bodies, the same in each system.
    """
    bodies = path.num_nodes // path.num_systems
    weights = noisy_weights(path.t - path.t[0], known_noise(path)[:bodies], path.velocity_given)
    of_q, of_v = (w.repeat(1, 1, path.num_systems) for w in weights)
    found = torch.einsum("ksn,sn...->kn...", of_q, shift)
    return found + torch.einsum("ksn,sn...->kn...", of_v, gain)


def shared_noise(path: Trajectory) -> Float[Tensor, " bodies"]:
    """Correlation of the mean accelerations of two windows that share the frame between them."""
    bodies, t = path.num_nodes // path.num_systems, path.t - path.t[0]
    noise = known_noise(path)[:bodies]
    weights = noisy_weights(t, noise, path.velocity_given)
    kinds = zip(weights, deviations(noise, float(t[-1])), strict=True)
    made = torch.stack([w[2] * deviation for w, deviation in kinds])
    return (made[:, 0] * made[:, -1]).sum(0) / made.square().sum((0, 1))


def known_noise(path: Trajectory) -> Float[Tensor, "nodes kinds"]:
    """That of `path`. Raises ValueError where none is known of."""
    if path.noise is None:
        raise ValueError("path.noise: wanted the noise of each node, found None")
    return path.noise


def noisy_weights(
    t: Float[Tensor, " frames"], noise: Float[Tensor, "nodes kinds"], velocity_given: bool
) -> tuple[Float[Tensor, "numbers frames nodes"], Float[Tensor, "numbers frames nodes"]]:
    """Weights of positions and of velocities in a start, a velocity there and an acceleration.

    Those of the weighted least-squares fit of a motion of constant acceleration to all that was
    measured: the noise of the frame that a prediction starts from is taken out, to first order,
    like that of any other. Zero for velocities that were not measured; from fewer than three
    frames of positions alone, the smallest motion of all that explain them.
    """
    of_q, of_v = deviations(noise, float(t[-1]))
    one, none = torch.ones_like(t), torch.zeros_like(t)
    of_positions = torch.stack([one, t, t.square() / 2], -1)
    of_velocities = torch.stack([none, one, t], -1)
    rows = of_positions / of_q[:, None, None]
    if velocity_given:
        rows = torch.cat([rows, of_velocities / of_v[:, None, None]], 1)
    # columns of equal length: they differ by powers of the interval
    length = rows.norm(dim=1, keepdim=True)
    rows = rows / length
    inverse = torch.linalg.pinv(rows.mT @ rows, hermitian=True)
    weights = (inverse @ rows.mT / length.mT).permute(1, 2, 0)
    positions = weights[:, : len(t)] / of_q
    if not velocity_given:
        return positions, torch.zeros_like(positions)
    return positions, weights[:, len(t) :] / of_v


def deviations(
    noise: Float[Tensor, "nodes kinds"], span: float
) -> tuple[Float[Tensor, " nodes"], Float[Tensor, " nodes"]]:
    """Standard deviations of positions and velocities, none of them zero.

    Where none was found, as for a planet too fast for its frames, a share of that of the others.
    """
    of_q, of_v = noise.unbind(1)
    largest = torch.maximum(of_q, span * of_v).max()
    largest = torch.where(largest > 0, largest, 1.0)
    return torch.maximum(of_q, _PRECISE * largest), torch.maximum(of_v, _PRECISE * largest / span)
