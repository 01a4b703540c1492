"""True laws: closed forms agree, energy is kept, samplers are those that were published."""

import numpy as np
import pytest
import torch

from gnsim.datasets import SOURCES, SYSTEMS, hamiltonian, load, simulate
from gnsim.datasets.systems import truth

QUICK = {"trajectories": 4, "bodies": 3, "frames": 12}
EVALUATED = {"r": np.linspace(0.3, 3, 50), "mass_i": 1.7, "mass_j": 0.4, "charge_i": -1.0}
EVALUATED |= {"charge_j": 1.0}


@pytest.fixture(params=sorted(SYSTEMS))
def name(request):
    return request.param


def test_force_is_the_derivative_of_the_energy_and_the_law(name):
    pair = hamiltonian(name).pair
    r = torch.from_numpy(EVALUATED["r"]).requires_grad_()
    source, target = (
        {a: torch.full_like(r, EVALUATED[f"{a}_{side}"]).detach() for a in ("mass", "charge")}
        for side in "ij"
    )
    (slope,) = torch.autograd.grad(pair.energy(r, source, target).sum(), r)
    force = pair.force(r, source, target).detach()
    torch.testing.assert_close(force, slope, rtol=1e-13, atol=1e-13)
    system = SYSTEMS[name]
    written = eval(system.law(system.settings()), {"__builtins__": {}}, EVALUATED)
    np.testing.assert_allclose(written, force.numpy(), rtol=1e-13, atol=1e-13)
    assert (force > 0).any() or name == "spring"


def test_law_follows_the_settings():
    law = {n: SYSTEMS[n].law for n in SYSTEMS}
    kinds = {n: SYSTEMS[n].settings for n in SYSTEMS}
    assert law["spring"](kinds["spring"](stiffness=3.0, rest_length=0.5)) == "3.0 * (r - 0.5)"
    assert law["r2"](kinds["r2"](softening=0.0)) == "mass_i * mass_j / r**2"
    assert law["charge"](kinds["charge"]()) == "-charge_i * charge_j / (r + 0.01)**2"


def test_truth_keeps_energy_and_momentum(name):
    trajectory = simulate(name, **QUICK)
    true = hamiltonian(name)
    energy = torch.stack([true.energy(state) for state in trajectory])
    assert ((energy - energy[0]).abs() / (energy[0].abs() + 1)).max() < 1e-9
    momentum = trajectory.p.reshape(12, 4, 3, 3).sum(2)
    assert (momentum - momentum[0]).abs().max() < 1e-10


def test_truth_agrees_with_kepler():
    """Two equal masses on a circle of diameter 1: omega^2 = 2 m / d^3."""
    start = simulate("r2", trajectories=1, bodies=2, dim=2, frames=2, equal_masses=True)[0]
    speed = np.sqrt(0.5)
    q = torch.tensor([[-0.5, 0.0], [0.5, 0.0]], dtype=torch.float64)
    p = torch.tensor([[0.0, -speed], [0.0, speed]], dtype=torch.float64)
    orbit = truth.integrate(hamiltonian("r2", softening=0.0), start.moved(q, p), 10, 0.7)
    phase = np.sqrt(2) * orbit.t
    expected = 0.5 * torch.stack((phase.cos(), phase.sin()), dim=1)
    assert (orbit.q[:, 1] - expected).abs().max() < 1e-10
    softened = truth.integrate(hamiltonian("r2"), start.moved(q, p), 10, 0.7)
    assert (softened.q[:, 1] - expected).abs().max() > 1e-2


def test_truth_that_loses_energy_is_refused(monkeypatch):
    monkeypatch.setattr(truth, "TOLERANCE", 1e-3)
    with pytest.raises(RuntimeError, match="wanted energy kept to 1e-09, found a change of"):
        simulate("spring", **QUICK)


def test_same_seed_same_bits_and_more_trajectories_extend(name):
    settings = {**QUICK, "frames": 2}
    first, second = simulate(name, **settings), simulate(name, **settings)
    assert torch.equal(first.q, second.q) and torch.equal(first.p, second.p)
    longer = simulate(name, **{**settings, "trajectories": 6})
    assert torch.equal(longer.q[0, :12], first.q[0])
    assert not torch.equal(simulate(name, **settings, seed=1).q, first.q)


def test_samples_follow_the_published_distributions():
    system = SYSTEMS["spring"]
    state = system.sample(system.settings(trajectories=4000, bodies=4, dim=2))
    for numbers in (state.q, state.velocity, state.mass.log()):
        assert abs(numbers.mean()) < 0.03
        assert abs(numbers.std() - 1) < 0.03
    assert set(state.attributes["charge"].tolist()) == {-1.0, 1.0}
    assert abs(state.attributes["charge"].mean()) < 0.03
    equal = system.sample(system.settings(trajectories=2, equal_masses=True))
    assert (equal.mass == 1).all()


def test_every_system_is_a_source_with_its_law(name):
    data = load(name, **{**QUICK, "trajectories": 5})
    assert [part.num_systems for part in (data.train, data.valid, data.test)] == [3, 1, 1]
    assert data.law == SYSTEMS[name].law(SYSTEMS[name].settings())
    assert SOURCES[name].description == data.description
    starts = torch.cat([part.q[0, ::3, 0] for part in (data.train, data.valid, data.test)])
    assert len(starts.unique()) == 5


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("sprong", {}, ["unknown system 'sprong'", "did you mean 'spring'"]),
        ("spring", {"stifness": 1.0}, ["setting of spring", "did you mean 'stiffness'"]),
        ("spring", {"stiffness": -1.0}, ["stiffness", "above zero", "-1.0"]),
        ("r2", {"bodies": 1}, ["bodies", "at least 2", "1"]),
        ("r2", {"frames": 1}, ["frames", "whole number", "1"]),
    ],
)
def test_wrong_settings_are_explained(name, settings, words):
    with pytest.raises(ValueError) as caught:
        simulate(name, **settings)
    assert all(word in str(caught.value) for word in words)
