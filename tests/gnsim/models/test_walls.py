"""Walls are bodies that stand still, and bodies that are fixed answer no force."""

from dataclasses import replace

import pytest
import torch

from gnsim.dynamics import Hamiltonian, Jump
from gnsim.graph import to_walls
from gnsim.integrators import RK4, Integrator, Jumps, Leapfrog
from gnsim.models.learned import Learned
from gnsim.models.scales import Shape
from gnsim.models.simulators import SIMULATORS
from gnsim.state import State, Trajectory

RADIUS, DT, BODIES = 1.0, 0.1, 3
#: gns, which sees walls in its own way, has tests of its own
NAMES = [name for name in SIMULATORS if name != "gns"]
graphs = pytest.mark.parametrize("name", [name for name in NAMES if name != "mlp"])
WIND = torch.tensor([0.75, -0.5], dtype=torch.float64)


def room(side: float = 3.0) -> State:
    """Two bodies near the lower walls, one away from all walls but, in a small room, the upper."""
    q = torch.tensor([[0.3, 0.5], [0.8, 1.1], [1.5, 1.6]], dtype=torch.float64)
    p = torch.tensor([[-0.3, 0.1], [0.2, -0.4], [0.1, 0.2]], dtype=torch.float64)
    walls = torch.tensor([[0.0, 0.0], [side, side]], dtype=torch.float64)
    charge = torch.tensor([0.5, -1.0, 0.7], dtype=torch.float64)
    return State(q, p, torch.zeros(BODIES, dtype=torch.long), {"charge": charge}, walls=walls)


def made(name: str, radius: float | None = RADIUS) -> Learned:
    shape = Shape(2, BODIES, ("charge",), radius, walls=True)
    model = SIMULATORS[name](shape, 8, torch.Generator().manual_seed(1)).double()
    state = room()
    t = DT * torch.arange(2, dtype=torch.float64)
    frames = torch.stack([state.q, 1.1 * state.q]), torch.stack([state.p, 1.5 * state.p])
    model.fit_scales(Trajectory(t, *frames, state.batch, state.attributes), DT)
    return model


def integrator(model: Learned) -> Integrator:
    return Jumps() if isinstance(model, Jump) else RK4()


def gain(model: Learned, state: State) -> torch.Tensor:
    return (integrator(model).step(model, state, DT).p - state.p).detach()


def test_the_way_to_a_wall_is_straight_and_infinite_walls_are_none() -> None:
    walls = torch.tensor([[0.0, -torch.inf], [3.0, 2.0]], dtype=torch.float64)
    found = to_walls(room().q, walls)
    assert found[0].tolist() == [[-0.3, 0.0], [2.7, 0.0], [0.0, 1.5]]


@graphs
def test_rooms_may_be_moved_but_not_without_their_walls(name: str) -> None:
    model, state = made(name), room()
    assert state.walls is not None
    moved = state.moved(state.q + WIND, state.p)
    expected = gain(model, state)
    along = gain(model, replace(moved, walls=state.walls + WIND))
    assert float((along - expected).abs().max()) < 1e-12
    assert float((gain(model, moved) - expected).abs().max()) > 1e-6


@graphs
def test_walls_beyond_the_radius_are_not_seen(name: str) -> None:
    near, far, further = (gain(made(name), room(side)) for side in (2.0, 3.0, 4.0))
    assert torch.equal(far, further)
    # the upper walls are in sight of the last body alone, which is in sight of the second
    assert float((near - far)[1:].abs().max()) > 1e-6
    everywhere = [gain(made(name, None), room(side)) for side in (3.0, 4.0)]
    assert not torch.equal(*everywhere)


@graphs
def test_a_wall_is_no_body_that_stands_there(name: str) -> None:
    """And a body knows on which side of it a wall is."""
    model = made(name)
    one = State(
        torch.tensor([[0.4, 5.0]], dtype=torch.float64),
        torch.zeros(1, 2, dtype=torch.float64),
        torch.zeros(1, dtype=torch.long),
        {"charge": torch.zeros(1, dtype=torch.float64)},
    )
    sides = [[[0.0, -torch.inf], [torch.inf] * 2], [[-torch.inf] * 2, [0.8, torch.inf]]]
    left, right = (
        gain(model, replace(one, walls=torch.tensor(side, dtype=torch.float64))) for side in sides
    )
    both = replace(
        one,
        q=torch.tensor([[0.4, 5.0], [0.0, 5.0]], dtype=torch.float64),
        p=torch.zeros(2, 2, dtype=torch.float64),
        batch=torch.zeros(2, dtype=torch.long),
        attributes={"charge": torch.full((2,), float(model.scales.mean), dtype=torch.float64)},
        walls=torch.tensor([[-torch.inf] * 2, [torch.inf] * 2], dtype=torch.float64),
    )
    assert float((left - right).abs().max()) > 1e-9
    # one of many inputs of a network that is not trained, but far beyond rounding
    assert float((gain(model, both)[0] - left[0]).abs().max()) > 1e-9


@graphs
def test_a_simulator_of_rooms_asks_for_walls(name: str) -> None:
    with pytest.raises(ValueError, match="walls: wanted those of the training"):
        gain(made(name), replace(room(), walls=None))


def energy_drift(model: Learned, dt: float) -> float:
    assert isinstance(model, Hamiltonian)
    state, energies = room(), []
    for _ in range(round(0.8 / dt)):
        energies.append(float(model.energy(state).detach()))
        state = Leapfrog().step(model, state, dt)
    return max(energies) - min(energies)


def test_walls_keep_energy_but_for_the_error_of_steps() -> None:
    model = made("hogn-separable")
    ratio = energy_drift(model, 0.02) / energy_drift(model, 0.01)
    assert ratio == pytest.approx(4, abs=0.6)


@pytest.mark.parametrize("name", NAMES)
def test_fixed_bodies_keep_their_velocity(name: str) -> None:
    model = made(name)
    fixed = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    state = replace(room(), attributes={**room().attributes, "fixed": fixed})
    after, free = (integrator(model).step(model, s, DT) for s in (state, room()))
    torch.testing.assert_close(after.q[1], state.q[1] + DT * state.velocity[1])
    assert torch.equal(after.p[1], state.p[1])
    assert not torch.allclose(free.p[1], state.p[1])
    if name == "hogn-separable":
        kicked = Leapfrog().step(model, state, DT)
        assert torch.equal(kicked.p[1], state.p[1])
        assert not torch.equal(kicked.p[0], state.p[0])
