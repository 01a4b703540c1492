"""Means and spreads of velocities and accelerations, as positions tell them frame by frame."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnsim.graph import nearest_image
from gnsim.neighbours import radius_pairs
from gnsim.state import Trajectory

#: frames in which neighbours are looked for
_LOOKED_AT = 20


class MotionScales(nn.Module):
    """Statistics of each component over all frames and all bodies that are not `fixed`.

    Velocities are differences of positions over the time between frames, accelerations those of
    velocities: in units of length over time, and over its square. `relative_spread` is the root
    mean square of a component of the relative velocities of bodies that see each other.
    """

    velocity_mean: Tensor
    velocity_spread: Tensor
    acceleration_mean: Tensor
    acceleration_spread: Tensor
    relative_spread: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        for kind in ("velocity", "acceleration"):
            self.register_buffer(f"{kind}_mean", torch.zeros(dim))
            self.register_buffer(f"{kind}_spread", torch.ones(dim))
        self.register_buffer("relative_spread", torch.ones(()))

    def fit(self, path: Trajectory, radius: float | None) -> None:
        """Takes all of them from `path`, whose frames are equally far apart.

        Bodies see each other within the `radius`, or all of a system do.
        """
        velocity = velocities(path.q[:, path.free], path.box, path.interval)
        values = {"velocity": velocity, "acceleration": velocity.diff(dim=0) / path.interval}
        rounding = torch.finfo(torch.float32).eps * float(path.q.abs().max())
        for kind, value in values.items():
            rounding /= path.interval
            spread = value.std((0, 1))
            # what single precision does not tell along one axis has the size of what others show
            usual = torch.where(spread.max() > rounding, spread.max(), 1.0)
            getattr(self, f"{kind}_mean").copy_(value.mean((0, 1)))
            getattr(self, f"{kind}_spread").copy_(torch.where(spread > rounding, spread, usual))
        between = _between_neighbours(path, radius).square().mean().sqrt()
        least = torch.finfo(torch.float32).eps * self.velocity_spread.max()
        self.relative_spread.copy_(
            torch.where(between > least, between, self.velocity_spread.max())
        )

    def scaled_velocity(self, v: Float[Tensor, "*some dim"]) -> Float[Tensor, "*some dim"]:
        """Of mean zero and spread one."""
        return (v - self.velocity_mean) / self.velocity_spread

    def scaled_acceleration(self, a: Float[Tensor, "*some dim"]) -> Float[Tensor, "*some dim"]:
        """Of mean zero and spread one."""
        return (a - self.acceleration_mean) / self.acceleration_spread

    @property
    def alike(self) -> Float[Tensor, " dim"]:
        """What turns accelerations over one spread for all axes into scaled ones."""
        return self.acceleration_spread.square().mean().sqrt() / self.acceleration_spread

    def acceleration(self, scaled: Float[Tensor, "*some dim"]) -> Float[Tensor, "*some dim"]:
        """What `scaled_acceleration` is of."""
        return self.acceleration_mean + self.acceleration_spread * scaled


def _between_neighbours(path: Trajectory, radius: float | None) -> Float[Tensor, "pairs dim"]:
    """Relative velocities of bodies that see each other, in frames over all the time."""
    found = []
    for k in torch.linspace(1, len(path) - 1, min(_LOOKED_AT, len(path) - 1)).long().tolist():
        pairs = path[k].pairs
        if radius is not None:
            pairs = radius_pairs(path.q[k], path.batch, radius, path.box)
        v = velocities(path.q[k - 1 : k + 1], path.box, path.interval)[0]
        found.append(v[pairs[0]] - v[pairs[1]])
    return torch.cat(found)


def velocities(
    q: Float[Tensor, "frames nodes dim"],
    box: Float[Tensor, " dim"] | None,
    interval: float | Float[Tensor, "steps 1 1"],
) -> Float[Tensor, "steps nodes dim"]:
    """Those with which each frame is reached from the one before it."""
    return nearest_image(q.diff(dim=0), box) / interval
