"""What all learned simulators share: whom they are made for, and the scales of their data."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.models.scales import Scales, Shape
from gnsim.state import State, Trajectory

Errors = Float[Tensor, "kinds steps nodes dim"]
Change = tuple[Float[Tensor, "nodes dim"], Float[Tensor, "nodes dim"]]


class Learned(Dynamics):
    """A simulator whose `scales` are fitted to training data before its weights are.

    Args:
        shape: dimension, attributes and number of bodies of the training data.
        hidden: width of the layers.
        generator: what the weights are drawn from.
    """

    #: whether its layers keep the precision of the training when states are in double precision
    keeps_precision: ClassVar[bool] = False

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.shape, self.hidden = shape, hidden
        self.scales = Scales(shape)

    def fit_scales(self, path: Trajectory, step: float) -> None:
        """Takes all sizes from `path`; `step` is the time that a step of the training takes."""
        self.scales.fit(path, step)

    def judged(self, errors: Errors, path: Trajectory) -> Float[Tensor, "some steps nodes dim"]:
        """What is learned from, of the errors of windows along `path`: all, if not said."""
        return errors


def held(state: State, of_q: Tensor, of_p: Tensor, time: float | Tensor = 1.0) -> Change:
    """Changes over a `time` (or rates), but those that are `fixed` keep their velocity."""
    fixed = is_fixed(state)
    if fixed is None:
        return of_q, of_p
    return torch.where(fixed, time * state.velocity, of_q), torch.where(fixed, 0.0, of_p)


def is_fixed(states: State | Trajectory) -> Bool[Tensor, "nodes 1"] | None:
    """Which bodies are held or driven, and answer no force; None where nothing says so."""
    if "fixed" not in states.attributes:
        return None
    return ~states.free[:, None]
