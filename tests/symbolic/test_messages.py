"""Samples of messages: true forces, drawn where they matter, without what is constant."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.pairwise import Attributes, PairPotential
from gnsim.symbolic.expressions import is_symmetric
from gnsim.symbolic.messages import sample_messages
from gnsim.symbolic.parser import parse
from gnsim.windows import WindowSampler


class Nothing(PairPotential):
    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return 0 * r


@cache
def sampler(equal_masses: bool = False) -> WindowSampler:
    sizes = {"trajectories": 6, "bodies": 4, "frames": 6}
    return WindowSampler(simulate("spring", **sizes, equal_masses=equal_masses), 1)


def test_messages_are_the_forces_at_those_distances() -> None:
    table = sample_messages(hamiltonian("spring"), sampler(), 50, 0)
    r = table.X[:, table.names.index("r")]
    assert len(r) == 50
    assert len(np.unique(r)) == 50
    assert np.allclose(table.y, 2 * (r - 1), rtol=1e-12)
    assert table.factor == "1"


def test_attributes_that_are_equal_for_all_are_left_out() -> None:
    names = ("r", "charge_i", "charge_j")
    assert set(sample_messages(hamiltonian("spring"), sampler(True), 50, 0).names) == set(names)
    both = {*names, "mass_i", "mass_j"}
    assert set(sample_messages(hamiltonian("spring"), sampler(), 50, 0).names) == both


def test_edges_that_pull_more_are_drawn_more() -> None:
    pulls = sampler()
    drawn = sample_messages(hamiltonian("spring"), pulls, 50, 0)
    everything = sample_messages(hamiltonian("spring"), pulls, 10**6, 0)
    assert np.abs(drawn.y).mean() > np.abs(everything.y).mean()


def test_a_seed_repeats() -> None:
    first, again, other = (
        sample_messages(hamiltonian("spring"), sampler(), 50, seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)


def test_hidden_masses_go_to_the_factor() -> None:
    whole = simulate("spring", trajectories=1, bodies=4, frames=30)
    bare = replace(whole, attributes={}, p=whole.velocity)
    model = CoupledPairs(hamiltonian("spring").pair, Structure("source"), 4).double()
    model.x = 3.0 * whole.mass / whole.mass.max()
    table = sample_messages(model, WindowSampler(bare, 1), 60, 0)
    assert table.names == ("r",)
    assert table.factor == "mass_i*mass_j"
    assert np.allclose(table.y, 3.0 * 2 * (table.X[:, 0] - 1), rtol=1e-12)


def test_too_few_pairs_are_told_from_forces_that_are_missing() -> None:
    short = WindowSampler(simulate("spring", trajectories=1, bodies=3, frames=3), 1)
    with pytest.raises(ValueError, match=r"6 pairs of bodies in 2 frames.*more frames"):
        sample_messages(hamiltonian("spring"), short, 50, 0)


def test_a_model_without_forces_is_refused() -> None:
    model = CoupledPairs(Nothing(), Structure("none"), 4).double()
    with pytest.raises(ValueError, match="train the model"):
        sample_messages(model, sampler(), 50, 0)


def test_invariants_do_not_tell_the_bodies_apart() -> None:
    table = sample_messages(hamiltonian("spring"), sampler(), 50, 0)
    names, columns = table.invariants()
    assert set(names) == {"r", "mass_product", "mass_sum", "charge_product", "charge_sum"}
    given = dict(zip(table.names, table.X.T, strict=True))
    product = given["mass_i"] * given["mass_j"]
    assert np.array_equal(columns[:, names.index("mass_product")], product)
    found = table.in_attributes(parse("mass_product/r**2 + charge_sum", names))
    variables = ("r", "mass_i", "mass_j", "charge_i", "charge_j")
    assert found == parse("mass_i*mass_j/r**2 + charge_i + charge_j", variables)
    assert is_symmetric(found)
