"""True trajectories: as exact solutions have it, and refused or drawn anew where they drift."""

import logging

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from gnsim.datasets import SYSTEMS, dynamics, hamiltonian, load, simulate
from gnsim.datasets.systems import truth
from gnsim.datasets.systems.simulation import initial_state, simulated
from gnsim.testing import make_state

QUICK = {"trajectories": 4, "bodies": 3, "frames": 12}
#: of positions against exact solutions, over a few periods
EXACT = 1e-10
WRONG = 1e-3


def test_truth_agrees_with_kepler():
    """Two equal masses on a circle of diameter 1: omega^2 = 2 m / d^3."""
    speed = np.sqrt(0.5)
    start = make_state([[-0.5, 0.0], [0.5, 0.0]], [[0.0, -speed], [0.0, speed]], mass=[1.0, 1.0])
    orbit = truth.integrate(hamiltonian("r2", softening=0.0), start, 10, 0.7)
    phase = np.sqrt(2) * orbit.t
    expected = 0.5 * torch.stack((phase.cos(), phase.sin()), dim=1)
    assert (orbit.q[:, 1] - expected).abs().max() < EXACT
    softened = truth.integrate(hamiltonian("r2"), start, 10, 0.7)
    assert (softened.q[:, 1] - expected).abs().max() > WRONG


def test_truth_agrees_with_scipy():
    path = simulate("superposition", **{**QUICK, "trajectories": 2}, dim=2)
    true, alone = hamiltonian("superposition", dim=2), path.systems(torch.tensor([1]))[0]

    def rate(_, y):
        q, p = torch.from_numpy(y).reshape(2, 3, 2)
        return torch.cat(true.vector_field(alone.moved(q, p))).reshape(-1).numpy()

    y = torch.cat((alone.q, alone.p)).reshape(-1).numpy()
    other = solve_ivp(rate, (0, path.t[-1]), y, "DOP853", path.t.numpy(), rtol=1e-12, atol=1e-12)
    expected = torch.from_numpy(other.y.T.copy()).reshape(12, 2, 3, 2)
    assert (path.q[:, 3:] - expected[:, 0]).abs().max() < EXACT
    assert (path.q[:, :3] - expected[:, 0]).abs().max() > WRONG


def slack_spring(t, r, u, threshold=1.99, rest=0.99):
    """Distance of two bodies of mass 1 that part at the speed u: free, then on the spring.

    The relative coordinate swings with omega^2 = 4 about `rest` from the threshold on, comes back
    with the speed it had, and swings again on the other side of the origin.
    """
    omega, x = 2.0, threshold - rest
    outside = 2 * np.arctan(u / (omega * x)) / omega
    out, width = (threshold - r) / u, 2 * threshold / u
    sign, t = 1, t - out
    while t > outside + width:
        sign, t = -sign, t - outside - width
    if t < 0:
        return r + u * (t + out)
    if t > outside:
        return sign * (threshold - u * (t - outside))
    return sign * (rest + x * np.cos(omega * t) + u / omega * np.sin(omega * t))


def test_truth_follows_a_force_that_jumps():
    u, r = 1.3, 0.7
    start = make_state([[0.0], [r]], [[-u / 2], [u / 2]], mass=[1.0, 1.0])
    path = truth.integrate(hamiltonian("discontinuous"), start, 60, 0.17)
    found = (path.q[:, 1] - path.q[:, 0])[:, 0]
    exact = [slack_spring(float(t), r, u) for t in path.t]
    assert (found - torch.tensor(exact, dtype=torch.float64)).abs().max() < EXACT
    elsewhere = [slack_spring(float(t), r, u, threshold=2.0) for t in path.t]
    assert (found - torch.tensor(elsewhere, dtype=torch.float64)).abs().max() > WRONG


def test_work_is_counted_with_the_energy():
    settings = SYSTEMS["damped"].settings(**QUICK)
    start = initial_state(SYSTEMS["damped"], settings, np.arange(4))
    driven = dynamics("damped", bodies=3)
    path, drift = truth.attempt(driven, start, 12, 0.2)
    assert drift.max() < truth.ENERGY_DRIFT
    energy = torch.stack([driven.energy(state) for state in (path[0], path[-1])])
    assert (energy[1] < 0.8 * energy[0]).all()
    stronger = dynamics("damped", bodies=3, drag=0.5)
    driven.fields = stronger.fields
    driven.power = dynamics("damped", bodies=3).power
    assert (truth.attempt(driven, start, 12, 0.2)[1] > 1e-3).all()


def test_truth_that_loses_energy_is_refused(monkeypatch):
    monkeypatch.setattr(truth, "TOLERANCE", 1e-3)
    with pytest.raises(RuntimeError, match="wanted energy kept to 1e-09, found a change of"):
        simulate("spring", **QUICK)


def test_a_system_that_takes_too_many_steps_is_given_up(monkeypatch):
    start = make_state([[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]], charge=[1.0, -1.0])
    fall = (hamiltonian("charge", softening=0.0), start, 4, 1.0)
    monkeypatch.setattr(truth, "MOST_STEPS", 5)
    assert truth.attempt(*fall)[1].item() == torch.inf
    with pytest.raises(RuntimeError, match="change of inf"):
        truth.integrate(*fall)


def test_what_loses_energy_is_drawn_anew_from_its_own_stream(monkeypatch, caplog):
    settings = SYSTEMS["r2"].settings(**{**QUICK, "trajectories": 6})
    first = simulated(SYSTEMS["r2"], settings)
    start = initial_state(SYSTEMS["r2"], settings, np.arange(6))
    drift = truth.attempt(hamiltonian("r2"), start, 12, 0.01)[1]
    worst = int(drift.argmax())
    with caplog.at_level(logging.WARNING):
        monkeypatch.setattr(truth, "ENERGY_DRIFT", float(drift.sort().values[-2:].mean()))
        second, again = (simulated(SYSTEMS["r2"], settings) for _ in range(2))
    assert (first.redrawn, second.redrawn) == (0, 1)
    assert first.remark == ""
    assert "r2: 1 of 6 trajectories drawn anew" in caplog.text
    assert torch.equal(second.path.q, again.path.q)
    changed = (second.path.q != first.path.q).any(-1).any(0).reshape(6, 3)
    assert torch.equal(changed.any(1), torch.arange(6) == worst)
    other = initial_state(SYSTEMS["r2"], settings, np.array([worst]), 1)
    nodes = slice(3 * worst, 3 * worst + 3)
    assert torch.equal(second.path[0].q[nodes], other.q)
    assert torch.equal(second.path.attributes["mass"][nodes], other.mass)
    described = load("r2", **{**QUICK, "trajectories": 6}).description
    assert described.endswith("; " + second.remark)
