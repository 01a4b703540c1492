"""Invariants of known states."""

import pytest
import torch

from gnsim.integrators import Yoshida6
from gnsim.invariants import angular_momentum, energy, kinetic_energy, momentum
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.simulator import Simulator
from gnsim.testing import Gravity, HarmonicOscillator, kepler, make_state

TWO_BODIES = PairwiseHamiltonian(Gravity())


def test_energy_of_a_kepler_orbit_is_that_of_its_axis() -> None:
    assert float(energy(TWO_BODIES, kepler(0.6))) == pytest.approx(-1.0 * 0.5 / 2, rel=1e-13)
    assert float(kinetic_energy(kepler(0.0))) > 0


def test_angular_momentum_of_a_kepler_orbit() -> None:
    reduced, total_mass, eccentricity = 0.5 / 1.5, 1.5, 0.3
    expected = reduced * (total_mass * (1 - eccentricity**2)) ** 0.5
    assert float(angular_momentum(kepler(0.6))) == pytest.approx(expected, rel=1e-13)


def test_angular_momentum_follows_the_right_hand() -> None:
    state = make_state([[2.0, 0.0, 0.0]], [[0.0, 3.0, 0.0]])
    assert angular_momentum(state).tolist() == [[0.0, 0.0, 6.0]]
    with pytest.raises(ValueError, match="2 or 3 dimensions, got 1"):
        angular_momentum(make_state([[1.0]], [[1.0]]))


def test_a_trajectory_has_the_invariants_of_its_frames() -> None:
    t = 0.1 * torch.arange(5, dtype=torch.float64)
    trajectory = Simulator(TWO_BODIES, Yoshida6()).rollout(kepler(0.0), t)
    assert energy(TWO_BODIES, trajectory).shape == (5, 1)
    assert momentum(trajectory).shape == (5, 1, 2)
    assert angular_momentum(trajectory).shape == (5, 1, 1)
    for frame, state in enumerate(trajectory):
        assert torch.equal(energy(TWO_BODIES, trajectory)[frame], energy(TWO_BODIES, state))
        assert torch.equal(momentum(trajectory)[frame], momentum(state))


def test_systems_are_summed_apart() -> None:
    state = make_state([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
    object.__setattr__(state, "batch", torch.tensor([0, 1, 1]))
    assert momentum(state).tolist() == [[1.0], [6.0]]
    assert energy(HarmonicOscillator(), state).tolist() == [1.0, 4.0 / 2 + 9 / 2 + 4 / 2 + 16 / 2]
