"""Newton's law and the masses of eleven bodies from JPL's ephemeris, for three seeds.

``python experiments/solar_system.py`` writes results/solar_system.json: what ``make demo`` finds,
with the law's and the network's rollout over the held-out decade. About three minutes a seed.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from record import measuring, record

from gnsim.api import discover
from gnsim.report import metrics, summary


def measure(seed: str) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        found = discover("solar-system", seed=int(seed), out=Path(folder) / "run")
        print(summary(found))
    return metrics(found)


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    for seed in sys.argv[1:] or "012":
        result = record("solar_system", f"seed {seed}", seed)
        print(seed, result["verified"], result["equals_true_law"], result["seconds_in_all"])
