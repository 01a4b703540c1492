"""Simulators with a connectivity radius: who sees whom, and that nothing jumps where it ends."""

from dataclasses import replace

import pytest
import torch

from gnsim.dynamics import Hamiltonian, Jump
from gnsim.integrators import Jumps, Leapfrog
from gnsim.models import graph_block
from gnsim.models.learned import Learned
from gnsim.models.scales import Shape
from gnsim.models.simulators import SIMULATORS
from gnsim.state import State, Trajectory

RADIUS = 1.0
#: gns, whose messages do not fade, has tests of its own
GRAPHS = [name for name in SIMULATORS if name not in ("mlp", "gns")]
graphs = pytest.mark.parametrize("name", GRAPHS)


def chain(gap: float) -> State:
    """Three bodies at rest in a line, the third `gap` from the second; more would not be told."""
    q = torch.tensor([[0.0, 0.0], [0.7, 0.0], [0.7 + gap, 0.0]], dtype=torch.float64)
    return State(q, torch.zeros_like(q), torch.zeros(3, dtype=torch.long))


def made(name: str, radius: float | None = RADIUS) -> Learned:
    shape = Shape(2, 3, (), radius)
    model = SIMULATORS[name](shape, 8, torch.Generator().manual_seed(1)).double()
    state = chain(0.7)
    t = torch.arange(2, dtype=torch.float64)
    path = Trajectory(
        t, torch.stack([state.q, 2 * state.q]), torch.stack([state.p, state.q]), state.batch
    )
    model.fit_scales(path, 0.1)
    return model


def gain(model: Learned, state: State) -> torch.Tensor:
    """The rates of momenta, or their change in a step."""
    if isinstance(model, Jump):
        return Jumps().step(model, state, 0.1).p.detach()
    return model.vector_field(state)[1].detach()


def seen(model: Learned, one: State, other: State) -> float:
    """How differently the first two bodies move in two states, over what a body nearby does."""
    near, far = gain(model, chain(0.3)), gain(model, chain(9.0))
    change = gain(model, one) - gain(model, other)
    return float(change[:2].abs().max() / (near - far)[:2].abs().max())


@graphs
def test_bodies_beyond_the_radius_are_not_seen(name: str) -> None:
    near, far = chain(1.5), chain(2.5)
    assert seen(made(name), near, far) == 0.0
    assert seen(made(name), chain(0.5), far) > 0.1
    assert seen(made(name, None), near, far) > 0.01


def jump(model: Learned, width: float) -> float:
    """What changes where a body comes into sight."""
    return seen(model, chain(RADIUS - width), chain(RADIUS + width))


@graphs
def test_nothing_jumps_where_a_body_comes_into_sight(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(name)
    assert jump(model, 1e-1) > 1e-6
    assert jump(model, 1e-6) < 1e-9
    monkeypatch.setattr(graph_block, "fading", lambda d, radius: torch.ones_like(d[:, :1]))
    assert jump(model, 1e-6) > 1e-2


def drift(model: Learned, dt: float) -> float:
    """Of its own energy while bodies come into sight and leave it, over what forces do to it."""
    assert isinstance(model, Hamiltonian)
    start = chain(1.2)
    start = start.moved(start.q, torch.tensor([[1.0, 0.2], [0.0, 0.0], [-1.5, 0.1]]).to(start.q))
    state, energies = start, []
    for _ in range(round(2.0 / dt)):
        energies.append(float(model.energy(state).detach()))
        state = Leapfrog().step(model, state, dt)
    return max(energies) - min(energies)


def test_energy_is_kept_through_encounters_but_for_the_error_of_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = made("hogn-separable")
    assert drift(model, 0.02) / drift(model, 0.01) == pytest.approx(4, abs=0.6)
    monkeypatch.setattr(graph_block, "fading", lambda d, radius: torch.ones_like(d[:, :1]))
    assert drift(model, 0.02) / drift(model, 0.01) < 2


@graphs
def test_the_nearest_image_is_seen_through_the_side_of_a_box(name: str) -> None:
    model, box = made(name), torch.full((2,), 4.0, dtype=torch.float64)
    state = replace(chain(2.6), box=box)  # the first is .7 from the third, through the side
    shifted = replace(state, q=state.q + torch.tensor([1.0, 0.0]).to(state.q))
    torch.testing.assert_close(gain(model, shifted), gain(model, state), rtol=1e-9, atol=1e-12)
    assert seen(model, state, replace(state, box=None)) > 1e-3
