"""Forces on single bodies against exact motions, and what they do to energy and order."""

import math
from dataclasses import replace

import pytest
import torch

from gnsim.integrators import INTEGRATORS
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.pairwise import (
    Attributes,
    Driven,
    PairPotential,
    PairwiseHamiltonian,
    pairs_and_fields,
)
from gnsim.models.terms import KINDS, Field, Term, possible_terms
from gnsim.simulator import Simulator
from gnsim.state import State, Trajectory

ROUNDING = 1e-11
#: of a slope in log error over log step, as for every integrator
ORDER = 0.1


class Nothing(PairPotential):
    """No force between bodies."""

    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return torch.zeros_like(r)


class Springs(PairPotential):
    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return 2.0 * (r - 1.0)


def field(name: str, dim: int, *values: float) -> Field:
    return Field(Term.named(name, dim), torch.tensor(values, dtype=torch.float64))


def bodies(dim: int = 2) -> State:
    generator = torch.Generator().manual_seed(0)
    q, v = (torch.randn(3, dim, generator=generator, dtype=torch.float64) for _ in range(2))
    mass = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    charge = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    attributes = {"mass": mass, "charge": charge}
    return State(q, v * mass[:, None], torch.zeros(3, dtype=torch.long), attributes)


def with_fields(pair: PairPotential, *fields: Field) -> PairwiseHamiltonian | Driven:
    return pairs_and_fields(lambda static: PairwiseHamiltonian(pair, static), fields)


def moved(dynamics: PairwiseHamiltonian | Driven, state: State, time: float, steps: int) -> State:
    times = torch.tensor([0.0, time], dtype=torch.float64)
    return Simulator(dynamics, INTEGRATORS["kahan_li8"](), steps).rollout(state, times)[1]


def test_drag_alone_is_an_exponential() -> None:
    state = bodies()
    end = moved(with_fields(Nothing(), field("drag", 2, 0.7)), state, 1.3, 8)
    decay = torch.exp(-0.7 * 1.3 / state.mass)[:, None]
    assert (end.velocity - state.velocity * decay).abs().max() < ROUNDING
    linear = 1 - 0.7 * 1.3 / state.mass[:, None]
    assert (end.velocity - state.velocity * linear).abs().max() > 0.01


@pytest.mark.parametrize("name", ["friction", "dashpot"])
def test_friction_between_two_bodies_slows_their_relative_motion_alone(name: str) -> None:
    """An exponential of the reduced mass; the centre of mass goes on as if there were none."""
    q = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    v = torch.tensor([[0.3, 0.0], [-0.1, 0.0]], dtype=torch.float64)
    mass = torch.tensor([0.5, 2.0], dtype=torch.float64)
    state = State(q, v * mass[:, None], torch.zeros(2, dtype=torch.long), {"mass": mass})
    end = moved(with_fields(Nothing(), field(name, 2, 0.7)), state, 1.3, 8)
    decay = math.exp(-0.7 * 1.3 * float((1 / mass).sum()))
    relative = end.velocity[1] - end.velocity[0]
    assert (relative - decay * (v[1] - v[0])).abs().max() < ROUNDING
    assert (end.p.sum(0) - state.p.sum(0)).abs().max() < ROUNDING
    slowed = moved(with_fields(Nothing(), field("drag", 2, 0.7)), state, 1.3, 8)
    assert (slowed.p.sum(0) - state.p.sum(0)).abs().max() > 0.01


def test_a_dashpot_leaves_turning_alone_and_friction_does_not() -> None:
    state = bodies(3)
    spin = torch.tensor([0.2, -0.5, 0.7], dtype=torch.float64)
    turning = state.moved(
        state.q, torch.linalg.cross(spin.expand(3, 3), state.q) * state.mass[:, None]
    )
    assert field("dashpot", 3, 1.0).force(turning).abs().max() < ROUNDING
    assert field("friction", 3, 1.0).force(turning).abs().max() > 0.1
    assert field("dashpot", 3, 1.0).force(state).abs().max() > 0.1


@pytest.mark.parametrize("name", ["drag", "friction"])
@pytest.mark.parametrize("count", [2, 16])
def test_the_largest_coefficient_is_one_that_steps_resolve(name: str, count: int) -> None:
    """The fastest rate of the motion that it makes, times the step, is one."""
    q = torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ones = torch.ones(count, dtype=torch.float64)
    state = State(q, q, torch.zeros(count, dtype=torch.long), {"mass": ones})
    term, dt = Term(name, 2), 0.1

    def change(p: torch.Tensor) -> torch.Tensor:
        return term.force(state.moved(q, p)).squeeze(-1)

    slopes = torch.autograd.functional.jacobian(change, q).reshape(2 * count, 2 * count)
    fastest = float(torch.linalg.eigvals(slopes).abs().max())
    assert 0.6 <= term.resolvable(state, dt) * fastest * dt <= 1.0 + ROUNDING


def test_pair_terms_and_hidden_masses_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="term friction: wanted masses that are given"):
        Structure("source", (Term("friction", 2),))


def test_friction_is_between_bodies_that_are_bonded() -> None:
    state = bodies()
    bonded = replace(state, bonds=torch.tensor([[0], [1]]))
    force = field("friction", 2, 1.0).force(bonded)
    assert torch.allclose(force[0], state.velocity[1] - state.velocity[0])
    assert torch.allclose(force[1], -force[0])
    assert float(force[2].abs().max()) == 0.0


def test_charges_circle_in_a_magnetic_field() -> None:
    state = bodies()
    dynamics = with_fields(Nothing(), field("magnetic of charge", 2, 1.5))
    rate = state.attributes["charge"] * 1.5 / state.mass
    for node in range(3):
        period = 2 * math.pi / abs(float(rate[node]))
        end = moved(dynamics, state, period, 12)
        assert (end.q[node] - state.q[node]).abs().max() < 1e-6 * state.velocity[node].norm()
        half = moved(dynamics, state, period / 2, 6)
        assert (half.velocity[node] + state.velocity[node]).abs().max() < ROUNDING


def test_the_lorentz_force_is_that_of_the_cross_product() -> None:
    state = bodies(3)
    b = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)
    force = field("magnetic", 3, *b.tolist()).force(state)
    assert torch.allclose(force, torch.linalg.cross(state.velocity, b.expand(3, 3)))
    plane = bodies(2)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    lifted = torch.cat([plane.velocity, torch.zeros(3, 1, dtype=torch.float64)], 1)
    expected = torch.linalg.cross(lifted, up.expand(3, 3))[:, :2]
    assert torch.allclose(field("magnetic", 2, 1.0).force(plane), expected)


@pytest.mark.parametrize("name", [n for n, kind in KINDS.items() if not kind.of_velocity])
def test_static_forces_are_minus_the_gradient_of_their_potential(name: str) -> None:
    state = bodies(3)
    term = Term(name, 3, "mass")
    some = Field(term, torch.arange(1.0, 1 + len(term.symbols), dtype=torch.float64))
    q = state.q.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(some.potential(state.moved(q, state.p)).sum(), q)
    assert torch.allclose(some.force(state), -gradient)
    assert not torch.allclose(some.force(state), gradient)


def test_the_energy_changes_by_the_work_of_the_fields() -> None:
    state = bodies()
    dynamics = with_fields(Springs(), field("drag", 2, 0.4), field("magnetic", 2, 1.0))
    assert isinstance(dynamics, Driven)
    times = torch.linspace(0, 1, 101, dtype=torch.float64)
    path = Simulator(dynamics, INTEGRATORS["yoshida4"](), 1).rollout(state, times)
    energy = torch.stack([dynamics.energy(s) for s in path]).squeeze(1)
    power = torch.stack([dynamics.power(s) for s in path]).squeeze(1)
    work = torch.cumulative_trapezoid(power, times)
    assert (energy[1:] - energy[0] - work).abs().max() < 1e-3
    assert float(work[-1]) < -0.1
    magnetic = with_fields(Springs(), field("magnetic", 2, 1.0))
    assert isinstance(magnetic, Driven)
    assert magnetic.power(state).abs().max() < ROUNDING


@pytest.mark.parametrize("name", ["leapfrog", "yoshida4"])
def test_compositions_keep_their_order_with_velocity_forces(name: str) -> None:
    state, kind = bodies(), INTEGRATORS[name]
    fields = (field("drag", 2, 0.5), field("magnetic of charge", 2, 0.8), field("trap", 2, 1.0))
    dynamics = with_fields(Springs(), *fields)
    exact = moved(dynamics, state, 1.0, 40)
    counts = torch.tensor([16, 24, 32, 48])
    errors = []
    for steps in counts.tolist():
        times = torch.tensor([0.0, 1.0], dtype=torch.float64)
        end = Simulator(dynamics, kind(), steps).rollout(state, times)[1]
        errors.append(float((end.q - exact.q).abs().max()))
    log = -torch.log(counts.double())
    slope = torch.linalg.lstsq(
        torch.stack([log, torch.ones(4)], 1).double(), torch.tensor(errors).double().log()[:, None]
    ).solution[0]
    assert abs(float(slope) - kind.order) < 2 * ORDER


def test_a_kick_without_its_second_term_loses_the_order() -> None:
    state = bodies()
    dynamics = with_fields(Nothing(), field("drag", 2, 2.0))
    exact = state.p * torch.exp(-2.0 * 0.1 / state.mass)[:, None]
    kicked = dynamics.kick(state, 0.1).p
    plain = state.p + 0.1 * dynamics.force(state)
    assert (kicked - exact).abs().max() < ROUNDING
    assert (plain - exact).abs().max() > 1e-3


def test_terms_join_the_numbers_that_a_model_is_linear_in() -> None:
    state = bodies()
    terms = (Term("drag", 2), Term("magnetic", 2, "charge"), Term("uniform", 2, "mass"))
    model = CoupledPairs(Springs(), Structure("none", terms), 3).double()
    model.x = torch.tensor([1.0, 0.4, 0.8, 0.1, -0.3], dtype=torch.float64)
    acceleration = model.force(state) / state.mass[:, None]
    assert torch.allclose(model.basis(state) @ model.x, acceleration)
    fields = (
        field("drag", 2, 0.4),
        field("magnetic of charge", 2, 0.8),
        field("uniform of mass", 2, 0.1, -0.3),
    )
    assert torch.allclose(with_fields(Springs(), *fields).force(state), model.force(state))
    assert torch.allclose(model.canonical().force(state), model.force(state))


def test_accelerations_of_hidden_masses_become_forces() -> None:
    state = replace(bodies(), attributes={})
    model = CoupledPairs(Springs(), Structure("response", (Term("drag", 2),)), 3).double()
    model.x = torch.tensor([1.0, 0.5, 0.25, 0.3], dtype=torch.float64)
    canonical = model.canonical()
    full = canonical.attach(state)
    expected = model.force(state) / state.mass[:, None]
    assert torch.allclose(canonical.force(full) / full.mass[:, None], expected)


def test_possible_terms_are_those_that_data_can_have() -> None:
    state = bodies()
    path = Trajectory(
        torch.zeros(1).double(), state.q[None], state.p[None], state.batch, state.attributes
    )
    names = {term.name for term in possible_terms(path, hidden_masses=False)}
    assert {"drag", "drag of mass", "magnetic of charge", "trap", "uniform"} <= names
    assert {"friction", "dashpot"} == {name for name in names if KINDS[name.split()[0]].of_pairs}
    plain = {term.name for term in possible_terms(path, hidden_masses=True)}
    assert plain == {"drag", "uniform", "trap", "magnetic"}
    box = replace(path, box=torch.ones(2, dtype=torch.float64))
    assert "trap" not in {term.name for term in possible_terms(box, hidden_masses=True)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Term("viscosity", 2), "wanted one of drag"),
        (lambda: Term("magnetic", 1), "dimensions"),
        (lambda: Term("friction", 2, "mass"), "wanted no weight"),
        (lambda: Term("trap", 2, "species").force(bodies()), "attribute 'species'"),
        (lambda: Term("drag", 2).potential(bodies()), "depends on velocities"),
    ],
)
def test_what_no_term_can_be(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
