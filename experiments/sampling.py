"""Laws from noisy and from coarse data: how far the default settings go.

``python experiments/sampling.py [NAME ...]`` writes results/sampling.json: springs, charges and
gravity in the plane, each with four noises and three intervals between frames, in units of the
published time step; a hundred frames each.
"""

import sys
from itertools import product

from laws import measure
from record import measuring, record

from gnsim.datasets.systems import SYSTEMS

NAMES = ("spring", "charge", "r2")
NOISES = (0.0, 0.001, 0.01, 0.05)
#: intervals by the published time step, and the one of these that `gnsim.datasets` has by default
INTERVALS, DEFAULT = (1, 10, 30), 10


def case_name(name: str, noise: float, interval: int) -> str:
    return f"{name} 2D, noise {noise:g}, interval {interval}"


def main(names: list[str]) -> None:
    for name, interval, noise in product(names, INTERVALS, NOISES):
        case = case_name(name, noise, interval)
        seconds = SYSTEMS[name].settings().interval * interval / DEFAULT
        settings = (f"noise={noise}", f"interval={seconds}")
        result = record("sampling", case, name, "2", "0", *settings)
        print(case, result["status"], result["force"], result["seconds_in_all"], flush=True)


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or list(NAMES))
