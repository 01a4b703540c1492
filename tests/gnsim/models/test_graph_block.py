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


def test_walls_push_along_their_perpendicular_and_against_the_motion() -> None:
    shape = Shape(2, 1, (), walls=True)
    generator = torch.Generator().manual_seed(3)
    block = GraphBlock(shape, 8, 2, generator, motion=Motion.VELOCITIES, radial=True).double()
    for parameter in block.node.parameters():
        torch.nn.init.zeros_(parameter)
    floor = torch.tensor([[-torch.inf, 0.0], [torch.inf, torch.inf]], dtype=torch.float64)
    at, one = torch.tensor([[0.3, 0.4]], dtype=torch.float64), torch.zeros(1, dtype=torch.long)

    def said(sideways: float) -> list[float]:
        p = torch.tensor([[sideways, -0.5]], dtype=torch.float64)
        with torch.no_grad():
            y = block(State(at, p, one, {}, walls=floor), Scales(shape).double())[0]
        return y.tolist()

    assert said(0.0)[0] == 0 != said(0.0)[1]
    assert said(0.5)[0] * said(-0.5)[0] < 0


def test_what_has_no_velocity_or_not_an_output_for_each_axis_is_refused() -> None:
    for outputs, motion in ((1, Motion.VELOCITIES), (2, Motion.NONE)):
        with pytest.raises(ValueError, match="radial: wanted velocities and 2 outputs"):
            GraphBlock(Shape(2, 2, ()), 8, outputs, torch.Generator(), motion=motion, radial=True)
