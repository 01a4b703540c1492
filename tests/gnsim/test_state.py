"""Slicing of trajectories, and what a state carries along."""

import pytest
import torch

from gnsim.state import State, Trajectory
from gnsim.testing import make_state


def trajectory() -> Trajectory:
    q = torch.arange(3 * 5 * 2, dtype=torch.float64).reshape(3, 5, 2)
    return Trajectory(
        t=torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64),
        q=q,
        p=-q,
        batch=torch.tensor([0, 0, 1, 1, 1]),
        attributes={"mass": torch.arange(1.0, 6.0, dtype=torch.float64)},
        names=("a", "b", "c", "d", "e"),
    )


def test_frames() -> None:
    part = trajectory().frames(slice(1, None))
    assert part.t.tolist() == [1.0, 2.0]
    assert torch.equal(part.q, trajectory().q[1:])
    assert part.names == trajectory().names


def test_index_is_a_state() -> None:
    state = trajectory()[-1]
    assert isinstance(state, State)
    assert torch.equal(state.q, trajectory().q[2])
    assert torch.equal(state.velocity, trajectory().velocity[2])


def test_systems_are_taken_in_the_order_asked_for() -> None:
    part = trajectory().systems(torch.tensor([1, 0]))
    assert part.names == ("c", "d", "e", "a", "b")
    assert part.batch.tolist() == [0, 0, 0, 1, 1]
    assert part.mass.tolist() == [3.0, 4.0, 5.0, 1.0, 2.0]
    assert torch.equal(part.q, trajectory().q[:, [2, 3, 4, 0, 1]])
    assert trajectory().systems(torch.tensor([1])).num_systems == 1


def test_new_mass_keeps_the_velocity() -> None:
    state = make_state([[0.0], [1.0]], [[2.0], [3.0]], mass=[1.0, 2.0])
    heavier = state.with_attributes({"mass": torch.tensor([10.0, 20.0], dtype=torch.float64)})
    assert torch.allclose(heavier.velocity, state.velocity)
    assert heavier.p.tolist() == [[20.0], [30.0]]


def test_mass_is_one_where_it_is_not_given() -> None:
    assert make_state([[0.0]], [[2.0]]).velocity.tolist() == [[2.0]]


def test_moved_leaves_the_old_state_alone() -> None:
    state = make_state([[0.0], [1.0]], [[2.0], [3.0]])
    pairs = state.pairs
    moved = state.moved(state.q + 1, state.p)
    assert moved.pairs is pairs
    assert state.q.tolist() == [[0.0], [1.0]]
    with pytest.raises(AttributeError):
        state.q = moved.q  # pyright: ignore[reportAttributeAccessIssue]


def test_a_state_with_its_past_goes_where_its_systems_go() -> None:
    path = trajectory()
    state = path.with_past(2, 2)
    assert state.past is not None
    assert torch.equal(state.past, path.q[:2])
    part = state.systems(torch.tensor([1]))
    assert part.past is not None
    assert torch.equal(part.past, path.q[:2, 2:])
    assert path[2].past is None
    for frame, earlier in ((1, 2), (2, -1)):
        with pytest.raises(ValueError, match="frames before it"):
            path.with_past(frame, earlier)
