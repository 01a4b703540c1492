"""A small training that is killed from outside: ``python killed.py FOLDER DATA [PAUSE]``.

`PAUSE` seconds are spent after each step, so that a kill has something to hit. Prints the SHA-256
of the final weights.
"""

import hashlib
import sys
import time
from pathlib import Path

from gnsim.datasets import load
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import fit

STEPS = 40
CONFIG = TrainingConfig(
    hidden=8, steps=STEPS, pilot_steps=5, validate_every=5, pairs_per_batch=60, coupling="source"
)


def digest(fitted) -> str:
    """Of all weights and couplings, to the bit."""
    found = hashlib.sha256()
    for name, value in sorted(fitted.model.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def main() -> None:
    folder, pause = Path(sys.argv[1]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0

    def tell(phase: str, step: int, total: int, error: float) -> None:
        print(f"step {step}", file=sys.stderr, flush=True)
        time.sleep(pause)

    data = load(sys.argv[2])
    fitted = fit(data.train, data.valid, CONFIG, 0, folder, data.content_hash, tell)
    print(digest(fitted))


if __name__ == "__main__":
    main()
