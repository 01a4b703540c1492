"""Learned simulators learn through their integrator, go on where they stood, and are kept."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnsim.config import parse_settings
from gnsim.datasets.systems import simulate
from gnsim.errors import InputError, NonFiniteError
from gnsim.integrators import RK4, Jumps
from gnsim.models.learned import Learned
from gnsim.models.scales import Shape
from gnsim.models.simulators import SIMULATORS
from gnsim.state import Trajectory
from gnsim.training.checkpoint import load, save
from gnsim.training.simulator_config import SimulatorConfig, method, untrained
from gnsim.training.simulator_fit import FittedSimulator, fit_simulator
from gnsim.training.window_errors import StepsOfFrames, window_errors

SMALL = SimulatorConfig(steps=6, save_every=3, graphs=6, hidden=6)
LEARNING = replace(SMALL, steps=80, save_every=80, graphs=40, hidden=24, learning_rate=1e-2)
every = pytest.mark.parametrize("name", SIMULATORS)


@pytest.fixture(scope="module")
def springs() -> tuple[Trajectory, Trajectory]:
    settings = {"bodies": 3, "dim": 2, "frames": 20, "equal_masses": True}
    path = simulate("spring", trajectories=24, **settings)
    return path.systems(torch.arange(20)), path.systems(torch.arange(20, 24))


class StoppedError(Exception):
    pass


def trained(
    config: SimulatorConfig,
    springs: tuple[Trajectory, Trajectory],
    folder: Path | None = None,
    seed: int = 0,
    stop: int = -1,
) -> FittedSimulator:
    def told(step: int, steps: int, error: float) -> None:
        if step == stop:
            raise StoppedError

    return fit_simulator(*springs, config, seed, folder, "springs", told)


def same(a: FittedSimulator, b: FittedSimulator) -> bool:
    pairs = zip(a.model.state_dict().values(), b.model.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@every
def test_what_was_stopped_ends_in_the_same_bits(
    name: str, springs: tuple[Trajectory, Trajectory], tmp_path: Path
) -> None:
    config = replace(SMALL, model=name, **({} if name == "gns" else {"longest": 2, "window": 2}))
    whole = trained(config, springs)
    with pytest.raises(StoppedError):
        trained(config, springs, tmp_path, stop=3)
    assert same(trained(config, springs, tmp_path), whole)
    assert not same(trained(config, springs, seed=1), whole)
    rows = (tmp_path / "training.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "3", "6"]
    assert float(rows[-1].split(",")[2]) == whole.validation_error


@every
def test_it_learns(name: str, springs: tuple[Trajectory, Trajectory]) -> None:
    config = replace(LEARNING, model=name)
    before = trained(replace(config, steps=1, learning_rate=1e-9), springs).validation_error
    assert trained(config, springs).validation_error < 0.75 * before


def test_steps_within_a_window_may_adapt(springs: tuple[Trajectory, Trajectory]) -> None:
    """By dopri5 the same is learned as by RK4, which is as good as exact here; not as by Euler."""
    config = replace(LEARNING, model="hogn-separable", steps=8)
    found = {
        name: trained(replace(config, integrator=name), springs).model.state_dict()
        for name in ("dopri5", "rk4", "euler")
    }
    apart = {
        name: max(float((found[name][k] - v).abs().max()) for k, v in found["dopri5"].items())
        for name in ("rk4", "euler")
    }
    assert apart["rk4"] < 0.1 * apart["euler"]


def test_nothing_is_learned_from_frames_that_do_not_belong_together(
    springs: tuple[Trajectory, Trajectory],
) -> None:
    """The broken variant of the above: each start has the end of another system."""
    train, valid = springs
    systems = torch.arange(train.num_systems)
    other = train.systems(systems.roll(1))
    broken = replace(
        train,
        q=torch.where(torch.arange(len(train))[:, None, None] % 2 == 0, train.q, other.q),
        p=torch.where(torch.arange(len(train))[:, None, None] % 2 == 0, train.p, other.p),
    )
    config = replace(LEARNING, model="ogn")
    before = trained(replace(config, steps=1, learning_rate=1e-9), springs).validation_error
    assert fit_simulator(broken, valid, config, 0).validation_error > before


def test_the_true_motion_misses_nothing_and_errors_are_rates(
    springs: tuple[Trajectory, Trajectory],
) -> None:
    path = springs[0]
    model = untrained(path, replace(SMALL, model="delta", precision="float64"), 0)
    window = StepsOfFrames(path, 1, range(2, 3)).sample(5, torch.Generator())
    assert float(window.t[1]) == pytest.approx(2 * float(path.t[1]))

    def beside(amount: float) -> torch.Tensor:
        scales, dt = model.scales, window.t[1]
        end = window[1]
        off = (end.q + amount * dt * scales.velocity, end.p + amount * dt * scales.force)
        model.jump = lambda state, dt: state.moved(*off)  # type: ignore[method-assign]
        return window_errors(model, model.scales, Jumps(), window, 1)

    assert beside(0.0).abs().max() < 1e-12
    assert beside(0.5).mean() == pytest.approx(0.5)


def test_errors_are_to_the_nearest_image(springs: tuple[Trajectory, Trajectory]) -> None:
    box = torch.tensor([5.0, 6.0], dtype=torch.float64)
    path = replace(springs[0], box=box)
    model = untrained(path, replace(SMALL, model="ogn", precision="float64"), 0)
    errors = [
        window_errors(
            model, model.scales, RK4(), StepsOfFrames(one, 1, range(1, 2)).spread(20)[0], 1
        )
        for one in (path, replace(path, q=path.q % box))
    ]
    assert (path.q % box - path.q).abs().max() > 1
    assert (errors[0] - errors[1]).abs().max() < 1e-9


def test_batches_have_one_step_each_of_those_to_be_drawn(
    springs: tuple[Trajectory, Trajectory],
) -> None:
    windows = StepsOfFrames(springs[0], 2, range(1, 5))
    drawn = [windows.sample(3, torch.Generator().manual_seed(k)) for k in range(40)]
    steps = {round(float(path.t[1] / springs[0].t[1])) for path in drawn}
    assert steps == {1, 2, 3, 4}
    assert all(len(path) == 3 for path in drawn)
    again = windows.sample(3, torch.Generator().manual_seed(7))
    assert torch.equal(again.q, drawn[7].q)
    assert len(windows.spread(10)) == 4


def test_a_loss_that_is_not_finite_stops_the_run(springs: tuple[Trajectory, Trajectory]) -> None:
    train, valid = springs
    broken = replace(train, p=1e300 * train.p)
    with pytest.raises(NonFiniteError, match="training step 0: the loss is"):
        fit_simulator(broken, valid, SMALL, 0)


@every
def test_what_is_saved_is_read_back(
    name: str, springs: tuple[Trajectory, Trajectory], tmp_path: Path
) -> None:
    config = replace(SMALL, model=name, steps=1)
    fitted = trained(config, springs)
    file = fitted.save(tmp_path / "model.ckpt", "springs")
    again = FittedSimulator.load(file, config, "springs")
    assert same(again, fitted)
    assert again.interval == fitted.interval
    with pytest.raises(InputError, match="other data"):
        FittedSimulator.load(file, config, "planets")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hidden": 10**9}, "a plan whose hidden is 1000000000"),
        ({"model": "os.system"}, "a plan whose model is 'os.system'"),
        ({"hidden": 7}, "a plan whose hidden is 7"),
        ({"dim": 3}, "size mismatch"),
        ({"attributes": [[]]}, "no names"),
        ({"dim": -1}, "dim = -1"),
        ({"radius": -1.0}, "a plan whose radius is -1"),
    ],
)
def test_a_plan_from_elsewhere_is_refused(
    change: dict, named: str, springs: tuple[Trajectory, Trajectory], tmp_path: Path
) -> None:
    config = replace(SMALL, model="ogn", steps=1)
    file = trained(config, springs).save(tmp_path / "model.ckpt")
    made = load(file)
    plan = {**made.header["simulator"], **change}
    save(file, made.tensors, {**made.header, "simulator": plan})
    with pytest.raises(InputError, match=named):
        FittedSimulator.load(file, config)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["model=hgon"], "simulator.model: 'hgon' is unknown; did you mean 'hogn'"),
        (["loss=square"], "did you mean 'squared'"),
        (["integrator=rk5"], "simulator.integrator: 'rk5' is unknown; did you mean"),
        (["integrator=leapfrog"], "needs a separable Hamiltonian"),
        (["model=delta", "integrator=rk4"], "DeltaGN jumps"),
        (["model=ogn", "integrator=jumps"], "OGN has a right-hand side"),
        (["shortest=3", "longest=2"], "simulator.longest: wanted at least"),
        (["hidden=5000"], "simulator.hidden: wanted at most 4096, found 5000"),
        (["window=0"], "simulator.window: wanted 1 or more"),
        (["radius=0"], "simulator.radius: wanted a length above 0, found 0"),
        (["radius=inf"], "simulator.radius: wanted a length above 0, found inf"),
        (["radius=1", "model=mlp"], "sees a system as a whole; name a graph model"),
        (["model=gns", "window=2"], "simulator.window: wanted 1 with 'gns', found 2"),
        (["model=ogn", "noise=0.1"], "simulator.noise: wanted 0.3 with 'ogn', found 0.1"),
        (["model=gns", "noise=-1"], "simulator.noise: wanted at least 0"),
        (["model=ogn", "precision=bfloat16"], "did you mean|there are: float32, float64"),
        (["model=gns", "passes=101"], "simulator.passes: wanted at most 100, found 101"),
        (["model=gns", "history=0"], "simulator.history: wanted 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: list[str], named: str) -> None:
    with pytest.raises(InputError, match=named):
        parse_settings(SimulatorConfig, settings)


def test_every_model_has_its_usual_integrator(springs: tuple[Trajectory, Trajectory]) -> None:
    for name in SIMULATORS:
        model = untrained(springs[0], replace(SMALL, model=name), 0)
        jumps = name in ("delta", "gns", "interaction")
        assert isinstance(method("auto", model), Jumps if jumps else RK4)


def test_a_radius_is_learned_with_and_kept(
    springs: tuple[Trajectory, Trajectory], tmp_path: Path
) -> None:
    config = replace(SMALL, model="ogn", steps=1, radius=1.5)
    fitted = trained(config, springs)
    assert float(fitted.model.scales.length) == 1.5
    again = FittedSimulator.load(fitted.save(tmp_path / "model.ckpt"), config)
    assert again.model.shape.radius == 1.5
    state = springs[1].to(torch.float32)[3]
    found, expected = (one.model.vector_field(state)[1].detach() for one in (again, fitted))
    assert torch.equal(found, expected)
    everywhere = replace(fitted.model.shape, radius=100.0)
    assert not torch.equal(expected, swapped(fitted.model, everywhere).vector_field(state)[1])


def swapped(model: Learned, shape: Shape) -> Learned:
    """The same weights and scales in another shape."""
    other = type(model)(shape, model.hidden, torch.Generator())
    other.load_state_dict(model.state_dict())
    return other


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            {"box": torch.full((2,), 2.0)},
            "at most half of the smallest side of the box, 1, found 1.5",
        ),
        ({"bonds": torch.tensor([[1], [0]])}, "wanted none with data that have bonds, found 1.5"),
        ({}, "found 1e-09, and no two that are so near"),
    ],
)
def test_a_radius_that_data_cannot_have_is_refused(
    change: dict, named: str, springs: tuple[Trajectory, Trajectory], tmp_path: Path
) -> None:
    train, valid = (replace(part, **change) for part in springs)
    config = replace(SMALL, radius=1.5 if change else 1e-9)
    with pytest.raises(InputError, match=named):
        fit_simulator(train, valid, config, 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_many_pairs_ask_for_a_radius(springs: tuple[Trajectory, Trajectory]) -> None:
    """Or for a smaller one, or a smaller batch: of as many as are held at a time."""
    train = springs[0]
    config = replace(SMALL, model="ogn", graphs=300_000)
    words = r"radius: wanted one, .* has 900000 pairs .* simulator.graphs=266666 or fewer"
    with pytest.raises(InputError, match=words):
        untrained(train, config, 0)
    untrained(train, replace(config, graphs=266_666), 0)
    untrained(train, replace(config, radius=0.5), 0)
    with pytest.raises(InputError, match=r"radius: wanted a smaller one, .* has [89]\d{5} pairs"):
        untrained(train, replace(config, radius=20.0), 0)
    untrained(train, replace(config, model="mlp"), 0)
    gns = replace(SMALL, model="gns", graphs=30_000, window=1)
    with pytest.raises(InputError, match=r"has 900000 pairs .*, each in 10 passes"):
        untrained(train, gns, 0)
    untrained(train, replace(gns, passes=2), 0)
