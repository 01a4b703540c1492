"""A Lennard-Jones fluid: energy by our own sum over pairs, temperature, and what is refused."""

import pytest
import torch

from gnsim.datasets import load
from gnsim.datasets.sources.lj_fluid import FluidSettings, simulated
from gnsim.graph import all_pairs, displacement, distance

#: swing of the total energy, of the kinetic one
ENERGY = 1e-3


@pytest.fixture(scope="module", params=[2, 3])
def path(request):
    pytest.importorskip("openmm", reason="openmm is not installed")
    cutoff = 2.0 if request.param == 3 else 2.5
    settings = FluidSettings(1, 30, bodies=64, dim=request.param, cutoff=cutoff)
    return simulated(settings), cutoff


def potential(state, cutoff):
    """V is switched off from .8 of the cut-off on by 1 - 10 x^3 + 15 x^4 - 6 x^5."""
    r = distance(displacement(state.q, all_pairs(state.batch), state.box))
    x = ((r / cutoff - 0.8) / 0.2).clamp(0, 1)
    return (4 * (r**-12 - r**-6) * (1 - 10 * x**3 + 15 * x**4 - 6 * x**5)).sum()


def test_energy_is_kept_with_velocities_at_the_times_of_positions(path):
    path, cutoff = path
    kinetic = 0.5 * path.p.square().sum((1, 2))
    energy = kinetic + torch.stack([potential(state, cutoff) for state in path])
    swing = ENERGY * kinetic.mean()
    assert (energy - energy[0]).abs().max() < swing
    assert (kinetic - kinetic[0]).abs().max() > 10 * swing
    late = 0.5 * (0.8 * path.p[:-1] + 0.2 * path.p[1:]).square().sum((1, 2)) + energy[:-1]
    late -= kinetic[:-1]  # a step later than positions
    assert (late - late[0]).abs().max() > swing


def test_it_begins_at_its_temperature_at_rest_and_flows(path):
    path, _ = path
    freedom = 63 * path.dim
    assert float(path.p[0].square().sum() / freedom) == pytest.approx(1.0)
    assert path.p.sum(1).abs().max() < 1e-9
    assert float(path.box.prod()) == pytest.approx(64 / 0.8)
    r = distance(displacement(path.q[0], all_pairs(path.batch), path.box))
    assert 0.8 < r.min() < 1.05
    assert path.q.diff(dim=0).abs().max() < 0.2  # no jump at the sides of the box


def test_same_seed_same_bits():
    pytest.importorskip("openmm", reason="openmm is not installed")
    settings = {"frames": 2, "bodies": 16, "cutoff": 1.1, "density": 0.5}
    two, one = (simulated(FluidSettings(n, **settings)) for n in (2, 1))
    assert torch.equal(two.q[:, :16], one.q) and torch.equal(two.p[:, :16], one.p)
    assert not torch.equal(two.q[:, 16:], one.q)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"bodies": 64}, "cutoff: wanted at most half of the box of 64 atoms, 2.154, found 2.5"),
        ({"dim": 1}, "dim: wanted 2 or 3, found 1"),
        ({"density": 0.0}, "density: wanted a finite number above zero"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        load("lj-fluid", **settings)
