"""What all learned simulators share: whom they are made for, and the scales of their data."""

import torch

from gnsim.dynamics import Dynamics
from gnsim.models.scales import Scales, Shape


class Learned(Dynamics):
    """A simulator whose `scales` are fitted to training data before its weights are.

    Args:
        shape: dimension, attributes and number of bodies of the training data.
        hidden: width of the layers.
        generator: what the weights are drawn from.
    """

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.shape, self.hidden = shape, hidden
        self.scales = Scales(shape)
