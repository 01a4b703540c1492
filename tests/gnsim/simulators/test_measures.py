"""What is said of a rollout beside its errors: baselines, materials, walls, fewer steps."""

from dataclasses import replace

import pytest
import torch

from gnsim.dynamics import Jump
from gnsim.simulators import Evaluation, RolloutProtocol, TrainedSimulator, evaluate
from gnsim.simulators.baselines import baselines
from gnsim.state import State, Trajectory, Units
from gnsim.visualize.evaluation import evaluation_figure


@pytest.fixture(autouse=True)
def quick_clouds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many systems were looked at, each time that distances of clouds were asked for."""
    seen = []

    def apart(predicted: State, true: State) -> torch.Tensor:
        seen.append(true.num_systems)
        return (predicted.q - true.q).square().sum() * torch.ones(true.num_systems).double()

    monkeypatch.setattr("gnsim.simulators.measures.sinkhorn_distance", apart)
    return seen


class Falling(Jump):
    """All bodies fall, as if that had been learned from so much of gravity."""

    def __init__(self, gravity: float) -> None:
        super().__init__()
        self.gravity = gravity

    def jump(self, state: State, dt: float | torch.Tensor) -> State:
        v = state.velocity
        v = v - torch.tensor([0.0, self.gravity], dtype=v.dtype) * dt
        return state.after(state.q + dt * v, state.mass[:, None] * v)


def fall(systems: int = 2, frames: int = 31, **more: object) -> Trajectory:
    """Three bodies a system that fall with an acceleration of 1 in steps of .1."""
    step = torch.arange(frames, dtype=torch.float64)
    v = torch.randn(3 * systems, 2, dtype=torch.float64)
    v = v - 0.1 * step[:, None, None] * torch.tensor([0.0, 1.0])
    q = torch.randn(3 * systems, 2, dtype=torch.float64) + 0.1 * v.cumsum(0)
    batch = torch.arange(systems).repeat_interleave(3)
    return Trajectory(0.1 * step, q, v, batch, **more)


def simulator(gravity: float, remembered: int = 3, **settings: object) -> TrainedSimulator:
    model = Falling(gravity)
    told = {"model": "falling", **settings}
    return TrainedSimulator(
        "falling", model, 2, (), None, "", "jumps", 0.1, 1, told, remembered=remembered
    )


def measured(trained: TrainedSimulator, truth: Trajectory, steps: int | None = None) -> Evaluation:
    return evaluate(trained, truth, RolloutProtocol(steps=steps), None, lambda *told: None)


def medians(found: Evaluation) -> dict[str, float]:
    return {row.name: row.median for row in found.rows}


def test_baselines_go_on_from_what_the_simulator_sees() -> None:
    rows = medians(measured(simulator(0.9), fall()))
    assert rows["q_rmse_of_constant_acceleration"] < 1e-12
    assert 1e-12 < rows["q_rmse"] < rows["q_rmse_of_constant_velocity"]
    # of no past there is no acceleration to be known
    rows = medians(measured(simulator(0.9, remembered=0), fall()))
    assert "q_rmse_of_constant_acceleration" not in rows


def test_baselines_hold_what_is_held() -> None:
    truth = fall(1)
    held = replace(truth, attributes={"fixed": torch.tensor([1.0, 0.0, 0.0]).double()})
    for of, still in ((held, True), (truth, False)):
        paths = baselines(of.frames(slice(5, None)), of.q[:5])
        velocity = of.q[5, 0] - of.q[4, 0]
        moved = paths["constant_acceleration"].q[:, 0].diff(dim=0)
        assert torch.allclose(moved, velocity.expand_as(moved)) is still


def test_baselines_cross_the_sides_of_a_box() -> None:
    truth = fall(1)
    box = torch.tensor([4.0, 4.0], dtype=torch.float64)
    at_a_side = truth.q - truth.q[4:6, :1].mean(0)  # the first body passes it after frame 4
    boxed = replace(truth, q=at_a_side.remainder(4.0), box=box)
    for of, right in ((boxed, True), (replace(boxed, box=None), False)):
        found = baselines(of.frames(slice(5, None)), of.q[:5])["constant_acceleration"]
        off = (found.q - found.q[0]) - (truth.q[5:] - truth.q[5])
        assert (float(off.abs().max()) < 1e-9) is right


def test_fewer_steps_give_the_same_times() -> None:
    truth = fall()
    wrong = simulator(-4.0)
    whole, some = (medians(measured(wrong, truth, steps)) for steps in (None, 15))
    assert 0 < whole["valid_prediction_time"] < 1.5
    assert some["valid_prediction_time"] == whole["valid_prediction_time"]
    diverged = [medians(measured(simulator(-400.0), truth, k)) for k in (None, 15)]
    assert diverged[0]["divergence_time"] == diverged[1]["divergence_time"] < 1.5


MATERIAL = {"position_mse", "position_mse_20", "sinkhorn_distance", "kinetic_energy_rmse"}


@pytest.mark.parametrize(
    ("remembered", "settings", "attributes", "there"),
    [
        (0, {}, {}, False),
        (3, {}, {}, True),
        (0, {"radius": 0.5}, {}, True),
        (0, {"radius": None}, {"particle_type": torch.ones(6).double()}, True),
    ],
)
def test_materials_are_known_by_simulator_or_data(
    remembered: int, settings: dict, attributes: dict, there: bool
) -> None:
    truth = fall(attributes=attributes)
    rows = medians(measured(simulator(0.9, remembered, **settings), truth))
    assert (set(rows) & MATERIAL) == (MATERIAL if there else set())


@pytest.mark.parametrize(("systems", "clouds", "of"), [(1, 10, 1), (3, 6, 3), (25, 1, 20)])
def test_so_many_clouds_are_compared_and_no_more(
    systems: int, clouds: int, of: int, quick_clouds: list[int]
) -> None:
    rows = medians(measured(simulator(0.9), fall(systems)))
    assert quick_clouds == [of] * clouds
    assert 0 < rows["sinkhorn_distance"] < torch.inf


def test_who_leaves_the_walls_is_told_of_prediction_and_truth() -> None:
    truth = fall()
    floor = float(truth.q[..., 1].min()) + 0.5
    walls = torch.tensor([[-1e9, floor], [1e9, torch.inf]], dtype=torch.float64)
    found = measured(simulator(2.0), replace(truth, walls=walls))
    rows = {row.name: row for row in found.rows}
    assert rows["beyond_walls_of_truth"].p99 == pytest.approx(0.5, abs=0.01)
    assert rows["beyond_walls"].p99 > 2.0
    assert "beyond_walls" not in medians(measured(simulator(2.0), truth))


class Ending(Falling):
    """The first system has no place from the tenth frame on."""

    def jump(self, state: State, dt: float | torch.Tensor) -> State:
        later = super().jump(state, dt)
        ends = (state.attributes["ends"] > 0) & (state.q[:, 1] < -1.0)
        return later.moved(torch.where(ends[:, None], torch.nan, later.q), later.p)


def test_the_figure_has_units_and_counts_and_marks_ends() -> None:
    ends = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    truth = fall(units=Units("m", "s", "kg"), attributes={"ends": ends})
    trained = replace(simulator(0.9), model=Ending(0.9))
    figure = evaluation_figure(found := measured(trained, truth), "drops")
    position, squares = figure.axes
    assert position.get_title(loc="left").splitlines() == [
        "drops, 2 trajectories of 3 bodies",
        "falling by Jumps in steps of 0.1 s",
    ]
    assert squares.get_ylabel() == "position MSE (m^2)"
    assert squares.get_xlabel() == "time (s)"
    (cross,) = [line for line in position.get_lines() if line.get_label() == "ended"]
    lost = int(found.curves["position"][:, 0].isfinite().sum()) - 1
    assert cross.get_xdata().tolist() == [pytest.approx(0.1 * lost)]
    alive = measured(simulator(0.9), fall(1))
    (position, _) = evaluation_figure(alive, "drops").axes
    assert "1 trajectory of 3 bodies" in position.get_title(loc="left")
    assert [line.get_label() for line in position.get_lines()] == ["error", "valid below"]
