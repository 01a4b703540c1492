"""The golden test: messages of the true potential become the law of the system that sent them.

The settings are the published ones, softening included: the law that comes out is the softened one,
``k a_i a_j / (r + e)^2``.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from gnsim.datasets.systems import SYSTEMS, hamiltonian, simulate
from gnsim.integrators import KahanLi8
from gnsim.models.coupled import Structure
from gnsim.simulator import Simulator
from gnsim.state import Trajectory
from gnsim.symbolic.assemble import parts_of
from gnsim.symbolic.engines import engine
from gnsim.symbolic.front import gathered, steepest
from gnsim.symbolic.law import Law
from gnsim.symbolic.messages import sample_messages
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.select import select
from gnsim.windows import WindowSampler

SECONDS = 40.0
#: positions of law and truth after a rollout: rounding of the constants, carried along
ROLLOUT = 1e-8


@cache
def paths(name: str) -> Trajectory:
    return simulate(name, trajectories=50, bodies=4, dim=3, frames=6, interval=0.01)


def written(name: str) -> str:
    system = SYSTEMS[name]
    return system.law(system.settings())


def unlike(path: Trajectory) -> Trajectory:
    """Charges of different sizes: of those that are 1 or -1, product and quotient are the same."""
    sizes = torch.linspace(0.5, 2.0, path.num_nodes, dtype=torch.float64)
    charge = path.attributes["charge"] * sizes
    return replace(path, attributes={**path.attributes, "charge": charge})


def distilled(name: str, folder: Path) -> Law:
    """What the symbolic stage makes of the true messages: search, choice, refit, law."""
    path = unlike(paths(name))
    sampler = WindowSampler(path, 1)
    table = sample_messages(hamiltonian(name), sampler, 1000, 0)
    names, columns = table.invariants()
    found = engine("operon").search(
        columns, table.y, names, seed=0, time_limit=SECONDS, out_dir=folder
    )
    offered = [replace(c, equation=table.in_attributes(c.equation)) for c in found]
    front = gathered(offered, table.names, table.X, table.y)
    train, held_out = (
        Problem.of(paths(name).systems(part), 5, 30, KahanLi8(), 3)
        for part in torch.arange(50).split(30)
    )
    one = torch.ones(1, dtype=torch.float64)
    fit = select(steepest(front, 2), Structure("none"), train, held_out, one).chosen.fit
    parts = parts_of(fit, ("a", "b", "c", "d"), path.units)
    return Law(parts.force, parts.constants, 3)


@pytest.mark.parametrize("name", ["charge"])
def test_messages_of_the_truth_become_its_law(name: str, tmp_path: Path) -> None:
    law = distilled(name, tmp_path)
    assert law.equals(written(name)), str(law)
    others = {written(other) for other in SYSTEMS} - {written(name)}
    assert not any(law.equals(other) for other in others)
    start, times = paths(name)[0], paths(name).t
    true, found = (
        Simulator(h, KahanLi8(), 4).rollout(start, times)
        for h in (hamiltonian(name), law.hamiltonian())
    )
    assert (found.q - true.q).abs().max() < ROLLOUT
    wrong = Simulator(hamiltonian("spring" if name != "spring" else "r2"), KahanLi8(), 4)
    assert (wrong.rollout(start, times).q - true.q).abs().max() > 1e3 * ROLLOUT


def test_the_messages_are_the_true_forces() -> None:
    table = sample_messages(hamiltonian("r2"), WindowSampler(paths("r2"), 1), 1000, 0)
    columns = dict(zip(table.names, torch.from_numpy(table.X).T, strict=True))
    expected = columns["mass_i"] * columns["mass_j"] / (columns["r"] + 0.01) ** 2
    assert torch.allclose(torch.from_numpy(table.y), expected, rtol=1e-12)
