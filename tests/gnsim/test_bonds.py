"""Bonds: only the pairs that have one act on each other, in every system of a batch, on any way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gnsim.datasets import read, write
from gnsim.datasets.checks import check
from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.graph import bonded_pairs
from gnsim.integrators import DOP853, KahanLi6
from gnsim.models.coupled import Structure
from gnsim.simulator import Simulator
from gnsim.state import State, Trajectory
from gnsim.symbolic.forms import form_of
from gnsim.symbolic.law import Law
from gnsim.symbolic.parser import parse
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import refit

BODIES = 4


def chains() -> Trajectory:
    return simulate("string", trajectories=6, bodies=BODIES, dim=2, frames=25)


def test_bonds_are_those_of_every_system() -> None:
    bonds = torch.tensor([[1, 2], [0, 1]])
    batch = torch.tensor([0, 0, 0, 1, 1, 1])
    assert bonded_pairs(bonds, batch).tolist() == [[1, 2, 4, 5], [0, 1, 3, 4]]


def test_bodies_without_a_bond_do_not_feel_each_other() -> None:
    state = chains()[0].systems(torch.tensor([0]))
    far = state.moved(state.q.clone(), state.p)
    far.q[-1] += 5.0
    pull = [hamiltonian("string").force(s)[0] for s in (state, far)]
    assert torch.equal(*pull)
    everybody = [hamiltonian("string").force(replace(s, bonds=None))[0] for s in (state, far)]
    assert not torch.allclose(*everybody)


def test_parts_and_rollouts_keep_their_bonds() -> None:
    path = chains()
    part = path.systems(torch.tensor([2, 4])).frames(slice(0, 5))
    assert part.pairs_per_system == BODIES - 1
    assert part[0].pairs.shape == (2, 2 * (BODIES - 1))
    again = Simulator(hamiltonian("string"), DOP853(1e-10)).rollout(part[0], part.t)
    assert torch.equal(again.bonds, path.bonds)
    assert float((again.q - part.q).abs().max()) < 1e-7


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_files_keep_their_bonds(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"chains{suffix}"
    write(path, chains())
    assert torch.equal(read(path).bonds, chains().bonds)
    assert "3 bonds: no other pairs of bodies interact" in check(path).contents


@pytest.mark.parametrize(
    ("bonds", "word"),
    [
        ([[1, 4], [0, 1]], "[4, 1]"),
        ([[1, -1], [0, 1]], "[-1, 1]"),
        ([[1, 2], [0, 2]], "[2, 2]"),
        ([[1, 0], [0, 1]], "again"),
        ([[], []], "none"),
        ([[1.0], [0.0]], "whole numbers"),
        ([[1, 2, 0]], "shape"),
    ],
)
def test_bonds_that_cannot_be_are_refused(bonds: list, word: str, tmp_path: Path) -> None:
    dtype = float if bonds == [[1.0], [0.0]] else int
    arrays = {"t": np.arange(12.0), "q": np.random.default_rng(0).normal(size=(12, BODIES, 2))}
    np.savez(tmp_path / "bad.npz", bonds=np.array(bonds, dtype), **arrays)
    report = check(tmp_path / "bad.npz")
    assert not report.ok
    assert all("bonds" in str(e) for e in report.errors)
    assert any(word in str(e) for e in report.errors), report


def test_a_law_is_fitted_to_the_bonds_and_to_nothing_else() -> None:
    path = chains()

    def off(path: Trajectory) -> float:
        problem = Problem.of(path, 4, 30, KahanLi6(), 1)
        fit = refit(form_of(parse("15.0*r - 6.0", ("r",))), Structure("none"), problem)
        return float((fit.parameters / torch.tensor([0.5, 20.0]) - 1).abs().max())

    assert off(path) < 1e-4
    assert off(replace(path, bonds=None)) > 0.1


def test_a_law_that_was_learned_between_bonds_asks_for_them() -> None:
    state = chains()[0].systems(torch.tensor([0]))
    law = Law("20*(r - 0.5)", {}, 2, metadata={"bonds": state.bonds.tolist()})
    given = {"mass": state.mass.numpy()}
    found = law.acceleration(state.q.numpy(), bonds=state.bonds.numpy(), **given)
    true = hamiltonian("string").force(state) / state.mass[:, None]
    assert np.allclose(found, true.numpy(), rtol=1e-10)
    with pytest.raises(ValueError, match="bonds: the law was learned between the bonds"):
        law.acceleration(state.q.numpy(), **given)
    with pytest.raises(ValueError, match="bonds: expected"):
        law.acceleration(state.q.numpy(), bonds=[[0], [BODIES]], **given)


def test_a_state_of_no_bonds_has_all_pairs() -> None:
    batch = torch.zeros(BODIES, dtype=torch.long)
    q = torch.zeros(BODIES, 2)
    assert State(q, q, batch).pairs.shape[1] == BODIES * (BODIES - 1) // 2
