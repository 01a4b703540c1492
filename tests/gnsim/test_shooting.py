"""A start that is fitted to an arc, in open space and in a box: the best that was seen."""

from dataclasses import replace
from functools import cache

import pytest
import torch

import gnsim.shooting
from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.integrators import Leapfrog
from gnsim.metrics import rollout_rmse
from gnsim.shooting import fitted_start
from gnsim.simulator import Simulator
from gnsim.state import Trajectory

#: of a bond of length one
FITTED = 1e-6


@cache
def arc() -> Trajectory:
    """Two bodies on a spring that start from velocities which are wrong by a part in ten."""
    path = simulate("spring", trajectories=1, bodies=2, dim=2, frames=40, interval=0.02)
    p = path.p.clone()
    p[0] *= 1.1
    return replace(path, p=p)


def cut(path: Trajectory) -> Trajectory:
    """The same in a box whose edge the first body stands on."""
    box = torch.full((2,), 100.0, dtype=torch.float64)
    return replace(path, q=(path.q - path.q[20, 0]) % box, box=box)


def miss(path: Trajectory) -> float:
    """How far the rollout from the fitted start is from the path."""
    system = hamiltonian("spring")
    start = fitted_start(system, Leapfrog(), path, substeps=4)
    rolled = Simulator(system, Leapfrog(), 4).rollout(start, path.t)
    return float(rollout_rmse(rolled, path).q.max())


def test_the_start_is_found_in_open_space_and_across_the_edge_of_a_box() -> None:
    in_box = cut(arc())
    crossing = (in_box.q[1:] - in_box.q[:-1]).abs().max()
    assert crossing > 50  # else the box would not matter here
    assert miss(in_box) == pytest.approx(miss(arc()), rel=0.01, abs=FITTED)


def test_the_state_that_was_solved_for_last_is_kept_if_it_is_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gnsim.shooting, "_ROUNDS", 0)
    unfitted = miss(arc())
    monkeypatch.setattr(gnsim.shooting, "_ROUNDS", 1)
    assert miss(arc()) < 0.1 * unfitted
