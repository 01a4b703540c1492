"""A simulator that is the truth scores as one; a wrong one does not, nor ends the others."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.dynamics import Jump, SeparableHamiltonian
from gnsim.errors import InputError
from gnsim.integrators import RK4, Jumps, KahanLi8
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.learned import Learned
from gnsim.models.radial import RadialNetwork
from gnsim.models.scales import Shape
from gnsim.models.simulators import SIMULATORS
from gnsim.neighbours import NeighbourList
from gnsim.runs import RunFolder
from gnsim.simulator import Simulator
from gnsim.simulators import (
    Evaluation,
    RolloutProtocol,
    SimulatorRecipe,
    TrainedSimulator,
    evaluate,
)
from gnsim.simulators.files import table, write_evaluation
from gnsim.simulators.rolling import lost, rolled_out
from gnsim.state import State, Trajectory
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import Fitted
from gnsim.training.simulator_config import SimulatorConfig
from gnsim.training.simulator_fit import FittedSimulator
from gnsim.visualize.evaluation import evaluation_figure

TRUE = hamiltonian("spring")
SHAPE = Shape(2, 3, ())
SMALL = ["data.trajectories=5", "data.bodies=3", "data.frames=3"]


class Springs(Learned, SeparableHamiltonian):
    """The true springs, as if they had been learned; a force that is `strength` times theirs."""

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__(SHAPE, 1, torch.Generator())
        self.strength = strength

    def force(self, state: State) -> torch.Tensor:
        return self.strength * TRUE.force(state)

    def potential(self, state: State) -> torch.Tensor:
        return self.strength * TRUE.potential(state)


class Shifted(Springs):
    """Another zero of the energy, which no motion depends on."""

    def potential(self, state: State) -> torch.Tensor:
        return super().potential(state) + 1e3


class Explosive(Springs):
    """A body of charge 7 is not where numbers are, soon."""

    def force(self, state: State) -> torch.Tensor:
        return super().force(state) + torch.where(
            state.attributes["charge"][:, None] == 7, 1e200 * state.q.abs() ** 2, 0.0
        )


@pytest.fixture(scope="module")
def truth() -> Trajectory:
    return simulate("spring", trajectories=5, bodies=3, dim=2, frames=21, interval=0.05)


def fitted(model: Learned, **settings: object) -> TrainedSimulator:
    config = SimulatorConfig(model="hogn-separable", **settings)
    return TrainedSimulator.of_simulator(FittedSimulator(model, config, 0.05, 0.0))


def measured(
    model: Learned, truth: Trajectory, protocol: RolloutProtocol | None = None, **settings: object
) -> Evaluation:
    how = protocol or RolloutProtocol()
    return evaluate(fitted(model, **settings), truth, how, TRUE, lambda *told: None)


def medians(found: Evaluation) -> dict[str, float]:
    return {row.name: row.median for row in found.rows}


def test_the_truth_misses_nothing_and_a_wrong_force_does(truth: Trajectory) -> None:
    fine = RolloutProtocol("kahan_li8")
    exact, wrong = (medians(measured(Springs(k), truth, fine)) for k in (1.0, 1.1))
    errors = [name for name in exact if "time" not in name and name != "diverged"]
    errors.remove("q_rmse_of_constant_velocity")
    assert all(exact[name] < 1e-6 for name in errors)
    assert exact["valid_prediction_time"] == exact["divergence_time"] == pytest.approx(1.0)
    for name in ("q_rmse", "p_rmse", "energy_rmse", "energy_change"):
        assert wrong[name] > 1e-3
    # a wrong force keeps its own energy, and momenta, all the same
    for name in ("own_energy_change", "momentum_error", "angular_momentum_error"):
        assert wrong[name] < 1e-6


def test_the_zero_of_its_own_energy_changes_nothing(truth: Trajectory) -> None:
    how = RolloutProtocol("euler")
    plain, shifted = (measured(model, truth, how) for model in (Springs(), Shifted()))
    assert medians(plain)["own_energy_change"] > 1e-3
    for one, other in zip(plain.rows, shifted.rows, strict=True):
        assert other[:2] == one[:2]
        assert other[2:] == pytest.approx(one[2:], rel=1e-9, abs=1e-12)
    curves = (found.curves["own energy"] for found in (plain, shifted))
    assert torch.allclose(*curves, atol=1e-11)


def test_errors_are_of_the_order_of_the_integrator(truth: Trajectory) -> None:
    coarse, fine = (
        medians(measured(Springs(), truth, RolloutProtocol("leapfrog", factor)))["q_rmse"]
        for factor in (2.0, 1.0)
    )
    assert coarse / fine == pytest.approx(4, abs=0.6)


@pytest.mark.parametrize(("factor", "frames"), [(0.25, 21), (0.5, 21), (1.0, 21), (4.0, 6)])
def test_steps_are_shares_or_multiples_of_that_of_the_training(
    factor: float, frames: int, truth: Trajectory
) -> None:
    found = measured(Springs(), truth, RolloutProtocol("leapfrog", factor))
    assert found.settings["tested_step"] == pytest.approx(0.05 * factor)
    assert len(found.truth) == frames


@pytest.mark.parametrize(
    ("protocol", "named"),
    [
        (RolloutProtocol(factor=1.5), "a step of a whole number of frames"),
        (RolloutProtocol(steps=21), "--steps: wanted at most 20"),
        (RolloutProtocol(factor=4.0, steps=6), "--steps: wanted at most 5"),
        (RolloutProtocol(factor=40.0), "--dt: wanted a step within 20 frames"),
        (RolloutProtocol("jumps"), "has a right-hand side"),
    ],
)
def test_what_does_not_go_together_is_said(
    protocol: RolloutProtocol, named: str, truth: Trajectory
) -> None:
    with pytest.raises(ValueError, match=named):
        measured(Springs(), truth, protocol)


def test_data_whose_frames_allow_no_step_are_named_where_no_factor_was_given(
    truth: Trajectory,
) -> None:
    with pytest.raises(InputError, match=r"data: wanted a step .*; give data with frames 0\.05"):
        measured(Springs(), replace(truth, t=1.3 * truth.t))


def test_names_and_factors_are_checked_at_once() -> None:
    with pytest.raises(InputError, match="did you mean 'leapfrog'"):
        RolloutProtocol("leapfrg")
    with pytest.raises(InputError, match="--dt"):
        RolloutProtocol(factor=0.0)


def test_data_of_another_kind_are_refused(truth: Trajectory) -> None:
    with pytest.raises(InputError, match="wanted 2 dimensions"):
        measured(Springs(), simulate("spring", trajectories=1, bodies=3, dim=3, frames=3))
    model = SIMULATORS["ogn"](Shape(2, 3, ("spin",)), 4, torch.Generator())
    with pytest.raises(InputError, match="the attribute 'spin'"):
        measured(model, truth)
    with pytest.raises(InputError, match="systems of 5 bodies"):
        measured(SIMULATORS["mlp"](Shape(2, 5, ()), 4, torch.Generator()), truth)


def marked(truth: Trajectory, system: int) -> Trajectory:
    charge = torch.where(truth.batch == system, 7.0, 1.0).double()
    return replace(truth, attributes={**truth.attributes, "charge": charge})


def test_a_system_that_diverges_does_not_end_the_others(truth: Trajectory) -> None:
    simulator, bad = Simulator(Explosive(), RK4()), 3
    together = rolled_out(simulator, marked(truth, bad))
    alone = rolled_out(simulator, marked(truth, -1))
    ours = truth.batch == bad
    assert torch.equal(together.q[:, ~ours], alone.q[:, ~ours])
    assert torch.isnan(together.q[-1, ours]).all()
    assert lost(together).tolist() == [False, False, False, True, False]
    rows = {r.name: r for r in measured(Explosive(), marked(truth, bad)).rows}
    assert rows["diverged"].mean == pytest.approx(0.2)
    assert rows["divergence_time"].p99 < rows["divergence_time"].median
    assert rows["diverged"].median == 0


def test_what_dies_is_worse_than_anything_finite(truth: Trajectory) -> None:
    found = measured(Explosive(), marked(truth, 3))
    assert found.settings["not_finite"] == found.diverged == 1
    others = ("time", "diverged", "_of_constant_velocity")
    errors = [row for row in found.rows if not any(word in row.name for word in others)]
    assert {"own_energy_drift", "angular_momentum_error"} < {row.name for row in errors}
    assert all(row.mean == row.p99 == torch.inf and row.median < 1 for row in errors)
    for curve in found.curves.values():
        assert torch.isfinite(curve[:, [0, 1, 2, 4]]).all() and curve[-1, 3].isnan()


def test_what_leaves_and_stays_finite_has_diverged_too(truth: Trajectory) -> None:
    found = measured(Springs(-20.0), truth)
    assert found.diverged == 5
    assert found.settings["not_finite"] == 0
    assert measured(Springs(), truth).diverged == 0


def test_jumps_are_evaluated_as_well(truth: Trajectory) -> None:
    model = SIMULATORS["delta"](SHAPE, 4, torch.Generator().manual_seed(0))
    config = SimulatorConfig(model="delta")
    found = evaluate(
        TrainedSimulator.of_simulator(FittedSimulator(model, config, 0.05, 0.0)),
        truth,
        RolloutProtocol(),
        None,
        lambda *told: None,
    )
    assert found.settings["tested_integrator"] == Jumps.__name__
    assert "energy_rmse" not in medians(found)
    assert len(evaluation_figure(found, "springs").axes) == len(found.curves) == 1


def test_a_table_is_written_in_three_forms(truth: Trajectory, tmp_path: Path) -> None:
    found, recipe = measured(Springs(1.1), truth), SimulatorRecipe.of("spring", 0, SMALL)
    odd = replace(recipe.dataset, name="../odd name")
    with RunFolder(tmp_path) as folder:
        file = write_evaluation(found, folder, recipe.with_dataset(odd), own=False)
    assert file.parent == tmp_path / "evaluation"
    assert {p.suffix for p in file.parent.iterdir()} == {".csv", ".json", ".png", ".pdf"}
    rows = list(csv.DictReader(file.read_text().splitlines()))
    told = json.loads(file.with_name(f"{file.stem}.json").read_text())
    assert [r["measure"] for r in rows] == [r["name"] for r in told["rows"]]
    assert [r["measure"] for r in rows] == [r.name for r in found.rows]
    assert float(rows[0]["p99"]) == found.rows[0].p99
    assert told["settings"]["valid_threshold"] == 0.4
    assert all(row.name in table(found) for row in found.rows)


def test_infinite_errors_are_null_in_json_and_drawn_as_gaps(
    truth: Trajectory, tmp_path: Path
) -> None:
    found = measured(Explosive(), marked(truth, 3))
    with RunFolder(tmp_path) as folder:
        file = write_evaluation(found, folder, SimulatorRecipe.of("spring", 0, SMALL))
    rows = json.loads(file.with_name(f"{file.stem}.json").read_text())["rows"]
    assert rows[0]["p99"] is None and rows[0]["median"] is not None
    assert next(csv.DictReader(file.read_text().splitlines()))["p99"] == "inf"
    median, worst = (
        line.get_ydata() for line in evaluation_figure(found, "springs").axes[0].get_lines()[:2]
    )
    assert np.isfinite(median).all() and np.isnan(worst[-1])


def test_the_median_of_the_table_is_the_one_of_the_figure(truth: Trajectory) -> None:
    found = measured(Springs(1.1), truth.systems(torch.arange(4)), RolloutProtocol(steps=1))
    rows = {row.name: row for row in found.rows}
    drawn = evaluation_figure(found, "springs").axes[2].get_lines()[0].get_ydata()
    assert rows["own_energy_change"].median == pytest.approx(drawn[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("coupling", "needs"), [("none", None), ("charges", 3), ("response", 3), ("source", 3)]
)
def test_hidden_numbers_belong_to_the_bodies_of_the_training(
    truth: Trajectory, coupling: str, needs: int | None
) -> None:
    network = RadialNetwork((), 4, torch.Generator().manual_seed(0))
    model = CoupledPairs(network, Structure(coupling), 3).double()
    model.x.copy_(torch.linspace(0.1, 0.3, len(model.x)))
    trained = TrainedSimulator.of_pairs(Fitted(model, 0.1, {}), TrainingConfig(), truth)
    assert trained.bodies == needs
    how = RolloutProtocol("kahan_li8", steps=10)
    # the motion of the network itself, as a file has it that gives no masses
    start = replace(truth[0], p=truth[0].velocity, attributes={})
    moving = Simulator(trained.model, KahanLi8()).rollout(start, truth.t)
    file = replace(moving, p=moving.velocity, attributes={})
    found = medians(evaluate(trained, file, how, None, lambda *told: None))
    assert max(found[name] for name in ("q_rmse", "p_rmse", "momentum_error")) < 1e-12
    assert found["angular_momentum_error"] < 1e-10
    more = simulate("spring", trajectories=1, bodies=4, dim=2, frames=11, interval=0.05)
    if needs is None:
        how.require(trained, more)
    else:
        with pytest.raises(InputError, match=r"systems of 3 bodies.*inferred for each body"):
            how.require(trained, more)


def test_unknown_particles_and_other_steps_are_refused_before_a_rollout(truth: Trajectory) -> None:
    shape = Shape(2, 3, (), types=(5,), history=2)
    model = SIMULATORS["gns"](shape, 4, torch.Generator().manual_seed(0))
    config = SimulatorConfig(model="gns", history=2, hidden=4, passes=1)
    interval = float(truth.t[1] - truth.t[0])
    trained = TrainedSimulator.of_simulator(FittedSimulator(model, config, interval, 0.0))
    types = torch.full((truth.num_nodes,), 5.0, dtype=torch.float64)
    water = replace(truth, attributes={**truth.attributes, "particle_type": types})
    RolloutProtocol().require(trained, water)
    sand = replace(truth, attributes={**truth.attributes, "particle_type": types + 1})
    with pytest.raises(InputError, match="particle_type: wanted those of the training, 5, found 6"):
        RolloutProtocol().require(trained, sand)
    with pytest.raises(InputError, match=r"--dt: .* 'gns' knows no other"):
        RolloutProtocol(factor=2.0).require(trained, water)
    slow = replace(water, t=3 * water.t)
    with pytest.raises(
        InputError, match=r"data: .* frames 0\.15 apart; give data with frames 0\.05"
    ):
        RolloutProtocol().require(trained, slow)


class Flung(Jump):
    """Puts bodies so many boxes away that nobody can tell who is near."""

    def __init__(self) -> None:
        super().__init__()
        self.near = NeighbourList(0.5, 0.1)

    def jump(self, state: State, dt: float | torch.Tensor) -> State:
        self.near.pairs(state.q, state.batch, state.box)
        far = torch.where(state.attributes["charge"][:, None] == 7, 1e15, 1.0)
        return state.moved(state.q * far, state.p)


def test_who_flies_off_in_a_box_diverges_and_does_not_end_the_others(truth: Trajectory) -> None:
    boxed = replace(marked(truth, 3), box=torch.full((2,), 9.0, dtype=torch.float64))
    found = rolled_out(Simulator(Flung(), Jumps()), boxed)
    assert lost(found).tolist() == [False, False, False, True, False]
    assert torch.equal(found.q[-1, :3], boxed.q[0, :3])
