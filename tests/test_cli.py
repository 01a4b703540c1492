"""What the command says, how it ends, and that it writes nothing where the input is wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gnsim import __version__
from gnsim.cli import run
from gnsim.commands import doctor as doctor_command
from gnsim.doctor import Check, examine, julia
from gnsim.errors import (
    ExitCode,
    InputError,
    NonFiniteError,
    OutOfTimeError,
    RunLockedError,
    exit_code,
    report,
)
from gnsim.integrators.base import IntegrationError
from gnsim.simulator import DivergedError

ROOT = Path(__file__).parents[1]
SPRING = ["data", "make", "spring", "trajectories=3", "frames=5"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dtaa"], "Did you mean 'data'?"),
        (["data", "chekc"], "Did you mean 'check'"),
        (["data", "check"], "Missing argument 'file'"),
        (["data", "list", "--owt"], "No such option"),
        ([*SPRING], "Missing option '--out'"),
        (["data", "make", "sprng", "--out", "x.npz"], "did you mean 'spring' or 'string'?"),
        ([*SPRING, "frmes=3", "--out", "x.npz"], "did you mean 'frames'?"),
        ([*SPRING, "frames=x", "--out", "x.npz"], "wanted int, found 'x'"),
        ([*SPRING, "frames=1", "--out", "x.npz"], "frames"),
        ([*SPRING, "--out", "x.txt"], "ending in .h5, .hdf5, .npz"),
        ([*SPRING, "--out", "no/such/x.npz"], "there is no folder 'no/such'"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    arguments, words, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == ExitCode.BAD_INPUT
    out, err = capsys.readouterr()
    assert words in err
    assert err.count("\n") == 1
    assert err.startswith("gnsim: ")
    assert out == ""
    assert os.listdir(tmp_path) == []


def test_help_and_version(capsys):
    for arguments in (["--help"], ["data", "--help"], ["data", "make", "--help"]):
        assert run(arguments) == 0
        assert "Usage:" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"gnsim {__version__}\n"


def test_data_list_names_every_source_and_setting(capsys):
    from gnsim.datasets import SOURCES

    assert run(["data", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in SOURCES)
    assert "cadence=0.5" in out


def test_what_data_make_writes_data_check_accepts(capsys, tmp_path):
    assert run([*SPRING, "--out", str(tmp_path / "s.npz")]) == 0
    assert run([*SPRING, "--out", str(tmp_path / "parts")]) == 0
    assert sorted(os.listdir(tmp_path / "parts")) == ["test.h5", "train.h5", "valid.h5"]
    capsys.readouterr()
    for file in (tmp_path / "s.npz", tmp_path / "parts" / "train.h5"):
        assert run(["data", "check", str(file)]) == 0
        assert "5 frames, 4 bodies, 3D" in capsys.readouterr().out


def test_the_same_settings_make_the_same_data(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run([*SPRING, f"seed={seed}", "--out", str(tmp_path / f"{name}.npz")]) == 0
    q = {name: np.load(tmp_path / f"{name}.npz")["q"] for name in "abc"}
    assert np.array_equal(q["a"], q["b"])
    assert not np.array_equal(q["a"], q["c"])


def test_data_check_says_what_is_wrong_and_exits_with_2(capsys, tmp_path):
    q = np.random.default_rng(0).normal(size=(5, 3, 2))
    q[2, 1, 0] = np.nan
    np.savez(tmp_path / "bad.npz", t=np.arange(5.0), q=q)
    assert run(["data", "check", str(tmp_path / "bad.npz")]) == ExitCode.BAD_INPUT
    out = capsys.readouterr().out
    assert "nan" in out
    assert "not usable" in out


def test_a_held_folder_is_exit_5_and_stays_as_it_is(capsys, tmp_path):
    from gnsim.runs import RunFolder

    with RunFolder(tmp_path / "run") as held:
        assert run([*SPRING, "--out", str(held.path)]) == ExitCode.FOLDER_HELD
        assert os.listdir(held.path) == [".lock"]
    assert f"process {os.getpid()} on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("x"), 2, "gnsim: x"),
        (ValueError("a\n  b"), 2, "gnsim: a b"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), 2, "utf-8"),
        (FileNotFoundError(2, "No such file or directory", "f.npz"), 2, "f.npz: No such file"),
        (PermissionError(13, "Permission denied", "out"), 2, "out: Permission denied"),
        (IntegrationError("blow-up"), 3, "blow-up"),
        (DivergedError.__new__(DivergedError, "step 3"), 3, "step 3"),
        (NonFiniteError("loss"), 3, "loss"),
        (MemoryError(), 4, "out of memory"),
        (OSError(28, "No space left on device", "out"), 4, "No space left"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: x"), 4, "x"),
        (OutOfTimeError("60 s"), 4, "60 s"),
        (RunLockedError("held"), 5, "held"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (TypeError("bug"), 70, "TypeError: bug (an internal error; run again with --debug"),
        (KeyError("bug"), 70, "KeyError: 'bug'"),
        (OSError("odd"), 70, "OSError: odd"),
        (ValueError("name \x1b[31m of a file"), 2, r"name \x1b[31m of a file"),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(error, code, words):
    assert exit_code(error) == code
    line = report(error)
    assert words in line
    assert "\n" not in line
    assert "\x1b" not in line


def test_only_debug_shows_the_traceback(capsys, monkeypatch):
    def broken():
        raise TypeError("a bug")

    monkeypatch.setattr("gnsim.doctor.examine", broken)
    assert run(["doctor"]) == ExitCode.INTERNAL
    assert "Traceback" not in capsys.readouterr().err
    assert run(["doctor", "--debug"]) == ExitCode.INTERNAL
    assert "in broken" in capsys.readouterr().err


def test_ctrl_c_is_130(capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("gnsim.doctor.examine", interrupted)
    assert run(["doctor"]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err.strip() == "gnsim: interrupted"


WAIT = """
import sys, time
import gnsim.doctor
from gnsim.cli import main
from gnsim.runs import RunFolder

def examine():
    with RunFolder(sys.argv[1]):
        print("waiting", flush=True)
        time.sleep(60)

gnsim.doctor.examine = examine
main(["doctor"])
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGINT, ExitCode.INTERRUPTED)],
)
def test_a_signal_ends_with_its_code_and_gives_the_lock_back(number, code, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # a background job of a shell without job control ignores SIGINT, and hands that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == b"waiting\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code
    assert err.count(b"\n") == 1
    assert os.listdir(tmp_path) == []


def test_doctor_says_what_to_do_about_what_is_missing(capsys, monkeypatch):
    assert run(["doctor"]) == 0
    assert "torchdiffeq" in capsys.readouterr().out
    assert {"Python", "torch", "Julia", "ffmpeg", "memory", "cores", "disk"} <= {
        check.name for check in examine()
    }
    assert all(check.ok or check.remedy for check in examine())
    missing = Check("torch", False, "not installed", "pip install it")
    monkeypatch.setattr("gnsim.doctor.examine", lambda: [missing])
    assert run(["doctor"]) == ExitCode.BAD_INPUT
    assert "pip install it" in capsys.readouterr().out
    assert doctor_command.doctor.__doc__


def test_julia_is_looked_for_without_importing_pysr(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysr", None)  # an import would raise
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("gnsim.doctor._julia_resolved", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert julia().found == "not found"
    monkeypatch.setattr("shutil.which", lambda name: "/opt/julia")
    assert "packages not resolved" in julia().found
    monkeypatch.setattr("gnsim.doctor._julia_resolved", lambda: True)
    assert julia().ok
