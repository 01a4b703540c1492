"""``gnsim evaluate``: on which data, what it leaves, and what it refuses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from simulator_runs import SOURCE, TINY, refused

from gnsim.cli import run
from gnsim.datasets import read, simulate, write
from gnsim.errors import InputError
from gnsim.simulators import SimulatorRecipe
from gnsim.simulators.tested_on import elsewhere
from gnsim.state import Trajectory, Units
from gnsim.training.checkpoint import load, save

pytestmark = pytest.mark.usefixtures("undrawn")


def test_evaluations_of_other_steps_and_data_stand_beside_each_other(trained: Path) -> None:
    for more in (
        ["--integrator", "implicit_midpoint", "--dt", "0.5"],
        ["data.bodies=5"],
        ["data.bodies=5", "data.seed=9"],
        ["--on", "r2", "data.dim=2", "data.frames=40", "data.trajectories=5", "--steps", "2"],
    ):
        assert run(["evaluate", str(trained), *more]) == 0
    files = sorted((trained / "evaluation").glob("*.json"))
    told = {file.stem: json.loads(file.read_text()) for file in files}
    assert len(told) == 4
    assert len({t["data"]["content_hash"] for t in told.values()}) == 4
    data = {(t["data"]["source"], t["data"]["settings"]["seed"]): t["data"] for t in told.values()}
    assert set(data) == {("spring", 0), ("spring", 1), ("spring", 9), ("r2", 0)}
    assert [key for key, value in data.items() if value["own"]] == [("spring", 0)]
    assert data["spring", 9]["settings"]["bodies"] == 5
    assert all(
        t["data"]["own"] or t["data"]["content_hash"][:8] in name for name, t in told.items()
    )
    assert {tuple(t["settings"]["bodies"]) for t in told.values()} == {(3,), (4,), (5,)}
    assert all(t["versions"]["torch"] for t in told.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--integrator", "leapfrog"], "needs a separable Hamiltonian"),
        (["--integrator", "rk5"], "--integrator: 'rk5' is unknown; did you mean"),
        (["--integrator", "jumps"], "has a right-hand side"),
        (["--dt", "0.7"], "give another factor"),
        (["--dt", "-1"], "--dt: wanted a factor from 0.0001 to 10000, found -1"),
        (["--dt", "1e-310"], "--dt: wanted a factor from"),
        (["--dt", "1e5"], "--dt: wanted a factor from"),
        (["--dt", "nan"], "--dt: wanted a factor from"),
        (["--steps", "8"], "--steps: wanted at most 7"),
        (["data.dim=3"], "wanted 2 dimensions"),
        (["data.bodis=3"], "did you mean 'data.bodies'"),
        (["simulator.hidden=3"], "the simulator is trained"),
        (["data.seed=0", "data.trajectories=9"], "data.seed: wanted another than 0"),
        (["--on", "spring", "data.seed=0", "data.trajectories=9"], "data.seed: wanted another"),
        (["--on", "sprng"], "did you mean 'spring'"),
    ],
)
def test_what_cannot_be_evaluated_is_said(
    arguments: list[str], words: str, trained: Path, capsys: pytest.CaptureFixture
) -> None:
    before = set(trained.rglob("*"))
    assert words in refused(["evaluate", str(trained), *arguments], capsys)
    assert set(trained.rglob("*")) == before


def test_what_stands_in_the_way_of_the_tables_is_named(
    of_a_file: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    folder = shutil.copytree(of_a_file[1], tmp_path / "run", ignore=lambda *_: ["evaluation"])
    (folder / "evaluation").write_text("mine")
    assert "evaluation: wanted a folder" in refused(["evaluate", str(folder)], capsys)
    assert (folder / "evaluation").read_text() == "mine"


def test_a_perceptron_is_for_one_number_of_bodies(
    of_a_file: tuple[Path, Path], capsys: pytest.CaptureFixture
) -> None:
    folder = of_a_file[1]
    before = set(folder.rglob("*"))
    more = ["--on", "spring", "data.trajectories=5", "data.frames=8", "data.dim=2"]
    assert "wanted systems of 3 bodies" in refused(["evaluate", str(folder), *more], capsys)
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize("interval", [0.0, -1.0, float("inf"), float("nan")])
def test_a_model_of_no_step_is_refused_by_name(
    interval: float, of_a_file: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    folder = shutil.copytree(of_a_file[1], tmp_path / "run")
    checkpoint = load(folder / "model.ckpt")
    # a number in words is read as one
    header = {**checkpoint.header, "interval": str(interval)}
    save(folder / "model.ckpt", dict(checkpoint.tensors), header)
    assert "model.ckpt: header" in refused(["evaluate", str(folder)], capsys)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pairs"
    few = ["training.steps=30", "training.coupling=none", "training.terms=none"]
    arguments = [*SOURCE, "data.equal_masses=true", *few]
    assert run(["train", *arguments, "--out", str(folder)]) == 0
    return folder


def test_a_network_of_pairs_is_evaluated_like_the_others(
    pairs: Path, capsys: pytest.CaptureFixture
) -> None:
    """Its own energy and all momenta are kept by construction, however little it has learned."""
    assert run(["evaluate", str(pairs), "--dt", "0.5"]) == 0
    assert "pairs, Yoshida4, steps of" in capsys.readouterr().out
    (file,) = (pairs / "evaluation").glob("Yoshida4-dt0.5-*states.json")
    found = json.loads(file.read_text())
    kept = {row["name"]: row["median"] for row in found["rows"]}
    assert found["settings"]["model"] == "pairs" and found["settings"]["factor"] == 0.5
    assert max(kept["momentum_error"], kept["angular_momentum_error"]) < 1e-12
    assert kept["own_energy_change"] < 1e-3 < kept["q_rmse"]
    # Euler's method keeps neither energy nor angular momentum
    assert run(["evaluate", str(pairs), "--integrator", "euler"]) == 0
    (file,) = (pairs / "evaluation").glob("Euler-*states.json")
    lost = {row["name"]: row["median"] for row in json.loads(file.read_text())["rows"]}
    assert lost["own_energy_change"] > 20 * kept["own_energy_change"]
    assert lost["angular_momentum_error"] > 1e-5
    # and it runs for any number of bodies
    assert run(["evaluate", str(pairs), "data.bodies=4"]) == 0


def test_other_data_of_the_same_source_are_not_those_of_the_training(trained: Path) -> None:

    recipe = SimulatorRecipe.read(trained)
    assert elsewhere(recipe, None, []) is recipe
    more = elsewhere(recipe, None, ["data.trajectories=10"])
    assert (more.data.seed, more.data.bodies) == (recipe.data.seed + 1, 3)
    assert elsewhere(recipe, None, ["data.seed=7"]).data.seed == 7
    assert elsewhere(recipe, None, ["data.seed=0"]) is recipe
    again = elsewhere(recipe, "spring", [])
    assert (again.data.seed, again.data.bodies) == (recipe.data.seed + 1, 3)
    learned = starts(recipe.dataset.train) | starts(recipe.dataset.valid)
    for other in (again, more, recipe):
        assert not learned & starts(other.dataset.test)
    # with the seed of the training some would be
    same = [replace(recipe.data, trajectories=count) for count in range(6, 12)]
    assert any(learned & starts(replace(recipe, data=data).dataset.test) for data in same)


def starts(part: Trajectory) -> set[tuple[float, ...]]:
    """Where each system begins."""
    systems = part.q[0].split(part.batch.bincount().tolist())
    return {tuple(q.flatten().tolist()) for q in systems}


@pytest.fixture(scope="module")
def of_a_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file, and the folder of what was trained on it."""
    folder = tmp_path_factory.mktemp("files")
    file = folder / "a.h5"
    write(file, simulate("spring", trajectories=10, bodies=3, dim=2, frames=8))
    into = ["--model", "mlp", "--out", str(folder / "run")]
    assert run(["train", str(file), *TINY, *into]) == 0
    return file, folder / "run"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"units": Units("km", "s", "kg")}, "units: wanted those of the training, none, found km"),
        (
            {"box": torch.tensor([9.0, 9.0], dtype=torch.float64)},
            "wanted open space, as in the training, found a periodic box",
        ),
    ],
)
def test_data_in_other_units_or_another_space_are_refused(
    changed: dict[str, object],
    words: str,
    of_a_file: tuple[Path, Path],
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
) -> None:
    other = simulate("spring", trajectories=5, bodies=3, dim=2, frames=8, seed=1)
    write(tmp_path / "b.h5", replace(other, **changed))
    command = ["evaluate", str(of_a_file[1]), "--on", str(tmp_path / "b.h5")]
    assert words in refused(command, capsys)


def test_a_file_is_not_split_anew_to_be_tested_on(
    of_a_file: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    file, folder = of_a_file
    for more in (["data.seed=1"], ["--on", str(file), "data.seed=1"]):
        assert "would be split anew" in refused(["evaluate", str(folder), *more], capsys)
    copy = shutil.copy(file, tmp_path / "copy.h5")
    on_copy = ["evaluate", str(folder), "--on", str(copy)]
    assert "wanted trajectories that were not learned from" in refused(on_copy, capsys)
    assert "data.seed': wanted none with a file" in refused([*on_copy, "data.seed=1"], capsys)
    assert not (folder / "evaluation").exists()
    assert run(["evaluate", str(folder), "--on", str(file)]) == 0
    told = capsys.readouterr().out
    assert "the held-out part of a.h5, 2 trajectories" in told
    assert (
        "no true energy: the law of these data is not known" in told and "energy_rmse" not in told
    )
    (json_file,) = (folder / "evaluation").glob("*.json")
    assert json_file.stem == "RK4-dt1-7states"


def test_settings_of_what_a_sample_was_made_by_name_their_source() -> None:
    sample = SimulatorRecipe.of("water-drop-sample", 0)
    with pytest.raises(InputError, match=r"give --on water-drop data\.particles=300, which"):
        elsewhere(sample, None, ["data.particles=300"])
    with pytest.raises(InputError, match=r"did you mean 'data\.seed'"):
        elsewhere(sample, None, ["data.sed=300"])


def test_all_of_another_file_is_tested_on(
    of_a_file: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    """Also one that is too short to be split, where the part to test would be cut out of time."""
    other = simulate("spring", trajectories=2, bodies=3, dim=2, frames=5, seed=1)
    write(tmp_path / "b.h5", other)
    on_b = [str(of_a_file[1]), "--on", str(tmp_path / "b.h5")]
    assert run(["evaluate", *on_b]) == 0
    told = "all of b.h5, 2 trajectories of 3 bodies, compared at 4 times"
    assert told in capsys.readouterr().out
    (file,) = (of_a_file[1] / "evaluation").glob("*-b-*.json")
    assert json.loads(file.read_text())["data"]["tested"] == "all of b.h5"
    assert run(["rollout", *on_b, "--out", str(tmp_path / "path.npz")]) == 0
    assert "all of b.h5: 4 steps" in capsys.readouterr().out
    assert torch.equal(read(tmp_path / "path.npz").q[0], other.q[0])


def test_a_file_with_uneven_times_is_not_tested_on(
    of_a_file: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    other = simulate("spring", trajectories=2, bodies=3, dim=2, frames=8, seed=1)
    write(tmp_path / "b.h5", replace(other, t=other.t**1.1))
    command = ["evaluate", str(of_a_file[1]), "--on", str(tmp_path / "b.h5")]
    assert "data: t[1]" in (said := refused(command, capsys)) and "wanted even steps" in said


def test_of_a_folder_the_part_for_tests_is_tested_on(
    of_a_file: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    for seed, part in enumerate(("train", "valid", "test"), 1):
        path = simulate("spring", trajectories=seed, bodies=3, dim=2, frames=8, seed=seed)
        write(tmp_path / f"{part}.h5", path)
    assert run(["evaluate", str(of_a_file[1]), "--on", str(tmp_path)]) == 0
    assert f"test.h5 of {tmp_path.name}, 3 trajectories" in capsys.readouterr().out
