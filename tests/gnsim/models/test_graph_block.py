"""Messages of an interaction network that have the direction of the edge they come along."""

import pytest
import torch

from gnsim.models.graph_block import GraphBlock, Motion
from gnsim.models.scales import Scales, Shape
from gnsim.state import State

#: two bodies on a slanted line, at rest or moving across it
LINE = torch.tensor([[0.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
ACROSS = torch.tensor([[0.8, -0.6], [-0.8, 0.6]], dtype=torch.float64)


def said(*, directed_alone: bool, speed: float) -> torch.Tensor:
    """What a block says of the first of the two, along the line and across it."""
    shape = Shape(2, 2, ())
    generator = torch.Generator().manual_seed(3)
    block = GraphBlock(shape, 8, 2, generator, motion=Motion.VELOCITIES, radial=True).double()
    if directed_alone:
        for parameter in block.node.parameters():
            torch.nn.init.zeros_(parameter)
    state = State(LINE, speed * ACROSS, torch.zeros(2, dtype=torch.long), {})
    with torch.no_grad():
        y = block(state, Scales(shape).double())[0]
    return y @ torch.stack([LINE[1], ACROSS[0]], 1)


@pytest.mark.parametrize("speed", [0.0, 0.5])
def test_pushes_have_the_direction_of_the_edge_and_of_the_motion(speed: float) -> None:
    along, across = said(directed_alone=True, speed=speed).abs().tolist()
    assert along > 1e-3
    assert (across > 1e-3) == (speed > 0)


def test_what_is_left_to_the_node_network_has_any_direction() -> None:
    along, across = said(directed_alone=False, speed=0.0).abs().tolist()
    assert min(along, across) > 1e-3
