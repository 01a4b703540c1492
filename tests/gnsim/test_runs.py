"""A run folder has one writer, whole files, and a log that resumes as if nothing had happened."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gnsim.atomic import write_atomic
from gnsim.errors import ExitCode, InputError, RunLockedError, exit_code
from gnsim.runs import CsvLog, Owner, RunFolder

HOLD = """
import sys
from gnsim.runs import RunFolder
with RunFolder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``tmp_path / "run"`` until it is killed or its input ends."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_holds_is_refused_with_its_name(holder, tmp_path):
    with (
        pytest.raises(RunLockedError, match=f"process {holder.pid} on") as caught,
        RunFolder(tmp_path / "run"),
    ):
        pass
    assert exit_code(caught.value) is ExitCode.FOLDER_HELD


def test_the_lock_of_a_killed_process_is_taken_over(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with RunFolder(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()


def test_what_a_killed_write_left_is_cleared_away(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in (".law.json.x1.gnsim-part", "checkpoints/.best.ckpt.x2.gnsim-part", ".mine.tmp"):
        (tmp_path / name).touch()
    with RunFolder(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [".lock", ".mine.tmp", "checkpoints"]
        assert os.listdir(tmp_path / "checkpoints") == []


def test_a_zombie_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet collected
    with RunFolder(tmp_path / "run"):
        pass


def test_a_folder_is_free_again_after_its_run_and_after_its_failure(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), RunFolder(tmp_path / "a" / "run") as folder:
            folder.write("x.txt", "1")
            raise ZeroDivisionError
    assert os.listdir(tmp_path / "a" / "run") == ["x.txt"]


def test_the_same_process_does_not_hold_a_folder_twice(tmp_path):
    with RunFolder(tmp_path):
        with pytest.raises(RunLockedError), RunFolder(tmp_path):
            pass
        assert (tmp_path / ".lock").exists()  # the refused one has not given it back


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"started": "another boot 1"}, False),  # the pid was given to a later process
        ({"pid": 2**22 + 1}, False),  # above the largest pid of Linux
        ({"host": "elsewhere"}, True),  # nothing here can tell
    ],
)
def test_who_counts_as_alive(tmp_path, change, held):
    owner = {**Owner.this_process().__dict__, **change}
    (tmp_path / ".lock").write_text(json.dumps(owner))
    if held:
        with pytest.raises(RunLockedError), RunFolder(tmp_path):
            pass
    else:
        with RunFolder(tmp_path):
            pass


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": "x"}', "[" * 10_000])
def test_a_lock_that_names_nobody_is_taken_over(tmp_path, content):
    (tmp_path / ".lock").write_text(content)
    with RunFolder(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["host"] == socket.gethostname()


def test_a_file_in_the_place_of_the_folder_is_wrong_input(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputError, match="found a file"), RunFolder(tmp_path / "run"):
        pass
    assert (tmp_path / "run").read_text() == "mine"


def test_json_is_readable_by_others(tmp_path):
    with RunFolder(tmp_path) as folder:
        assert json.loads(folder.write_json("m.json", {"é": [1, 0.1]}).read_text()) == {
            "é": [1, 0.1]
        }
        with pytest.raises(ValueError, match="JSON"):
            folder.write_json("m.json", float("nan"))
        assert folder / "m.json" == tmp_path / "m.json"


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_atomic(tmp_path / "a.txt", "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomic(path, "new")
    assert exit_code(caught.value) is ExitCode.OUT_OF_RESOURCES
    assert os.listdir(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_an_atomic_write_keeps_permissions_and_line_ends(tmp_path):
    path = write_atomic(tmp_path / "a.txt", "1\r\n2\n")
    assert path.read_bytes() == b"1\r\n2\n"
    path.chmod(0o640)
    assert stat.S_IMODE(write_atomic(path, b"x").stat().st_mode) == 0o640


def rows(steps):
    return [(step, {"loss": 1 / (3 + step), "best": None}) for step in steps]


@pytest.mark.parametrize("tail", ["", "4,0.1", "4,0.142", "4"])
def test_a_resumed_log_equals_the_uninterrupted_one(tmp_path, tail):
    whole = CsvLog(tmp_path / "whole.csv", ["loss", "best"])
    for row in rows(range(1, 7)):
        whole.append(*row)
    killed = CsvLog(tmp_path / "log.csv", ["loss", "best"])
    for row in rows(range(1, 4)):
        killed.append(*row)
    with killed.path.open("a") as file:
        file.write(tail)  # the kill came in the middle of a row
    resumed = CsvLog(tmp_path / "log.csv", ["loss", "best"], resume_after=2)
    for row in rows(range(3, 7)):
        resumed.append(*row)
    assert resumed.path.read_bytes() == whole.path.read_bytes()


def test_a_log_of_other_columns_is_not_resumed(tmp_path):
    CsvLog(tmp_path / "log.csv", ["loss"]).append(1, {"loss": 0.5})
    with pytest.raises(InputError, match="line 1: wanted step,loss,extra, found step,loss"):
        CsvLog(tmp_path / "log.csv", ["loss", "extra"], resume_after=1)
    assert (tmp_path / "log.csv").read_text() == "step,loss\n1,0.5\n"


def test_a_log_that_is_gone_or_empty_starts_with_its_header(tmp_path):
    (tmp_path / "empty.csv").touch()
    for name in ("gone.csv", "empty.csv"):
        log = CsvLog(tmp_path / name, ["loss"], resume_after=5)
        assert log.path.read_text() == "step,loss\n"


def test_a_row_has_every_column_and_numbers_read_back_exactly(tmp_path):
    log = CsvLog(tmp_path / "log.csv", ["loss", "why"])
    with pytest.raises(ValueError, match="log row"):
        log.append(1, {"loss": 0.1})
    log.append(1, {"loss": 0.1 + 0.2, "why": 'a, "b"\nc'})
    line = log.path.read_text().splitlines()[1]
    assert float(line.split(",")[1]) == 0.1 + 0.2
    assert line.endswith('"a, ""b"" c"')
