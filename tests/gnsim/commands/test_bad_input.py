"""Wrong input ends in one line with its exit code, and writes nothing."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from gnsim.cli import run
from gnsim.errors import ExitCode
from gnsim.runs import RunFolder

RNG = np.random.default_rng(0)


def good():
    """Three trajectories of three bodies in the plane that can be used as they are."""
    start = RNG.normal(size=(3, 1, 3, 2))
    drift = RNG.normal(size=(3, 1, 3, 2))
    t = 0.1 * np.arange(12.0)
    return {"t": t, "q": start + drift * t[None, :, None, None], "mass": np.ones(3)}


def with_nan(arrays):
    arrays["q"][1, 4, 2, 0] = np.nan


def twice_the_same_time(arrays):
    arrays["t"][5] = arrays["t"][4]


def in_one_place(arrays):
    arrays["q"][:, :, 1] = arrays["q"][:, :, 0]


FAULTS = {
    "missing q": (lambda a: a.pop("q"), "q"),
    "axes": (lambda a: a.update(q=a["q"][0, 0]), "q"),
    "nan": (with_nan, "nan"),
    "times": (twice_the_same_time, "t (frame 5)"),
    "length of t": (lambda a: a.update(t=a["t"][:-1]), "t"),
    "length of mass": (lambda a: a.update(mass=np.ones(4)), "mass"),
    "negative mass": (lambda a: a.update(mass=np.array([1.0, -1.0, 1.0])), "mass"),
    "zero mass": (lambda a: a.update(mass=np.array([1.0, 0.0, 1.0])), "mass"),
    "one body": (lambda a: a.update(q=a["q"][:, :, :1], mass=np.ones(1)), "bod"),
    "one place": (in_one_place, "bod"),
    "too short": (lambda a: a.update(t=a["t"][:1], q=a["q"][:, :1]), ""),
}


def refused(arguments, capsys, code=ExitCode.BAD_INPUT):
    """The one line that the command says."""
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert err.startswith("gnsim: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert out == ""
    return err


@pytest.mark.parametrize("command", ["discover", "train"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_used_makes_no_folder(command, fault, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil, words = FAULTS[fault]
    arrays = good()
    spoil(arrays)
    np.savez("mine.npz", **arrays)
    err = refused([command, "mine.npz", "--out", "run"], capsys)
    assert "mine" in err
    assert words in err
    assert os.listdir() == ["mine.npz"]


UNUSABLE = (
    "symbolic.runs=0",
    "symbolic.samples=-3",
    "symbolic.candidates=0",
    "symbolic.window=0",
    "symbolic.windows=0",
    "symbolic.selection_windows=0",
    "symbolic.verdict_windows=0",
    "symbolic.substeps=0",
    "symbolic.time_limit=-1",
    "rollout.substeps=0",
)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["discover", "no.npz"], "no.npz"),
        (["discover", "sprng"], "did you mean 'spring'"),
        (["discover", "spring", "training.stps=3"], "did you mean 'training.steps'"),
        (["discover", "spring", "data.frmes=3"], "did you mean 'data.frames'"),
        (["discover", "spring", "training.steps=x"], "wanted int, found 'x'"),
        (["discover", "spring", "symbolic.engine=operno"], "did you mean 'operon'"),
        (["discover", "spring", "training.coupling=sorce"], "did you mean 'source'"),
        (["discover", "spring", "rollout.integrator=leapfrg"], "did you mean 'leapfrog'"),
        (["train", "spring", "data.frames=12", "training.window=40"], "a window of 40 steps"),
        *((["discover", "spring", wrong], wrong.split("=")[0] + ": wanted") for wrong in UNUSABLE),
        (["distill", "nowhere"], "nowhere: wanted a run folder, found no such folder"),
        (["rollout", "nowhere"], "nowhere: wanted a run folder, found no such folder"),
        (["rollout", "."], "no config.yaml in it"),
        (["distill", ".", "training.steps=3"], "the network is trained"),
    ],
)
def test_wrong_names_and_settings_make_no_folder(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refused(arguments, capsys)
    assert os.listdir() == []


def test_no_data_in_a_file_of_another_format(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.npz").write_bytes(b"no archive at all")
    assert "mine.npz" in refused(["discover", "mine.npz", "--out", "run"], capsys)
    assert os.listdir() == ["mine.npz"]


TINY = ["training.steps=4", "training.hidden=4", "training.pilot_steps=2"]


@pytest.fixture(scope="module")
def springs(tmp_path_factory):
    """A file of springs, read faster than they are simulated anew."""
    file = tmp_path_factory.mktemp("data") / "springs.npz"
    settings = ["trajectories=5", "frames=20"]
    assert run(["data", "make", "spring", *settings, "--out", str(file)]) == 0
    return str(file)


@pytest.fixture(scope="module")
def trained(springs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run(["train", springs, *TINY, "--out", str(folder)]) == 0
    return folder


def unchanged(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_train_leaves_what_distill_and_rollout_need(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == {"config.yaml", "model.ckpt", "training.csv", "checkpoints"}


def test_a_held_folder_is_exit_5(trained, springs, capsys):
    with RunFolder(trained):
        before = unchanged(trained)
        command = ["train", springs, *TINY, "--out", str(trained)]
        assert "process" in refused_quietly(command, capsys, ExitCode.FOLDER_HELD)
        assert unchanged(trained) == before


def refused_quietly(arguments, capsys, code=ExitCode.BAD_INPUT):
    capsys.readouterr()
    return refused(arguments, capsys, code)


def test_other_settings_in_the_same_folder_are_refused(trained, springs, capsys):
    before = unchanged(trained)
    command = ["train", springs, *TINY, "training.window=2", "--out", str(trained)]
    assert "training.window is 0 there, 2 now" in refused_quietly(command, capsys)
    assert unchanged(trained) == before


def test_a_folder_of_other_files_is_refused(springs, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    command = ["train", springs, *TINY, "--out", str(tmp_path)]
    assert "thesis.tex" in refused_quietly(command, capsys)
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("content", [b"", b"half", b"gnsim checkpoint 1\n" + bytes(200)])
def test_a_damaged_model_is_refused(content, trained, capsys, tmp_path):
    (tmp_path / "config.yaml").write_bytes((trained / "config.yaml").read_bytes())
    (tmp_path / "model.ckpt").write_bytes(content)
    for command in (["distill", str(tmp_path)], ["rollout", str(tmp_path), "--of", "network"]):
        assert "model.ckpt" in refused_quietly(command, capsys)
    assert sorted(os.listdir(tmp_path)) == ["config.yaml", "model.ckpt"]


@pytest.mark.parametrize(
    "force", ["__import__('os').system('touch hit')", "9**9**9**9", "r.__class__", ""]
)
def test_a_hostile_law_is_refused_and_never_run(force, trained, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_bytes((trained / "config.yaml").read_bytes())
    law = {"format": "gnsim-law", "schema": 1, "force": force, "dim": 3}
    Path("law.json").write_text(json.dumps(law))
    assert "law.json" in refused_quietly(["rollout", ".", "--of", "law"], capsys)
    assert sorted(os.listdir()) == ["config.yaml", "law.json"]


def test_the_network_of_a_trained_run_rolls_out(trained, capsys, tmp_path):
    from gnsim.datasets import read

    file = tmp_path / "path.npz"
    command = ["rollout", str(trained), "--of", "network", "--steps", "3", "--out", str(file)]
    assert run(command) == 0
    assert "relative position error" in capsys.readouterr().out
    assert len(read(file)) == 4


def test_a_search_without_result_is_exit_4_and_says_what_is_saved(trained, capsys, monkeypatch):
    from gnsim.symbolic.engines import EngineError

    def crashed(*given, **more):
        raise EngineError("engine operon crashed by signal SIGSEGV")

    monkeypatch.setattr("gnsim.discovery.chain.search", crashed)
    err = refused_quietly(["distill", str(trained)], capsys, ExitCode.OUT_OF_RESOURCES)
    assert "SIGSEGV" in err
    assert "model.ckpt" in err
