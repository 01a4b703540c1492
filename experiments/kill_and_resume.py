"""Training killed by SIGKILL at random moments and started again ends in the same bits.

``python experiments/kill_and_resume.py [KILLS]`` writes results/kill_and_resume.json.
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

from gnsim.atomic import write_atomic
from gnsim.datasets import load
from gnsim.training.checkpoint import versions
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import fit

SEED = 0
CONFIG = TrainingConfig(
    hidden=16, steps=400, validate_every=5, pairs_per_batch=200, coupling="source"
)
RESULT = Path(__file__).parent / "results" / "kill_and_resume.json"


def train(folder: Path) -> str:
    """SHA-256 of the weights that a training in `folder` ends in."""
    data = load("spring", trajectories=6, frames=40)
    fitted = fit(data.train, data.valid, CONFIG, SEED, folder, data.content_hash)
    found = hashlib.sha256()
    for name, value in sorted(fitted.model.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def started(folder: Path) -> subprocess.Popen:
    command = [sys.executable, __file__, "--train", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed(folder: Path, moment: float) -> int | None:
    """The step of the last checkpoint after a kill so many seconds into the steps; None if done."""
    log = folder / "training.csv"
    before = log.stat().st_mtime_ns if log.exists() else 0
    process = started(folder)
    while process.poll() is None and not (log.exists() and log.stat().st_mtime_ns > before):
        time.sleep(0.01)
    time.sleep(moment)
    done = process.poll() is not None
    process.kill()
    process.communicate()
    found = sorted((folder / "checkpoints").glob("step-*.ckpt"))
    return None if done or not found else int(found[-1].stem.removeprefix("step-"))


def commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main(kills: int) -> None:
    moments = random.Random(SEED)
    with tempfile.TemporaryDirectory() as temporary:
        whole, cut = Path(temporary) / "whole", Path(temporary) / "cut"
        whole.mkdir()
        cut.mkdir()
        begun = time.monotonic()
        wanted = train(whole)
        seconds = time.monotonic() - begun
        steps = [killed(cut, moments.uniform(0, 0.15 * seconds)) for _ in range(kills)]
        final = started(cut).communicate()[0].split()[-1]
        same_log = (whole / "training.csv").read_bytes() == (cut / "training.csv").read_bytes()
    result = {
        "kills": kills,
        "last_checkpoint_after_each_kill": steps,
        "bit_identical": final == wanted,
        "same_log": same_log,
        "config": asdict(CONFIG),
        "seed": SEED,
        "commit": commit(),
        "versions": versions(),
        "machine": platform.machine(),
    }
    RESULT.parent.mkdir(exist_ok=True)
    write_atomic(RESULT, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        print(train(Path(sys.argv[2])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
