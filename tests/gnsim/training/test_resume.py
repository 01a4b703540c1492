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


def started(*arguments, launcher=(sys.executable,)):
    """What the script says."""
    done = subprocess.run(
        [*launcher, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of springs, read faster than they are simulated anew by every process."""
    file = tmp_path_factory.mktemp("data") / "springs.npz"
    write(file, simulate("spring", trajectories=6, frames=40, interval=0.05))
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


@pytest.fixture(scope="module")
def killed(data, tmp_path_factory):
    """Folders of trainings that were killed twice and once."""
    twice, once = (tmp_path_factory.mktemp(name) for name in ("twice", "once"))
    started(data, f"{twice}=12,28", f"{once}=33")
    return twice, once


def test_two_kills_leave_no_trace_in_weights_and_log(whole, data, killed):
    twice, _ = killed
    assert len((twice / "training.csv").read_text()) < len(whole[1])
    assert ended(twice, data) == whole[0]
    assert (twice / "training.csv").read_text() == whole[1]


def test_a_lost_checkpoint_costs_steps_but_no_bit(whole, data, killed):
    checkpoints = killed[1] / "checkpoints"
    (checkpoints / "best.ckpt").unlink()
    sorted(checkpoints.glob("step-*.ckpt"))[-1].write_bytes(b"half a file")
    with pytest.warns(DamagedCheckpointWarning, match="use an earlier one"):
        assert ended(killed[1], data) == whole[0]


def test_two_processes_of_torchrun_agree_and_one_writes(data, tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    out = started(data, tmp_path, launcher=(sys.executable, *torchrun))
    # The two write to one pipe, where their lines may run into each other.
    first, second = re.findall("[0-9a-f]{64}", out)
    assert first == second
    rows = (tmp_path / "training.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(n) for n in range(5, 41, 5)]
