"""The units in which a learned simulator works, taken from its training data."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnsim.graph import nearest_image
from gnsim.invariants import momentum, total
from gnsim.models.radial import feature
from gnsim.state import State, Trajectory


@dataclass(frozen=True)
class Shape:
    """What a learned simulator is made for: dimension, attributes that it reads, bodies a system.

    Graph models run for any number of bodies; it is that of the training data. Bodies further apart
    than the connectivity `radius` do not see each other; without one, all do. `walls` says whether
    there are any. `types` are the kinds of particles that there are. A model that remembers sees
    velocities of as many steps as `history`, one of several message-passing steps has `passes`.
    """

    dim: int
    bodies: int
    attributes: tuple[str, ...]
    radius: float | None = None
    walls: bool = False
    types: tuple[int, ...] = ()
    history: int = 0
    passes: int = 1


class Scales(nn.Module):
    """Sizes of what goes in and out, as buffers, so that networks see and give numbers near one.

    `length` of displacements, `velocity` about that of the centre of mass, `mass`, `force`, and the
    time `step` of the training; mean position; mean and spread of each attribute (of log mass).
    """

    origin: Tensor
    length: Tensor
    velocity: Tensor
    mass: Tensor
    force: Tensor
    step: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attributes, self.radius = shape.attributes, shape.radius
        self.register_buffer("origin", torch.zeros(shape.dim))
        for name in ("length", "velocity", "mass", "force", "step"):
            self.register_buffer(name, torch.ones(()))
        self.register_buffer("mean", torch.zeros(len(shape.attributes)))
        self.register_buffer("spread", torch.ones(len(shape.attributes)))

    @property
    def energy(self) -> Float[Tensor, ""]:
        """``m v^2``: then dH/dp has the size of a velocity."""
        return self.mass * self.velocity.square()

    def fit(self, path: Trajectory, step: float) -> None:
        """Takes all sizes from `path`; `step` is the time that a step of the training takes."""
        gain = path.p.diff(dim=0) / path.t.diff()[:, None, None]
        found = {
            "origin": path.q.mean((0, 1)),
            "length": self._length(path),
            "velocity": _size(relative_velocity(path)),
            "mass": path.mass.mean(),
            "force": _size(gain),
            "step": torch.tensor(step, dtype=torch.float64),
        }
        for name, value in found.items():
            getattr(self, name).copy_(value)
        for k, name in enumerate(self.attributes):
            values = feature(name, path.attributes[name])
            spread = values.std()
            self.mean[k], self.spread[k] = values.mean(), torch.where(spread > 0, spread, 1.0)

    def _length(self, path: Trajectory) -> Float[Tensor, ""]:
        """Of displacements between bodies that see each other."""
        if self.radius is not None:
            return torch.tensor(self.radius, dtype=torch.float64)
        source, target = path[0].pairs
        return _size(nearest_image(path.q[:, source] - path.q[:, target], path.box))

    def columns(
        self, state: State, nodes: Int[Tensor, " some"] | slice
    ) -> list[Float[Tensor, "some 1"]]:
        """Scaled attributes of the bodies `nodes`, each a column."""
        return [
            ((feature(name, state.attributes[name][nodes]) - self.mean[k]) / self.spread[k])[
                :, None
            ]
            for k, name in enumerate(self.attributes)
        ]


def mean_velocity(states: State | Trajectory) -> Float[Tensor, "*time nodes dim"]:
    """The velocity of the centre of mass of each body's own system."""
    mass = total(states, states.mass[:, None])
    return (momentum(states) / mass)[..., states.batch, :]


def relative_velocity(states: State | Trajectory) -> Float[Tensor, "*time nodes dim"]:
    """The velocity of each body about the centre of mass of its system."""
    return states.velocity - mean_velocity(states)


def _size(values: Tensor) -> Float[Tensor, ""]:
    """Root mean square; one where all are zero."""
    size = values.square().mean().sqrt()
    return torch.where(size > 0, size, 1.0)
