"""Killed and started again, training ends in the same bits."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gnsim.datasets import load, write
from gnsim.datasets.systems import simulate
from gnsim.training.checkpoint import DamagedCheckpointWarning
from gnsim.training.fit import fit

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("killed.py")


def script():
    spec = importlib.util.spec_from_file_location("killed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KILLED = script()


def start(*arguments, launcher=(sys.executable,)):
    return subprocess.Popen(
        [*launcher, str(SCRIPT), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        text=True,
    )


def kill_after(process, line):
    """SIGKILL as soon as the process has told of a step."""
    for told in process.stderr:
        if told.strip() == line:
            process.kill()
            break
    process.communicate()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of springs, read faster than they are simulated anew by every process."""
    file = tmp_path_factory.mktemp("data") / "springs.npz"
    write(file, simulate("spring", trajectories=6, frames=40))
    return file


def ended(folder, data):
    """The hash of the weights that a training in this process ends in; it resumes what is there."""
    springs = load(str(data))
    fitted = fit(springs.train, springs.valid, KILLED.CONFIG, 0, folder, springs.content_hash)
    return KILLED.digest(fitted)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return ended(folder, data), (folder / "training.csv").read_text()


def test_two_kills_leave_no_trace_in_weights_and_log(whole, data, tmp_path):
    for line in ("step 12", "step 28"):
        kill_after(start(tmp_path, data, 0.005), line)
        assert (tmp_path / "checkpoints").is_dir()
    assert ended(tmp_path, data) == whole[0]
    assert (tmp_path / "training.csv").read_text() == whole[1]


def test_a_lost_checkpoint_costs_steps_but_no_bit(whole, data, tmp_path):
    kill_after(start(tmp_path, data, 0.005), "step 33")
    (tmp_path / "checkpoints" / "best.ckpt").unlink()
    sorted((tmp_path / "checkpoints").glob("step-*.ckpt"))[-1].write_bytes(b"half a file")
    with pytest.warns(DamagedCheckpointWarning, match="use an earlier one"):
        assert ended(tmp_path, data) == whole[0]


def test_two_processes_of_torchrun_agree_and_one_writes(data, tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    process = start(tmp_path, data, launcher=(sys.executable, *torchrun))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    # The two write to one pipe, where their lines may run into each other.
    first, second = re.findall("[0-9a-f]{64}", out)
    assert first == second
    rows = (tmp_path / "training.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(n) for n in range(5, 41, 5)]
