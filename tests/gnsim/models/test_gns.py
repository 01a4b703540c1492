"""GNS moves particles on from their past: its symmetries, its step, and whom it sees."""

from dataclasses import replace

import pytest
import torch

from gnsim.graph import nearest_image
from gnsim.integrators import Jumps
from gnsim.models.gns import GNS
from gnsim.models.scales import Shape
from gnsim.state import State, Trajectory

DT, RADIUS, HISTORY, NODES = 0.05, 0.5, 2, 40
SHAPE = Shape(2, NODES, ("charge",), RADIUS, True, (5, 6), HISTORY, 2)
WIND = torch.tensor([0.75, -0.5], dtype=torch.float64)


def path(seed: int = 0) -> Trajectory:
    """Particles in a box that change their velocities a little from frame to frame."""
    random = torch.Generator().manual_seed(seed)
    kicks = torch.randn(6, NODES, 2, generator=random, dtype=torch.float64)
    start = 2 * torch.rand(NODES, 2, generator=random, dtype=torch.float64)
    q = start + DT * (0.3 * kicks[0] + 0.05 * kicks.cumsum(0)).cumsum(0)
    kinds = torch.tensor([5.0, 6.0], dtype=torch.float64).repeat(NODES // 2)
    charge = torch.randn(NODES, generator=random, dtype=torch.float64)
    return Trajectory(
        t=DT * torch.arange(6, dtype=torch.float64),
        q=q,
        p=torch.zeros_like(q),
        batch=torch.zeros(NODES, dtype=torch.long),
        attributes={"particle_type": kinds, "charge": charge},
        walls=torch.tensor([[0.0, 0.0], [2.0, torch.inf]], dtype=torch.float64),
    )


def made(shape: Shape = SHAPE) -> GNS:
    model = GNS(shape, 8, torch.Generator().manual_seed(1)).double()
    model.fit_scales(path(), DT)
    return model


def start(frame: int = 4) -> State:
    return path().with_past(frame, HISTORY)


def accelerations(model: GNS, state: State) -> torch.Tensor:
    return model.motion.acceleration(model.scaled_acceleration(state)).detach()


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() < 1e-10 * (1 + b.abs().max()))


def test_a_step_is_semi_implicit_and_remembers() -> None:
    model, state = made(), start()
    after = Jumps().step(model, state, DT)
    assert state.past is not None and after.past is not None
    v = (state.q - state.past[-1]) / DT + DT * accelerations(model, state)
    torch.testing.assert_close(after.q, state.q + DT * v)
    torch.testing.assert_close(after.p, v)
    explicit = state.q + (state.q - state.past[-1])
    assert not near(after.q, explicit)
    assert torch.equal(after.past, torch.stack([state.past[1], state.q]))


def test_momenta_of_the_state_are_not_read_and_those_of_it_have_masses() -> None:
    model, state = made(), start()
    heavy = state.with_attributes({"mass": torch.full((NODES,), 3.0, dtype=torch.float64)})
    one, other = (Jumps().step(model, s, DT) for s in (state, heavy.moved(state.q, state.q)))
    assert torch.equal(one.q, other.q)
    torch.testing.assert_close(other.p, 3 * one.p)


def test_particles_may_be_renumbered() -> None:
    model, state = made(), start()
    assert state.past is not None
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(2))
    attributes = {name: value[order] for name, value in state.attributes.items()}
    other = replace(state, q=state.q[order], past=state.past[:, order], attributes=attributes)
    assert near(accelerations(model, other), accelerations(model, state)[order])
    assert not near(
        accelerations(model, replace(other, attributes=state.attributes)),
        accelerations(model, state)[order],
    )


def shifted(state: State, walls: bool) -> State:
    assert state.past is not None and state.walls is not None
    moved = replace(state, q=state.q + WIND, past=state.past + WIND)
    return replace(moved, walls=state.walls + WIND) if walls else moved


def test_everything_may_be_moved_along_but_not_without_the_walls() -> None:
    model, state = made(), start()
    expected = accelerations(model, state)
    assert near(accelerations(model, shifted(state, True)), expected)
    assert not near(accelerations(model, shifted(state, False)), expected)


def test_only_the_last_frames_and_those_within_reach_are_seen() -> None:
    """Two steps of message passing reach two edges far."""
    model, state = made(), start()
    expected = accelerations(model, state)
    longer = replace(state, past=path().q[:4])
    assert near(accelerations(model, longer), expected)
    changed = state.q.clone()
    changed[0] += 1e-3
    there = (accelerations(model, replace(state, q=changed)) - expected).abs().amax(1) > 0
    away = (state.q - state.q[0]).norm(dim=1)
    assert bool(there[away < RADIUS / 2].all())
    assert not bool(there[away > 2 * RADIUS + 1e-3].any())


def test_a_side_of_a_periodic_box_is_no_place() -> None:
    model = made(replace(SHAPE, walls=False))
    box = torch.tensor([2.5, 2.5], dtype=torch.float64)
    state = replace(start(), walls=None, box=box)
    assert state.past is not None
    wrapped = replace(state, q=(state.q + WIND) % box, past=(state.past + WIND) % box)
    assert near(accelerations(model, wrapped), accelerations(model, state))
    after, expected = (Jumps().step(model, s, DT).q for s in (wrapped, state))
    assert near(nearest_image(after - WIND - expected, box), torch.zeros(()).double())
    assert not near(accelerations(model, replace(wrapped, box=None)), accelerations(model, state))


def test_fixed_particles_keep_their_velocity() -> None:
    model, state = made(), start()
    assert state.past is not None
    fixed = torch.zeros(NODES, dtype=torch.float64)
    fixed[3] = 1.0
    held = replace(state, attributes={**state.attributes, "fixed": fixed})
    one, other = (Jumps().step(model, s, DT).q for s in (held, state))
    torch.testing.assert_close(one[3], 2 * state.q[3] - state.past[-1, 3])
    assert not near(other[3], one[3])
    assert near(torch.cat([one[:3], one[4:]]), torch.cat([other[:3], other[4:]]))


def test_layers_keep_their_precision_and_positions_theirs() -> None:
    model = GNS(SHAPE, 8, torch.Generator().manual_seed(1))
    model.fit_scales(path(), DT)
    found = Jumps().step(model, start(), DT).q
    assert found.dtype == torch.float64
    exact = Jumps().step(made(), start(), DT).q
    assert 0 < float((found - exact).detach().abs().max()) < 1e-7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: replace(s, past=None), "past: wanted positions at 2 frames before, found 0"),
        (lambda s: replace(s, past=s.past[1:]), "found 1"),
        (lambda s: replace(s, walls=None), "walls: wanted those of the training"),
        (
            lambda s: s.with_attributes({"particle_type": torch.full((NODES,), 7.0)}),
            "particle_type: wanted those of the training, 5, 6, found 7",
        ),
    ],
)
def test_what_it_cannot_do_is_named(change, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Jumps().step(made(), change(start()), DT)


def test_it_knows_one_step() -> None:
    with pytest.raises(ValueError, match=r"dt: wanted the step of the training, 0\.05, found 0\.1"):
        Jumps().step(made(), start(), 2 * DT)


def test_scales_are_those_of_free_particles_in_units_of_the_data() -> None:
    motion = made().motion
    q = path().q
    v = q.diff(dim=0) / DT
    torch.testing.assert_close(motion.velocity_mean, v.mean((0, 1)))
    torch.testing.assert_close(motion.acceleration_spread, v.diff(dim=0).std((0, 1)) / DT)
    held = path()
    fixed = torch.zeros(NODES, dtype=torch.float64)
    fixed[: NODES // 2] = 1.0
    wild = held.q.clone()
    wild[:, : NODES // 2] *= 100
    model = made()
    some = replace(held, q=wild, attributes={**held.attributes, "fixed": fixed})
    model.fit_scales(some, DT)
    free = q[:, NODES // 2 :].diff(dim=0) / DT
    torch.testing.assert_close(model.motion.velocity_spread, free.std((0, 1)))


def test_what_drifts_evenly_along_an_axis_is_no_noise_to_be_learned() -> None:
    """Rounding is not blown up to the size of a motion."""
    drifting = path()
    drifting.q[:, :, 1] = drifting.q[:1, :, 1] + 1.7 * drifting.t[:, None]
    model = made()
    model.fit_scales(drifting, DT)
    motion = model.motion
    torch.testing.assert_close(motion.acceleration_spread[1], motion.acceleration_spread[0])
    rounding = drifting.q.diff(dim=0).diff(dim=0)[..., 1].abs().max() / DT**2
    assert float(rounding / motion.acceleration_spread[1]) < 1e-9


def test_a_batch_is_its_systems() -> None:
    model, both = made(), [path(0), path(1)]
    together = replace(
        both[0],
        q=torch.cat([p.q for p in both], 1),
        p=torch.cat([p.p for p in both], 1),
        batch=torch.arange(2).repeat_interleave(NODES),
        attributes={k: torch.cat([p.attributes[k] for p in both]) for k in both[0].attributes},
    )
    found = accelerations(model, together.with_past(4, HISTORY))
    alone = [accelerations(model, p.with_past(4, HISTORY)) for p in both]
    assert near(found, torch.cat(alone))
    assert not near(alone[0], alone[1])


class OfEdges(torch.nn.Module):
    """Says nothing of nodes, and the same two numbers of all edges."""

    dtype = torch.float64

    def __init__(self, along: float, with_motion: float) -> None:
        super().__init__()
        self.said = torch.tensor([along, with_motion], dtype=torch.float64)

    def forward(
        self, of_node: torch.Tensor, of_edge: torch.Tensor, _: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return of_node.new_zeros(len(of_node), 2), self.said.expand(len(of_edge), -1)


@pytest.mark.parametrize("with_motion", [False, True], ids=["pressure", "friction"])
def test_numbers_of_edges_pull_along_them_and_with_what_is_beside(with_motion: bool) -> None:
    model, state = made(), start()
    assert state.past is not None
    model.network = OfEdges(float(not with_motion), float(with_motion))
    d = state.q[None] - state.q[:, None]
    r = d.norm(dim=-1, keepdim=True)
    v = (state.q - state.past[-1]) / DT / model.motion.relative_spread
    push = v[None] - v[:, None] if with_motion else d / r
    spread = model.motion.acceleration_spread
    assert spread[0] != spread[1]
    expected = torch.where((r > 0) & (r < RADIUS), push, 0.0).sum(1)
    found = accelerations(model, state) - model.motion.acceleration_mean
    assert near(found, spread.square().mean().sqrt() * expected)
    assert not near(found, spread * expected)


def test_edges_see_the_motion_of_one_end_about_the_other() -> None:
    model, seen = made(), []
    model.network = Watching(seen)
    for turned in (False, True):
        state = start()
        assert state.past is not None
        v = state.q - state.past[-1]
        past = state.q - v.flip(1) if turned else state.past[-1]
        accelerations(model, replace(state, past=torch.cat([state.past[:-1], past[None]])))
    (d, u), (same, other) = ((e[:, :2], e[:, 3:5]) for e in seen)
    assert torch.equal(d, same)
    torch.testing.assert_close(u.flip(1), other)
    assert not near(u, other)


class Watching(torch.nn.Module):
    """Keeps what is said of edges."""

    dtype = torch.float64

    def __init__(self, seen: list[torch.Tensor]) -> None:
        super().__init__()
        self.seen = seen

    def forward(
        self, of_node: torch.Tensor, of_edge: torch.Tensor, _: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.seen.append(of_edge)
        return of_node.new_zeros(len(of_node), 2), of_edge.new_zeros(len(of_edge), 2)
