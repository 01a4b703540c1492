"""Training killed by SIGKILL at a random moment and started again ends in the same bits; 5 times.

``python experiments/kill_and_resume.py [TIMES]`` writes results/kill_and_resume.json after each
kill, and goes on from there where it was itself stopped.
"""

import hashlib
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from record import RESULTS, commit, versions

from gnsim.atomic import write_atomic
from gnsim.datasets import load
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import fit

SEED = 0
STEPS = 300
CONFIG = TrainingConfig(
    hidden=16,
    steps=STEPS,
    validate_every=5,
    patience=STEPS,
    pairs_per_batch=200,
    coupling="source",
)
RESULT = RESULTS / "kill_and_resume.json"
LOG = "training.csv"


def train(folder: Path) -> str:
    """SHA-256 of the weights that a training in `folder` ends in."""
    data = load("spring", trajectories=6, frames=40)
    fitted = fit(data.train, data.valid, CONFIG, SEED, folder, data.content_hash)
    found = hashlib.sha256()
    for name, value in sorted(fitted.model.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def started(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--train", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def await_steps(process: subprocess.Popen[str], folder: Path) -> None:
    """Returns when the log has been opened, just before the first step."""
    while process.poll() is None and not (folder / LOG).exists():
        time.sleep(0.01)


def finished(process: subprocess.Popen[str]) -> str:
    """The hash that a training prints. Raises RuntimeError where it fails."""
    out = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"the training ended with exit status {process.returncode}")
    return out.split()[-1]


def uninterrupted() -> dict[str, Any]:
    """Hashes of weights and log without a kill, and the seconds that the steps take."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        process = started(folder)
        await_steps(process, folder)
        begun = time.monotonic()
        weights = finished(process)
        return {"weights": weights, "log": log_hash(folder), "seconds": time.monotonic() - begun}


def killed_once(moments: random.Random, whole: dict[str, Any]) -> dict[str, Any]:
    """One kill and one new start, compared with the uninterrupted run."""
    while True:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            process = started(folder)
            await_steps(process, folder)
            time.sleep(moments.uniform(0, whole["seconds"]))
            if process.poll() is not None:  # too late to kill it: another moment
                process.communicate()
                continue
            process.kill()
            process.communicate()
            stood = sorted((folder / "checkpoints").glob("step-*.ckpt"))
            return {
                "last_checkpoint": int(stood[-1].stem.removeprefix("step-")) if stood else 0,
                "bit_identical": finished(started(folder)) == whole["weights"],
                "same_log": log_hash(folder) == whole["log"],
            }


def log_hash(folder: Path) -> str:
    return hashlib.sha256((folder / LOG).read_bytes()).hexdigest()


def facts() -> dict[str, Any]:
    """What must be the same for comparisons to be put together."""
    return {
        "config": asdict(CONFIG),
        "seed": SEED,
        "commit": commit(),
        "versions": versions(),
        "machine": platform.machine(),
    }


def stopped(times: int, known: dict[str, Any]) -> dict[str, Any] | None:
    """The result as far as an earlier call got; None where that was complete or is another's."""
    try:
        result = json.loads(RESULT.read_text())
        same = all(result[name] == value for name, value in known.items())
        return result if same and len(result["kills"]) < times else None
    except (FileNotFoundError, KeyError):
        return None


def main(times: int) -> None:
    known = facts()
    result = stopped(times, known) or {"uninterrupted": uninterrupted(), "kills": [], **known}
    RESULT.parent.mkdir(exist_ok=True)
    for k in range(len(result["kills"]), times):
        result["kills"].append(killed_once(random.Random(f"{SEED} {k}"), result["uninterrupted"]))
        same = sum(kill["bit_identical"] and kill["same_log"] for kill in result["kills"])
        result["same"] = f"{same} of {len(result['kills'])}"
        write_atomic(RESULT, json.dumps(result, indent=1) + "\n")
        print(
            f"kill {k + 1} after step {result['kills'][-1]['last_checkpoint']}: same bits in "
            f"{result['same']}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        print(train(Path(sys.argv[2])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
