"""Small trainings: ``killed.py DATA FOLDER``, or ``killed.py DATA FOLDER=STEP,STEP ...``.

The first prints the SHA-256 of the final weights. The second kills a training at each step from
outside, and goes on with it in another process; all of them are forked from this one, which has
imported what they need.
"""

import hashlib
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from gnsim.datasets import load
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import Fitted, fit

STEPS = 40
#: seconds that are spent after each step, so that a kill has something to hit
PAUSE = 0.005
CONFIG = TrainingConfig(
    hidden=8, steps=STEPS, pilot_steps=5, validate_every=5, pairs_per_batch=60, coupling="source"
)
FORK = multiprocessing.get_context("fork")


def digest(fitted: Fitted) -> str:
    """Of all weights and couplings, to the bit."""
    found = hashlib.sha256()
    for name, value in sorted(fitted.model.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def train(file: str, folder: Path, told: Connection | None = None) -> Fitted:
    """A training that is told of by step, if anyone listens."""

    def tell(phase: str, step: int, total: int, error: float) -> None:
        if told is not None:
            told.send(step)
            time.sleep(PAUSE)

    data = load(file)
    return fit(data.train, data.valid, CONFIG, 0, folder, data.content_hash, tell)


def kill(file: str, folder: Path, last: int) -> None:
    """SIGKILL as soon as the process has told of a step."""
    heard, told = FORK.Pipe(duplex=False)
    process = FORK.Process(target=train, args=(file, folder, told))
    process.start()
    told.close()
    while heard.recv() != last:  # and an end of the pipe is an error
        pass
    process.kill()
    process.join()
    assert process.exitcode == -9


def main() -> None:
    file, *folders = sys.argv[1:]
    for folder, _, steps in (given.partition("=") for given in folders):
        if not steps:
            print(digest(train(file, Path(folder))))
        for step in filter(None, steps.split(",")):
            kill(file, Path(folder), int(step))


if __name__ == "__main__":
    main()
