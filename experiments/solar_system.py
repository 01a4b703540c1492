"""Newton's law and the masses of eleven bodies from JPL's ephemeris, for three seeds.

``python experiments/solar_system.py`` writes results/solar_system.json: what ``make demo`` finds,
with the law's and the network's rollout over the held-out decade. About three minutes a seed.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from record import record

from gnsim.api import discover
from gnsim.report import metrics, summary


def measure(seed: int) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        found = discover("solar-system", seed=seed, out=Path(folder) / "run")
        print(summary(found))
    return metrics(found)


if __name__ == "__main__":
    for seed in [int(word) for word in sys.argv[1:]] or range(3):
        result = record("solar_system", f"seed {seed}", lambda seed=seed: measure(seed))
        print(seed, result["verified"], result["equals_true_law"], result["seconds_in_all"])
