import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import gnsim.symbolic.engines.child as child
from gnsim.symbolic.engines import EngineError, EngineWarning, Operon, PySR, engine
from gnsim.symbolic.engines.base import Availability, Engine
from gnsim.symbolic.equality import equals
from gnsim.symbolic.front import gathered

NAMES = ["r", "mass_i", "mass_j"]


def newton(count=200):
    rng = np.random.default_rng(7)
    X = 10 ** rng.uniform(-0.5, 1.0, (count, 3))
    return X, 3.0 * X[:, 1] * X[:, 2] / X[:, 0] ** 2


class Playing(Engine):
    """Plays PySR: a small script stands in for Julia."""

    name = "pysr"

    def __init__(self, script):
        self.script = script

    def available(self):
        return Availability(True, "a stand-in")

    def command(self, out_dir):
        head = f"""
            import json, os, sys, time, numpy as np
            folder = {str(out_dir)!r}
            settings = json.load(open(folder + "/settings.json"))
            samples = np.load(folder + "/samples.npz", allow_pickle=False)
            def write(text):
                with open(folder + "/hall_of_fame.csv", "w") as file:
                    file.write(text)
        """
        return [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(self.script)]


GOOD = (
    "write('Complexity,Loss,Equation\\n3,0.5,r ^ 2\\n9,0.1,3.0 * mass_i * mass_j / square(r)\\n')"
)


def search(script, tmp_path, time_limit=60.0):
    X, y = newton()
    return Playing(script).search(
        X, y, NAMES, seed=1, time_limit=time_limit, out_dir=tmp_path / "run"
    )


def test_a_front_is_read(tmp_path):
    found = search(GOOD, tmp_path)
    assert [c.complexity for c in found] == [3, 9] and found[0].engine == "pysr"
    assert equals(found[1].equation, "G*mass_i*mass_j/r**2")


def test_the_child_gets_samples_settings_and_one_thread(tmp_path):
    script = """
        assert samples["X"].shape == (200, 3) and samples["y"].dtype == np.float64
        assert settings["names"] == ["r", "mass_i", "mass_j"] and settings["seed"] == 1
        assert os.environ["OMP_NUM_THREADS"] == os.environ["JULIA_NUM_THREADS"] == "1"
        assert os.getpgrp() == os.getpid()
    """
    assert search(textwrap.dedent(script) + GOOD, tmp_path)


def test_a_hang_is_ended_with_all_that_it_started(tmp_path):
    script = """
        import signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleeper = subprocess.Popen(["sleep", "600"])
        open(folder + "/pids", "w").write(f"{os.getpid()} {sleeper.pid}")
        time.sleep(600)
    """
    with pytest.raises(EngineError, match=r"pysr ran out of time; nothing was saved"):
        search(script, tmp_path, time_limit=2.0)
    for pid in (tmp_path / "run" / "pids").read_text().split():
        assert _gone(int(pid))


def _gone(pid):
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_front_from_before_the_limit_is_used_and_said(tmp_path):
    with pytest.warns(EngineWarning, match="ran out of time; its 2 candidates so far"):
        assert len(search(GOOD + "\ntime.sleep(600)", tmp_path, time_limit=3.0)) == 2


def test_a_crash_is_one_line_with_its_cause(tmp_path):
    with pytest.raises(EngineError, match=r"exit status 1 .RuntimeError: Julia fell over") as error:
        search("raise RuntimeError('Julia fell over')", tmp_path)
    assert "\n" not in str(error.value) and "nothing was saved" in str(error.value)


def test_a_crash_after_a_front_leaves_its_whole_rows(tmp_path):
    cut = "write('Complexity,Loss,Equation\\n3,0.5,r ^ 2\\n9,0.1,3.0 * mas')\nos.abort()"
    with pytest.warns(EngineWarning, match=r"SIGABRT.*1 candidates so far"):
        assert len(search(cut, tmp_path)) == 1


def test_out_of_memory_reads_as_killed(tmp_path):
    with pytest.raises(EngineError, match="out of memory"):
        search("os.kill(os.getpid(), 9)", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("'rubbish'", "expected the columns"),
        ("'Complexity,Loss,Equation\\n1,1.0,__import__(1)\\n'", "row 2"),
        ("'Complexity,Loss,Equation\\n'", "is empty"),
    ],
)
def test_garbage_is_named(tmp_path, content, message):
    with pytest.raises(EngineError, match=message):
        search(f"write({content})", tmp_path)


def test_no_file_at_all(tmp_path):
    with pytest.raises(EngineError, match="exit status 0; nothing was saved"):
        search("pass", tmp_path)


def test_an_old_front_is_not_taken_for_a_new_one(tmp_path):
    search(GOOD, tmp_path)
    with pytest.raises(EngineError, match="nothing was saved"):
        search("pass", tmp_path)


def test_bad_samples_are_refused_before_anything_is_written(tmp_path):
    X, y = newton()
    for wrong, message in [
        ({"y": y[:-1]}, "expected .samples, variables."),
        ({"y": np.where(y > 1, np.nan, y)}, "NaN"),
        ({"names": ["r", "r", "m"]}, "different"),
        ({"names": ["r", "a b", "m"]}, "not a name"),
        ({"time_limit": 0.0}, "time_limit"),
    ]:
        arguments = {"X": X, "y": y, "names": NAMES, "time_limit": 5.0, **wrong}
        with pytest.raises(ValueError, match=message):
            Operon().search(**arguments, seed=1, out_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_engine_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    X, y = newton()
    for one in (Operon(), PySR()):
        with pytest.raises(EngineError, match="is not installed; pip install"):
            one.search(X, y, NAMES, seed=1, time_limit=5.0, out_dir=tmp_path)


def test_unknown_engines_get_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'operon'"):
        engine("opreon")
    assert isinstance(engine("pysr"), PySR)


@pytest.mark.parametrize("module", ["operon_child", "pysr_child"])
def test_the_children_never_import_torch(module):
    code = f"import gnsim.symbolic.engines.{module}, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=child._environment(os.environ),
    )
    assert done.stdout.strip() == "False", done.stderr


def test_the_package_refuses_its_bare_name(tmp_path):
    folder = os.path.realpath(os.path.join(os.path.dirname(child.__file__), "..", ".."))
    done = subprocess.run(
        [sys.executable, "-c", "import symbolic"], cwd=folder, capture_output=True, text=True
    )
    assert "imported as `gnsim.symbolic`" in done.stderr


@pytest.mark.skipif(not Operon().available().ok, reason=Operon().available().reason)
def test_operon_finds_newton_and_repeats(tmp_path):
    X, y = newton(80)
    run = [
        Operon().search(X, y, NAMES, seed=3, time_limit=60.0, out_dir=tmp_path / str(k))
        for k in range(2)
    ]
    assert run[0] == run[1]
    front = gathered(run[0], NAMES, X, y)
    assert equals(front[-1].equation, "G*mass_i*mass_j/r**2") and front[-1].loss < 1e-20


@pytest.mark.skipif(not PySR().available().ok, reason=f"no real PySR: {PySR().available().reason}")
def test_real_pysr_finds_a_spring(tmp_path):
    r = np.linspace(0.5, 3.0, 60)[:, None]
    found = PySR().search(
        r, 2.0 * (r[:, 0] - 1.0), ["r"], seed=1, time_limit=240.0, out_dir=tmp_path / "run"
    )
    front = gathered(found, ["r"], r, 2.0 * (r[:, 0] - 1.0))
    assert equals(front[-1].equation, "k*(r - r0)")
