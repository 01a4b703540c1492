"""Checkpoints are whole or refused, and give back every bit."""

import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gnsim.errors import ExitCode, NonFiniteError, exit_code
from gnsim.training.checkpoint import (
    CheckpointFolder,
    DamagedCheckpointError,
    DamagedCheckpointWarning,
    flatten,
    load,
    save,
    unflatten,
)
from gnsim.training.random_state import random_states, restore_random_states

MAGIC = b"gnsim checkpoint 1\n"


def tensors(fill=1.0):
    return {
        "weight": torch.full((3, 4), fill, dtype=torch.float64) / 3,
        "half": torch.randn(5, dtype=torch.float32),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "state": torch.get_rng_state(),
    }


def forged(body):
    """A file of any content whose digest is right: what only a hostile writer makes."""
    return MAGIC + hashlib.sha256(body).digest() + body


def test_every_bit_comes_back(tmp_path):
    given = tensors()
    read = load(save(tmp_path / "a.ckpt", given, {"step": 3, "config": {"lr": 1e-3, "n": None}}))
    assert read.tensors.keys() == given.keys()
    for name, tensor in given.items():
        assert read.tensors[name].dtype == tensor.dtype
        assert torch.equal(read.tensors[name], tensor)
    assert read.header["step"] == 3
    assert read.header["config"] == {"lr": 1e-3, "n": None}
    assert read.header["versions"]["torch"] == torch.__version__


def test_the_same_state_gives_the_same_file(tmp_path):
    given = tensors()
    one = save(tmp_path / "a", given, {"b": 1, "a": 2}).read_bytes()
    other = save(tmp_path / "b", dict(reversed(given.items())), {"a": 2, "b": 1}).read_bytes()
    assert one == other


def test_views_and_shared_memory_are_saved_as_what_they_show(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    given = {"t": base.T, "row": base[1], "base": base, "again": base}
    read = load(save(tmp_path / "a", given, {})).tensors
    assert all(torch.equal(read[name], tensor) for name, tensor in given.items())


def test_every_changed_bit_is_noticed(tmp_path):
    path = save(tmp_path / "a.ckpt", {"w": torch.randn(6)}, {"step": 1})
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt: wanted a whole"):
            load(path)


def test_every_truncation_and_addition_is_noticed(tmp_path):
    path = save(tmp_path / "a.ckpt", {"w": torch.randn(6)}, {"step": 1})
    content = path.read_bytes()
    for changed in [*(content[:end] for end in range(len(content))), content + b"\0"]:
        path.write_bytes(changed)
        with pytest.raises(DamagedCheckpointError):
            load(path)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**24 + 1) + b" " * (2**24 + 1),
        struct.pack("<Q", 3) + b"[1]",
        struct.pack("<Q", 2) + b"{]",
        struct.pack("<Q", 50_000) + b"[" * 50_000,
        struct.pack("<Q", 2) + b"\xff\xfe",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"{}" + struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 2)
        + b"{}"
        + (lambda h: struct.pack("<Q", len(h)) + h)(
            json.dumps(
                {"w": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}}
            ).encode()
        ),
    ],
)
def test_a_hostile_file_with_a_right_digest_is_refused(tmp_path, body):
    path = tmp_path / "a.ckpt"
    path.write_bytes(forged(body))
    with pytest.raises(DamagedCheckpointError) as caught:
        load(path)
    assert exit_code(caught.value) is ExitCode.BAD_INPUT
    assert len(str(caught.value)) < 500


def test_a_pickle_is_never_opened(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(DamagedCheckpointError, match="does not start with 'gnsim checkpoint 1'"):
        load(tmp_path / "a.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_written(tmp_path, value):
    bad = {"good": torch.ones(2), "net.weight": torch.tensor([1.0, value])}
    with pytest.raises(NonFiniteError, match=r"1 of 2 numbers of 'net\.weight'") as caught:
        save(tmp_path / "a.ckpt", bad, {})
    assert exit_code(caught.value) is ExitCode.DIVERGED
    with pytest.raises(ValueError, match="JSON"):
        save(tmp_path / "a.ckpt", {}, {"loss": value})
    assert os.listdir(tmp_path) == []


def test_the_last_two_and_the_best_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    assert folder.latest() is None
    for step in (10, 20, 30, 40):
        folder.save(step, {"w": torch.tensor(step)}, {}, best=step == 20)
    names = sorted(os.listdir(folder.path))
    assert names == ["best.ckpt", "step-000000030.ckpt", "step-000000040.ckpt"]
    assert folder.latest().header["step"] == 40
    assert load(folder.best).tensors["w"] == 20


def test_a_damaged_one_is_named_and_the_one_before_it_is_used(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(10, {"w": torch.tensor(10)}, {})
    last = folder.save(20, {"w": torch.tensor(20)}, {})
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.warns(DamagedCheckpointWarning, match="step-000000020.ckpt"):
        assert folder.latest().header["step"] == 10


def test_where_none_is_whole_the_run_does_not_start_anew_by_itself(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(10, {"w": torch.tensor(10)}, {}).write_bytes(b"x")
    with (
        pytest.warns(DamagedCheckpointWarning),
        pytest.raises(DamagedCheckpointError, match="delete them to start anew"),
    ):
        folder.latest()


def test_later_steps_of_an_abandoned_run_do_not_push_out_this_one(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (100, 200):
        folder.save(step, {}, {}).write_bytes(b"damaged")
    for step in (110, 120):
        folder.save(step, {}, {})
    assert sorted(os.listdir(tmp_path)) == ["step-000000110.ckpt", "step-000000120.ckpt"]


SAVE_FOR_EVER = """
import sys, torch
from gnsim.training.checkpoint import CheckpointFolder
folder = CheckpointFolder(sys.argv[1])
step = 0
while True:
    step += 1
    folder.save(step, {"w": torch.full((200_000,), float(step))}, {}, best=True)
    if step == 2:
        print("going", flush=True)
"""


def test_sigkill_while_saving_leaves_files_that_are_whole(tmp_path):
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    delays = random.Random(0)
    assert process.stdout.readline() == b"going\n"
    for _ in range(20):
        # stopped at any moment, the folder must read as it would after a kill there
        time.sleep(delays.uniform(0, 0.02))
        process.send_signal(signal.SIGSTOP)
        _require_whole(tmp_path)
        process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()
    _require_whole(tmp_path)


def _require_whole(path):
    folder = CheckpointFolder(path)
    latest = folder.latest()
    assert torch.equal(latest.tensors["w"], torch.full((200_000,), float(latest.header["step"])))
    best = load(folder.best)
    assert torch.equal(best.tensors["w"], torch.full((200_000,), float(best.header["step"])))


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.9)),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.LBFGS(p, lr=0.5, max_iter=3),
    ],
)
def test_an_optimiser_goes_on_as_if_it_had_not_stopped(tmp_path, optimiser):
    def steps(weight, engine, number):
        for _ in range(number):

            def loss():
                engine.zero_grad()
                value = (weight.square() - torch.arange(3.0)).square().sum()
                value.backward()
                return value

            engine.step(loss)

    whole = torch.ones(3, requires_grad=True)
    engine = optimiser([whole])
    steps(whole, engine, 3)
    parts, skeleton = flatten(engine.state_dict(), "optimiser")
    read = load(save(tmp_path / "a", {"w": whole, **parts}, {"optimiser": skeleton}))
    steps(whole, engine, 3)

    resumed = read.tensors["w"].clone().requires_grad_()
    engine = optimiser([resumed])
    engine.load_state_dict(unflatten(read.header["optimiser"], read.tensors))
    steps(resumed, engine, 3)
    assert torch.equal(resumed, whole)


def test_what_json_cannot_hold_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"optimiser\.a\.1: wanted tensors.*set"):
        flatten({"a": [1, {2}]}, "optimiser")


@pytest.mark.parametrize(
    "skeleton",
    [None, {}, {"tensor": "gone"}, {"code": "x"}, {"list": 3}, {"mapping": [1]}, {"tensor": []}],
)
def test_a_skeleton_that_does_not_fit_is_refused(skeleton):
    with pytest.raises(ValueError):
        unflatten(skeleton, {})


def draw(generator):
    return (
        torch.rand(3).tolist(),
        torch.randn(3, generator=generator).tolist(),
        np.random.standard_normal(3).tolist(),
        random.gauss(0, 1),
        random.random(),
    )


def test_every_random_state_comes_back(tmp_path):
    generator = torch.Generator().manual_seed(5)
    draw(generator)  # leaves a spare Gaussian in Python's and in numpy's generator
    states = random_states({"noise": generator})
    expected = draw(generator)
    read = load(save(tmp_path / "a", states, {})).tensors
    assert draw(generator) != expected
    restore_random_states(read, {"noise": generator})
    assert draw(generator) == expected


def test_a_missing_random_state_is_named():
    states = random_states()
    with pytest.raises(ValueError, match=r"no random state 'generator\.noise'"):
        restore_random_states(states, {"noise": torch.Generator()})
