"""``gnsim train --model`` and ``gnsim evaluate``: what they leave, refuse and go on with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gnsim.cli import run
from gnsim.datasets import load as load_data
from gnsim.datasets import read, simulate, write
from gnsim.errors import ExitCode
from gnsim.models.simulators import SIMULATORS
from gnsim.state import Trajectory, Units
from gnsim.training.checkpoint import load, save

ROOT = Path(__file__).parents[3]
DATA = {"trajectories": 5, "frames": 8, "bodies": 3, "dim": 2}
SOURCE = ["spring", *(f"data.{name}={value}" for name, value in DATA.items())]
TINY = ["simulator.steps=3", "simulator.hidden=4", "simulator.graphs=4"]
PAST = ["simulator.history=2", "simulator.passes=2"]


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures have a test of their own, and take most of the time of an evaluation."""
    monkeypatch.setattr("gnsim.simulators.files.rendered", lambda figure, kind: kind.encode())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "hogn"
    assert run(["train", *SOURCE, *TINY, "--model", "hogn", "--out", str(folder)]) == 0
    return folder


def refused(arguments: list[str], capsys: pytest.CaptureFixture) -> str:
    capsys.readouterr()
    assert run(arguments) == ExitCode.BAD_INPUT
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and out == ""
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "hgon"], "--model: 'hgon' is unknown; did you mean 'hogn'"),
        (["--model", "ogn", "simulator.stps=3"], "did you mean 'simulator.steps'"),
        (["--model", "ogn", "training.steps=3"], "is unknown"),
        (["--model", "ogn", "simulator.loss=l2"], "simulator.loss: 'l2' is unknown"),
        (["--model", "ogn", "simulator.steps=0"], "simulator.steps: wanted 1 or more"),
        (["--model", "hogn", "simulator.integrator=leapfrog"], "needs a separable Hamiltonian"),
        (["--model", "delta", "simulator.integrator=rk4"], "DeltaGN jumps"),
        (["--model", "ogn", "simulator.window=40"], "a window of 40 steps"),
        (["--model", "ogn", "simulator.radius=1e-9"], "no two that are so near"),
        (["--model", "ogn", "--time-limit", "60"], "--time-limit: wanted none"),
    ],
)
def test_wrong_names_and_settings_make_no_folder(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(["train", *SOURCE, *arguments], capsys)
    assert os.listdir() == []


def test_every_model_is_named_in_the_help(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["train", "--help"]) == 0
    (told,) = re.findall(r"NAME\s+(.*?)\.", capsys.readouterr().out)
    assert set(re.split(", | or ", told)) == {"pairs", *SIMULATORS}


@pytest.mark.parametrize("name", SIMULATORS)
def test_each_trains_and_is_evaluated(
    name: str, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    folder = tmp_path / name
    more = PAST if name == "gns" else []
    assert run(["train", *SOURCE, *TINY, *more, "--model", name, "--out", str(folder)]) == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.yaml", "model.ckpt", "training.csv", "checkpoints"}
    assert run(["evaluate", str(folder), "--steps", "3"]) == 0
    told = capsys.readouterr().out
    assert "valid_prediction_time" in told
    assert "energy_rmse" in told and "no true energy" not in told
    assert len(list((folder / "evaluation").iterdir())) == 4


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


def test_folders_of_the_other_kind_are_refused(
    trained: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    assert "holds the simulator 'hogn'" in refused(["distill", str(trained)], capsys)
    into = ["train", *SOURCE, "training.steps=2", "--out", str(trained)]
    assert "holds the simulator 'hogn'" in refused(into, capsys)
    other = ["train", *SOURCE, *TINY, "--model", "ogn", "--out", str(trained)]
    assert "simulator.model is hogn there, ogn now" in refused(other, capsys)
    (tmp_path / "config.yaml").write_text("source: spring\n")
    assert "no trained network yet" in refused(["evaluate", str(tmp_path)], capsys)
    other[-1] = str(tmp_path)
    assert "holds a network of pairs" in refused(other, capsys)
    (tmp_path / "law_given.json").write_text("{}")
    assert "holds what lies beyond a law" in refused(["evaluate", str(tmp_path)], capsys)
    assert "no such folder" in refused(["evaluate", "nowhere"], capsys)


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
    from gnsim.simulators import SimulatorRecipe
    from gnsim.simulators.tested_on import elsewhere

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
    on_copy = ["evaluate", str(folder), "--on", str(copy), "data.seed=1"]
    assert "wanted trajectories that were not learned from" in refused(on_copy, capsys)
    assert not (folder / "evaluation").exists()
    assert run(["evaluate", str(folder), "--on", str(file)]) == 0
    told = capsys.readouterr().out
    assert (
        "no true energy: the law of these data is not known" in told and "energy_rmse" not in told
    )
    (json_file,) = (folder / "evaluation").glob("*.json")
    assert json_file.stem == "RK4-dt1-7states"


def test_killed_and_started_again_it_ends_in_the_same_bits(tmp_path: Path) -> None:
    command = ["train", *SOURCE, "--model", "delta", "simulator.hidden=4", "simulator.graphs=4"]
    command += ["simulator.steps=120", "simulator.save_every=10"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run([*command, "--out", str(whole)]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "gnsim", *command, "--out", str(killed)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None and b"training: 10 of 120" in process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "model.ckpt").exists()
    assert run([*command, "--out", str(killed)]) == 0
    for name in ("model.ckpt", "training.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_rollouts_are_written_in_all_formats(
    trained: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    command = ["rollout", str(trained), "--steps", "3", "--out"]
    assert run([*command, str(tmp_path / "a.h5")]) == 0
    assert run([*command, str(tmp_path / "a.pvd")]) == 0
    assert run([*command, str(tmp_path / "theirs")]) == 0
    assert capsys.readouterr().out.count("3 steps, relative position error at the end") == 3
    path, truth = read(tmp_path / "a.h5"), load_data("spring", **DATA).test
    assert len(path) == 4
    assert torch.equal(path.q[0], truth.q[0])
    assert not torch.equal(path.q[1], truth.q[1])
    assert len(list((tmp_path / "a").glob("*.vtp"))) == 4
    with np.load(tmp_path / "theirs" / "rollout_0.npz") as theirs:
        np.testing.assert_array_equal(theirs["predicted_rollout"], path.q.float())
        np.testing.assert_array_equal(theirs["ground_truth_rollout"], truth.q[:4].float())


def test_rollouts_on_other_data_begin_after_what_is_remembered(
    capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    folder, out = tmp_path / "run", tmp_path / "a.npz"
    assert run(["train", *SOURCE, *TINY, *PAST, "--model", "gns", "--out", str(folder)]) == 0
    assert run(["rollout", str(folder), "data.bodies=5", "--out", str(out)]) == 0
    assert "5 steps, relative position error" in capsys.readouterr().out
    path = read(out)
    truth = load_data("spring", **{**DATA, "bodies": 5, "seed": 1}).test
    assert len(path) == len(truth) == 8
    assert torch.equal(path.q[:3], truth.q[:3])
    assert not torch.equal(path.q[3], truth.q[3])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--of", "law"], "--of: wanted network, the simulator of this run, found law"),
        (["--out", "a.txt"], "--out: wanted a file ending in .h5, .hdf5, .npz, .pvd"),
        (["--out", "no/such"], "--out: there is no folder 'no'"),
        (["--out", "no/such.pvd"], "--out: there is no folder 'no'"),
        (["--out", "pyproject"], "--out: wanted a folder, found a file 'pyproject'"),
        (["--out", "pyproject.pvd"], "--out: wanted a folder, found a file 'pyproject'"),
        (["--steps", "99"], "--steps: wanted at most 7"),
        (["simulator.steps=9"], "setting 'simulator.steps': wanted data.KEY=VALUE"),
        (["--on", "nowhere"], "unknown data set 'nowhere'"),
    ],
)
def test_rollouts_that_cannot_be_are_named(
    more: list[str],
    words: str,
    trained: Path,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject").touch()
    before = sorted(trained.iterdir())
    assert words in refused(["rollout", str(trained), *more], capsys)
    assert sorted(trained.iterdir()) == before
