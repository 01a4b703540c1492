"""True laws: closed forms agree, energy and momentum are kept, samplers are as they say."""

import numpy as np
import pytest
import torch

from gnsim.datasets import SOURCES, SYSTEMS, dynamics, hamiltonian, load, simulate
from gnsim.datasets.systems.samplers import lattice
from gnsim.datasets.systems.simulation import initial_state
from gnsim.datasets.systems.truth import integrate
from gnsim.invariants import angular_momentum, momentum

QUICK = {"trajectories": 4, "bodies": 3, "frames": 12}
#: what of V and dV/dr is lost to rounding where V is large
ROUNDING = 1e-12
#: of difference quotients over 1e-5 (Lennard-Jones is steep), by the largest force
QUOTIENT = 1e-6
CONSERVED = 1e-9
#: what is not kept where something else acts, by default settings
MOVED = 1e-2
RADII = np.linspace(0.3, 3, 50)
ATTRIBUTES = {"mass_i": 1.7, "mass_j": 0.4, "charge_i": -1.0, "charge_j": 1.0}
#: systems in which something acts from outside
OUTSIDE = {"damped", "magnetic", "external"}


@pytest.fixture(params=sorted(SYSTEMS))
def name(request):
    return request.param


def piecewise(*branches):
    values = [np.broadcast_to(value, RADII.shape) for value, _ in branches]
    return np.select([np.broadcast_to(holds, RADII.shape) for _, holds in branches], values)


def evaluated(law, constants):
    known = {"__builtins__": {}, "exp": np.exp, "Piecewise": piecewise}
    return eval(law, known, {"r": RADII, **ATTRIBUTES, **constants})


def of_pairs(name, r):
    """V and dV/dr of the true potential for `ATTRIBUTES`."""
    source, target = (
        {a: torch.full_like(r, ATTRIBUTES[f"{a}_{side}"]).detach() for a in ("mass", "charge")}
        for side in "ij"
    )
    pair = hamiltonian(name).pair
    return pair.energy(r, source, target), pair.force(r, source, target)


def test_force_is_the_derivative_of_the_energy_and_the_law(name):
    r = torch.from_numpy(RADII).requires_grad_()
    energy, force = of_pairs(name, r)
    (slope,) = torch.autograd.grad(energy.sum(), r)
    force = force.detach()
    scale = float(force.abs().max())
    torch.testing.assert_close(force, slope, rtol=ROUNDING, atol=ROUNDING * scale)
    system = SYSTEMS[name]
    settings = system.settings()
    written = evaluated(system.law(settings), system.constants(settings))
    np.testing.assert_allclose(written, force.numpy(), rtol=ROUNDING, atol=ROUNDING * scale)
    assert np.abs(1.01 * written - force.numpy()).max() > ROUNDING * scale


def test_energy_has_no_jump(name):
    """The published energy of the discontinuous law has one, by which motion does not go."""
    r = torch.linspace(0.5, 3, 20_001, dtype=torch.float64)
    energy, force = of_pairs(name, r)
    assert (energy.diff().abs() <= 1.01 * force.abs().max() * r.diff().max()).all()
    published = torch.where(r < 1.99, 0.0, (r - 0.99).square())
    assert published.diff().abs().max() > 0.9


def quotient(true, state, step=1e-5):
    """Minus the central differences of the energy of each body's coordinates."""
    force = torch.zeros_like(state.q)
    for body, axis in np.ndindex(*state.q.shape):
        moved = torch.zeros_like(state.q)
        moved[body, axis] = step
        up, down = (true.energy(state.moved(state.q + s * moved, state.p)) for s in (1, -1))
        force[body, axis] = (down - up).sum() / (2 * step)
    return force


@pytest.mark.parametrize("dim", [2, 3])
def test_force_is_minus_the_gradient_in_space(name, dim):
    state = simulate(name, **{**QUICK, "trajectories": 1}, dim=dim)[3]
    true = hamiltonian(name, dim=dim)
    force = true.force(state)
    error = (quotient(true, state) - force).abs().max() / force.abs().max()
    assert error < QUOTIENT
    wrong = hamiltonian("spring" if name not in ("spring", "damped") else "r1", dim=dim)
    assert (wrong.force(state) - force).abs().max() / force.abs().max() > 1e3 * QUOTIENT


def test_law_and_terms_follow_the_settings():
    def written(name, **settings):
        return SYSTEMS[name].law(SYSTEMS[name].settings(**settings))

    def terms(name, **settings):
        return SYSTEMS[name].terms(SYSTEMS[name].settings(**settings))

    assert written("nbody", gravity=2.0) == "2.0 * mass_i * mass_j / (r + 1.0)**2"
    assert written("spring", stiffness=3.0, rest_length=0.5) == "3.0 * (r - 0.5)"
    assert written("r2", softening=0.0) == "mass_i * mass_j / r**2"
    assert written("r1") == "mass_i * mass_j / (r + 0.01)"
    assert written("charge") == "-charge_i * charge_j / (r + 0.01)**2"
    slack = "Piecewise((0, r < 1.99), (2 * (r - 0.99), True))"
    assert written("discontinuous") == slack
    assert terms("damped") == {"drag": (0.25,)}
    assert terms("damped", bodies=8) == {"drag": (0.125,)}
    assert terms("damped", drag=0.7) == {"drag": (0.7,)}
    assert terms("magnetic", dim=2, field=3.0) == {"magnetic of charge": (3.0,)}
    assert terms("magnetic") == {"magnetic of charge": (0.0, 0.0, 2.0)}
    assert terms("external", trap=0.5) == {"trap": (0.5,)}
    assert all(not terms(name) for name in set(SYSTEMS) - OUTSIDE)


@pytest.mark.parametrize("dim", [2, 3])
def test_energy_momentum_and_angular_momentum_are_kept_where_they_should_be(name, dim):
    path = simulate(name, **QUICK, dim=dim)
    energy = torch.stack([dynamics(name, dim=dim).energy(state) for state in path])
    of_bodies = float(path.p.abs().max())
    changes = {
        "energy": (energy - energy[0]) / (energy[0].abs() + 1),
        "momentum": (momentum(path) - momentum(path)[0]) / max(of_bodies, 1),
        "angular momentum": (angular_momentum(path) - angular_momentum(path)[0])
        / max(of_bodies * float(path.q.abs().max()), 1),
    }
    lost = {what for what, change in changes.items() if change.abs().max() > MOVED}
    kept = {what for what, change in changes.items() if change.abs().max() < CONSERVED}
    everything = set(changes)
    expected = {
        "damped": everything,
        "magnetic": {"momentum", "angular momentum"},
        "external": {"momentum"},
    }.get(name, set())
    assert lost == expected
    assert kept == everything - expected


def test_drag_takes_momentum_at_its_rate():
    """``dP/dt = -drag v`` summed: for equal masses of one, an exponential."""
    settings = {**QUICK, "drag": 0.5, "equal_masses": True, "frames": 5}
    path = simulate("damped", **settings)
    decay = torch.exp(-0.5 * path.t)[:, None, None]
    expected = decay * momentum(path)[0]
    assert (momentum(path) - expected).abs().max() < CONSERVED
    published = simulate("damped", **{**settings, "drag": None})
    assert (momentum(published) - expected).abs().max() > MOVED


def test_a_single_charge_would_go_round_at_the_cyclotron_frequency():
    """In a field of B, the total momentum of equal charges of one turns by -B t."""
    state = simulate("magnetic", trajectories=1, dim=2, frames=2, equal_masses=True)[0]
    same = state.with_attributes({"charge": torch.ones_like(state.mass)})
    path = integrate(dynamics("magnetic", dim=2, field=2.0), same, 10, 0.05)
    start = torch.view_as_complex(momentum(path)[0, 0])
    turned = torch.view_as_real(start * torch.exp(-2j * path.t))
    assert (momentum(path)[:, 0] - turned).abs().max() < CONSERVED
    wrong = torch.view_as_real(start * torch.exp(2j * path.t))
    assert (momentum(path)[:, 0] - wrong).abs().max() > MOVED


def test_same_seed_same_bits_and_more_trajectories_extend(name):
    settings = {**QUICK, "frames": 2}
    first, second = simulate(name, **settings), simulate(name, **settings)
    assert torch.equal(first.q, second.q) and torch.equal(first.p, second.p)
    longer = simulate(name, **{**settings, "trajectories": 6})
    assert torch.equal(longer.q[0, :12], first.q[0])
    assert not torch.equal(simulate(name, **settings, seed=1).q, first.q)


def drawn(name, **settings):
    system = SYSTEMS[name]
    chosen = system.settings(**settings)
    return initial_state(system, chosen, np.arange(chosen.trajectories))


def test_samples_follow_the_published_distributions():
    state = drawn("spring", trajectories=4000, bodies=4, dim=2)
    for numbers in (state.q, state.velocity, state.mass.log()):
        assert abs(numbers.mean()) < 0.03
        assert abs(numbers.std() - 1) < 0.03
    assert set(state.attributes["charge"].tolist()) == {-1.0, 1.0}
    assert abs(state.attributes["charge"].mean()) < 0.03
    assert (drawn("spring", trajectories=2, equal_masses=True).mass == 1).all()


@pytest.mark.parametrize("bodies", [2, 4, 9])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_atoms_start_apart_and_warm(bodies, dim):
    state = drawn("lennard-jones", trajectories=1000, bodies=bodies, dim=dim)
    q = state.q.reshape(1000, bodies, dim)
    apart = (q[:, :, None] - q[:, None]).norm(dim=-1)[:, ~np.eye(bodies, dtype=bool)]
    assert 0.8 * 1.2 <= apart.min() < 0.9 * 1.2
    assert apart.max() < 1.2 * (bodies + 1)
    temperature = (state.p.square() / state.mass[:, None]).mean()
    assert abs(temperature - 0.5) < 0.05
    assert SYSTEMS["morse"].draw is lattice
    near = drawn("charge", trajectories=1000, bodies=bodies, dim=dim).q.reshape(q.shape)
    assert (near[:, 0] - near[:, 1]).norm(dim=-1).min() < 0.3


@pytest.mark.parametrize("dim", [2, 3])
def test_planets_start_on_circles_around_a_heavy_star(dim):
    state = drawn("nbody", trajectories=500, dim=dim)
    q, v, mass = (x.reshape(500, 6, -1) for x in (state.q, state.velocity, state.mass))
    assert (mass[:, 0] == 100).all() and not q[:, 0].any() and not v[:, 0].any()
    distance, speed = q[:, 1:].norm(dim=-1), v[:, 1:].norm(dim=-1)
    for values, low, high in ((mass[:, 1:], 0.02, 9), (distance, 10, 100)):
        assert low <= values.min() < low + 0.2 and high - 0.2 < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.02 * high
    force = 1e5 * 100 / (distance + 1).square()
    torch.testing.assert_close(speed.square() / distance, force)
    assert (q * v).sum(-1).abs().max() < 1e-9 * (distance * speed).max()


LIGHT = {"star": 1e9, "gravity": 1e-2, "softening": 0.0}


def test_a_light_planet_goes_round_in_its_period():
    light = simulate("nbody", trajectories=1, bodies=2, equal_masses=True, **LIGHT)
    radius = (light.q[0, 1] - light.q[0, 0]).norm()
    period = 2 * np.pi * float(radius**3 / (1e-2 * 1e9)) ** 0.5
    around = integrate(dynamics("nbody", **LIGHT), light[0], 3, period / 2)
    away = around.q[:, 1] - around.q[:, 0]
    assert (away[2] - away[0]).norm() < 1e-6 * radius
    assert (away[1] + away[0]).norm() < 1e-6 * radius


def test_every_system_is_a_source_with_its_law(name):
    data = load(name, **{**QUICK, "trajectories": 5})
    assert [part.num_systems for part in (data.train, data.valid, data.test)] == [3, 1, 1]
    settings = SYSTEMS[name].settings(bodies=3)
    assert data.law == SYSTEMS[name].law(settings)
    assert data.terms == SYSTEMS[name].terms(settings)
    assert data.constants == SYSTEMS[name].constants(settings)
    assert bool(data.terms) is (name in OUTSIDE)
    assert SOURCES[name].description == data.description
    starts = torch.cat([part.q[0, 1::3, 0] for part in (data.train, data.valid, data.test)])
    assert len(starts.unique()) == 5


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("sprong", {}, ["unknown system 'sprong'", "did you mean 'spring'"]),
        ("spring", {"stifness": 1.0}, ["setting of spring", "did you mean 'stiffness'"]),
        ("spring", {"stiffness": -1.0}, ["stiffness", "above zero", "-1.0"]),
        ("r2", {"bodies": 1}, ["bodies", "at least 2", "1"]),
        ("r2", {"frames": 1}, ["frames", "whole number", "1"]),
        ("r1", {"noise": -0.1}, ["noise", "at least 0", "-0.1"]),
        ("damped", {"drag": -1.0}, ["drag", "at least 0", "-1.0"]),
        ("magnetic", {"field": float("inf")}, ["field", "finite", "inf"]),
        ("nbody", {"dim": 1}, ["dim", "at least 2", "1"]),
        ("nbody", {"star": 0.0}, ["star", "above zero", "0.0"]),
        ("magnetic", {"dim": 1}, ["magnetic", "dimensions", "1"]),
        ("morse", {"spacing": 0.0}, ["spacing", "above zero", "0.0"]),
        ("discontinuous", {"threshold": 0.0}, ["threshold", "above zero", "0.0"]),
    ],
)
def test_wrong_settings_are_explained(name, settings, words):
    with pytest.raises(ValueError) as caught:
        simulate(name, **settings)
    assert all(word in str(caught.value) for word in words)
