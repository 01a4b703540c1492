"""``gnsim train --model``: what it leaves, refuses and goes on with."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from simulator_runs import DATA, PAST, SOURCE, TINY, refused

from gnsim.cli import run
from gnsim.datasets import simulate, write
from gnsim.models.simulators import SIMULATORS
from gnsim.simulators import SimulatorRecipe

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("undrawn")


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
    unlearned = {"gns": "no acceleration", "interaction": "constant velocity"}
    assert f"over that of {unlearned.get(name, 'standing still')}:" in capsys.readouterr().out
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.yaml", "model.ckpt", "training.csv", "checkpoints"}
    assert run(["evaluate", str(folder), "--steps", "3"]) == 0
    told = capsys.readouterr().out
    assert "valid_prediction_time" in told
    assert "energy_rmse" in told and "no true energy" not in told
    assert len(list((folder / "evaluation").iterdir())) == 4


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


def test_a_radius_that_the_data_name_is_learned_with_and_kept(
    capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    for part in ("train", "valid", "test"):
        write(tmp_path / f"{part}.h5", simulate("spring", **DATA))
    (tmp_path / "metadata.json").write_text('{"dt": 1, "default_connectivity_radius": 4.5}')
    out, kept = tmp_path / "run", "simulator.radius=4.5: the default_connectivity_radius"
    command = ["train", str(tmp_path), *TINY, "--out", str(out), "--model"]
    for _ in range(2):  # the same command goes on with the run
        assert run([*command, "gns", *PAST]) == 0
        assert kept in capsys.readouterr().out
        assert SimulatorRecipe.read(out).config.simulator.radius == 4.5
    for source, settings, radius in (
        (tmp_path, ["simulator.model=gns", "simulator.radius=3.5"], 3.5),
        (tmp_path, ["simulator.model=ogn"], None),
        (tmp_path / "test.h5", ["simulator.model=gns"], 4.5),
        ("spring", ["simulator.model=gns"], None),
    ):
        assert SimulatorRecipe.of(source, 0, settings).config.simulator.radius == radius
