"""Learned simulators: the symmetries that each claims, with models that break them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from gnsim.dynamics import Hamiltonian, Jump
from gnsim.graph import displacement, nearest_image
from gnsim.integrators import INTEGRATORS, Integrator, Jumps
from gnsim.invariants import momentum
from gnsim.models.graph_block import GraphBlock, Motion
from gnsim.models.hogn import HOGN
from gnsim.models.learned import Learned
from gnsim.models.scales import Scales, Shape
from gnsim.models.simulators import SIMULATORS
from gnsim.prediction import predict
from gnsim.simulator import Simulator
from gnsim.state import State, Trajectory
from gnsim.testing import symplectic_defect

ROUNDING = 1e-12
BODIES, DIM, HIDDEN, DT = 4, 2, 8, 0.1
SHAPE = Shape(DIM, BODIES, ("charge", "mass"))
WIND = torch.tensor([1.5, -0.5], dtype=torch.float64)

#: gns, which sees a past, has tests of its own
NAMES = [name for name in SIMULATORS if name != "gns"]
GRAPHS = [name for name in NAMES if name != "mlp"]
HAMILTONIANS = ["hogn", "hogn-separable"]
graphs = pytest.mark.parametrize("name", GRAPHS)


def bodies(systems: int = 1, seed: int = 0) -> State:
    random = torch.Generator().manual_seed(seed)
    nodes = systems * BODIES
    q, v = (torch.randn(nodes, DIM, generator=random, dtype=torch.float64) for _ in range(2))
    mass, charge = torch.randn(2, nodes, generator=random, dtype=torch.float64)
    mass = mass.exp()
    batch = torch.arange(systems).repeat_interleave(BODIES)
    return State(q, v * mass[:, None], batch, {"mass": mass, "charge": charge})


def along(state: State) -> Trajectory:
    """Three frames with a force on each body, and scales that are not one."""
    q = torch.stack([state.q, 2 * state.q, 3 * state.q])
    p = torch.stack([state.p, 1.5 * state.p, state.p])
    t = torch.arange(3, dtype=torch.float64) * DT
    return Trajectory(t, q, p, state.batch, state.attributes)


def made(name: str, kind: type[Learned] | None = None) -> Learned:
    generator = torch.Generator().manual_seed(1)
    model = (kind or SIMULATORS[name])(SHAPE, HIDDEN, generator).double()
    model.fit_scales(along(bodies(3)), DT)
    return model


def integrator(model: Learned) -> Integrator:
    return Jumps() if isinstance(model, Jump) else INTEGRATORS["rk4"]()


def after(model: Learned, state: State) -> State:
    return integrator(model).step(model, state, DT)


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() < ROUNDING * (1 + b.abs().max()))


def taken(state: State, order: torch.Tensor) -> State:
    attributes = {name: values[order] for name, values in state.attributes.items()}
    return State(state.q[order], state.p[order], state.batch, attributes)


def renumbered(model: Learned) -> bool:
    """Whether bodies may be renumbered."""
    state, order = bodies(), torch.tensor([2, 0, 3, 1])
    found, expected = after(model, taken(state, order)), after(model, state)
    return near(found.q, expected.q[order]) and near(found.p, expected.p[order])


def moved_along(model: Learned) -> bool:
    """Whether a step of shifted bodies is the shifted step."""
    state = bodies()
    found, expected = after(model, state.moved(state.q + WIND, state.p)), after(model, state)
    return near(found.q, expected.q + WIND) and near(found.p, expected.p)


def carried_along(model: Learned) -> bool:
    """Whether a step of bodies in a wind is that without, carried along by it."""
    state = bodies()
    push = WIND * state.mass[:, None]
    found, expected = after(model, state.moved(state.q, state.p + push)), after(model, state)
    return near(found.q, expected.q + DT * WIND) and near(found.p, expected.p + push)


SYMMETRIES = (renumbered, moved_along, carried_along)


@graphs
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_graphs_have_the_symmetries_that_they_claim(
    name: str, symmetry: Callable[[Learned], bool]
) -> None:
    assert symmetry(made(name))


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_perceptron_of_the_whole_state_has_none(symmetry: Callable[[Learned], bool]) -> None:
    assert not symmetry(made("mlp"))


class Pinned(HOGN):
    """Broken on purpose: the origin is special, and so are rest and the first body."""

    def energy(self, state: State) -> torch.Tensor:
        first = state.p[:1].square().sum() + state.q[:1].square().sum()
        return super().energy(state) + 1e-6 * first


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_small_breach_is_seen(symmetry: Callable[[Learned], bool]) -> None:
    assert not symmetry(made("hogn", Pinned))


def drift_of_momentum(model: Learned) -> float:
    state = bodies(2)
    return float((momentum(after(model, state)) - momentum(state)).detach().abs().max())


@pytest.mark.parametrize("name", HAMILTONIANS)
def test_hamiltonians_keep_the_total_momentum(name: str) -> None:
    assert drift_of_momentum(made(name)) < ROUNDING


@pytest.mark.parametrize("name", ["ogn", "delta", "mlp"])
def test_nothing_else_does(name: str) -> None:
    assert drift_of_momentum(made(name)) > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_systems_of_a_batch_do_not_see_each_other(name: str) -> None:
    model, both = made(name), bodies(2)
    alone = [after(model, both.systems(torch.tensor([k]))) for k in range(2)]
    together = after(model, both)
    assert near(together.q, torch.cat([s.q for s in alone]))
    q = both.q.clone().requires_grad_()
    first = after(model, both.moved(q, both.p)).p[:BODIES]
    (gradient,) = torch.autograd.grad(first.sum(), q)
    assert gradient[BODIES:].abs().max() == 0
    joined = (
        after(model, replace(both, batch=torch.zeros_like(both.batch))) if name in GRAPHS else 0
    )
    assert name == "mlp" or not near(joined.q, together.q)


@graphs
def test_graphs_run_for_other_numbers_of_bodies(name: str) -> None:
    state = bodies(3)
    mixed = replace(state, batch=torch.tensor([0] * 2 + [1] * 4 + [2] * 6))
    assert torch.isfinite(after(made(name), mixed).q).all()


def test_a_perceptron_says_what_it_was_made_for() -> None:
    state = bodies()
    with pytest.raises(ValueError, match="systems of 4 bodies, found one of 2"):
        made("mlp").vector_field(replace(state, batch=torch.tensor([0, 0, 1, 1])))


@pytest.mark.parametrize("name", HAMILTONIANS)
def test_hamiltonians_are_differentiated_twice(name: str) -> None:
    model, state = made(name), bodies()

    def rates(q: torch.Tensor, p: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return model.vector_field(state.moved(q, p))

    inputs = (state.q.clone().requires_grad_(), state.p.clone().requires_grad_())
    assert torch.autograd.gradcheck(rates, inputs)


def test_symplectic_is_what_is_called_so() -> None:
    general, separable, state = made("hogn"), made("hogn-separable"), bodies()
    midpoint, leapfrog = INTEGRATORS["implicit_midpoint"](), INTEGRATORS["leapfrog"]()
    assert symplectic_defect(lambda s: midpoint.step(general, s, DT), state) < ROUNDING
    assert symplectic_defect(lambda s: leapfrog.step(separable, s, DT), state) < ROUNDING
    assert symplectic_defect(lambda s: after(made("ogn"), s), state) > 1e-4
    with pytest.raises(ValueError, match="needs a separable Hamiltonian"):
        Simulator(general, leapfrog)


class SeesVelocities(HOGN):
    """Its block sees velocities, which momenta make large where a body is light."""

    def __init__(self, shape: Shape, hidden: int, generator: torch.Generator) -> None:
        super().__init__(shape, hidden, generator)
        self.block = GraphBlock(shape, hidden, 1, generator, bias=False)


def test_velocities_of_light_bodies_have_the_size_of_the_data() -> None:
    """Before any training, dH/dp is no hundred times off: also beside heavy bodies."""
    state = bodies(20)
    mass = torch.where(torch.arange(state.num_nodes) % 2 == 0, 1e-6, 1.0).double()
    state = replace(
        state, p=state.velocity * mass[:, None], attributes=state.attributes | {"mass": mass}
    )

    def largest(kind: type[Learned]) -> float:
        model = made("hogn", kind)
        return float((model.vector_field(state)[0].detach() / model.scales.velocity).abs().max())

    assert 0.01 < largest(HOGN) < 100 < largest(SeesVelocities)


def test_jumps_and_right_hand_sides_are_not_mixed_up() -> None:
    delta, ogn, state = made("delta"), made("ogn"), bodies()
    for kind in INTEGRATORS.values():
        with pytest.raises(ValueError, match="DeltaGN jumps"):
            Simulator(delta, kind())
    with pytest.raises(
        ValueError, match="no right-hand side to integrate; use the integrator jumps"
    ):
        INTEGRATORS["rk4"]().step(delta, state, DT)
    with pytest.raises(ValueError, match="OGN has a right-hand side"):
        Simulator(ogn, Jumps())


def test_a_jump_runs_in_the_simulator_and_knows_its_step() -> None:
    model, state = made("delta"), bodies()
    times = torch.tensor([0.0, DT, 2 * DT], dtype=torch.float64)
    path = Simulator(model, Jumps()).rollout(state, times)
    assert near(path.q[2], after(model, after(model, state)).q.detach())
    halves = predict(model, Jumps(), path.frames(slice(2)), 2)[0]
    assert not near(halves[0].detach(), path.q[1])


def test_scales_are_those_of_the_data_and_are_kept() -> None:
    path, scales = along(bodies(3)), made("ogn").scales
    d = torch.stack([displacement(q, path[0].pairs) for q in path.q])
    assert float(scales.length) == pytest.approx(float(d.square().mean().sqrt()))
    mass = path.attributes["mass"].log()
    assert float(scales.mean[1]) == pytest.approx(float(mass.mean()))
    assert set(Scales(SHAPE).state_dict()) == set(scales.state_dict())
    assert "scales.length" in made("hogn").state_dict()


#: sizes of the units of length, time, mass and charge
UNITS = {
    "length": (1e-3, 1.0, 1.0, 1.0),
    "time": (1.0, 1e3, 1.0, 1.0),
    "mass": (1.0, 1.0, 1e6, 1.0),
    "charge": (1.0, 1.0, 1.0, 1.6e-19),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", UNITS)
def test_data_in_other_units_give_the_same_motion(name: str, unit: str) -> None:
    """A network fitted to numbers that are others says the same of them."""
    length, time, mass, charge = UNITS[unit]

    def told(q: torch.Tensor, p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return length * q, mass * length / time * p

    def attributes(of: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"mass": mass * of["mass"], "charge": charge * of["charge"]}

    model, state, path = made(name), bodies(), along(bodies(3))
    other = SIMULATORS[name](SHAPE, HIDDEN, torch.Generator().manual_seed(1)).double()
    q, p = told(path.q, path.p)
    numbers = replace(path, t=time * path.t, q=q, p=p, attributes=attributes(path.attributes))
    other.fit_scales(numbers, time * DT)
    q, p = told(state.q, state.p)
    begin = replace(state, q=q, p=p, attributes=attributes(state.attributes))
    found = integrator(other).step(other, begin, time * DT)
    expected = after(model, state)
    q, p = told(expected.q, expected.p)
    assert (found.q - q).abs().max() < 1e-9 * q.abs().max()
    assert (found.p - p).abs().max() < 1e-9 * p.abs().max()
    wrong = replace(begin, p=2 * begin.p)
    assert (integrator(other).step(other, wrong, time * DT).q - q).abs().max() > 1e-5 * length


@graphs
def test_a_step_through_the_edge_of_a_periodic_box_is_as_any_other(name: str) -> None:
    box, shift = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.tensor([1.3, 2.9])
    path = replace(along(bodies(3)), box=box)
    wrapped = replace(path, q=(path.q + shift) % box)
    inside, across = made(name), made(name)
    inside.fit_scales(path, DT)
    across.fit_scales(wrapped, DT)
    assert near(across.scales.length, inside.scales.length)
    state = replace(bodies(), box=box)
    expected = after(inside, state)
    begin = replace(state, q=(state.q + shift) % box)
    found = after(across, begin)
    assert near(nearest_image(found.q - shift - expected.q, box), torch.zeros(()).double())
    assert near(found.p, expected.p)
    # without the box the same numbers are another system
    other = after(across, replace(begin, box=None))
    assert not near(other.p, expected.p)


def test_systems_far_apart_and_not_joined_do_not_see_each_other() -> None:
    """Energies add up where they are V of positions alone; that of HOGN has a common centre."""
    both, (left, right) = bodies(2), (torch.tensor([0]), torch.tensor([1]))
    chain = torch.stack([torch.arange(1, BODIES), torch.arange(BODIES - 1)])
    bonds = torch.cat([chain, chain + BODIES], 1)
    one = replace(both, batch=torch.zeros_like(both.batch), bonds=bonds)
    alone = replace(both, bonds=chain)
    off = {}
    for name in HAMILTONIANS:
        model = made(name)
        assert isinstance(model, Hamiltonian)
        parts = model.energy(alone.systems(left)) + model.energy(alone.systems(right))
        off[name] = float((model.energy(one) - parts).abs().detach())
    assert off["hogn-separable"] < ROUNDING < 1e-3 < off["hogn"]


def test_messages_see_no_velocities_where_none_are_wanted() -> None:
    block = GraphBlock(SHAPE, HIDDEN, 1, torch.Generator(), motion=Motion.NONE).double()
    state, scales = bodies(), made("ogn").scales
    assert torch.equal(block(state, scales), block(state.moved(state.q, 2 * state.p), scales))


def test_each_system_of_a_batch_has_its_own_energy() -> None:
    model, both = made("hogn"), bodies(2)
    assert isinstance(model, Hamiltonian)
    alone = torch.cat([model.energy(both.systems(torch.tensor([k]))) for k in range(2)])
    assert near(model.energy(both), alone)
