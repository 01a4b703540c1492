"""The process that PySR and Julia run in: ``python -m gnsim.symbolic.engines.pysr_child FOLDER``.

Never imports torch: torch and Julia in one process crash. PySR writes `hall_of_fame.csv` into the
folder while it searches, so that a run that is stopped leaves its front.
"""

import json
import sys
from pathlib import Path

import numpy as np

from gnsim.symbolic.engines.base import SAMPLES, SETTINGS

SEARCH = {
    "binary_operators": ["+", "-", "*", "/", "^"],
    "unary_operators": ["square", "sqrt", "exp", "log"],
    "constraints": {"^": (-1, 1)},
    "maxsize": 22,
    "populations": 15,
    "niterations": 1_000_000,
    "parallelism": "serial",
    "deterministic": True,
    "progress": False,
    "temp_equation_file": False,
}
#: share of the limit for the search itself; Julia's start takes the rest
_SHARE = 0.7


def main(folder: Path) -> None:
    from pysr import PySRRegressor

    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    with np.load(folder / SAMPLES, allow_pickle=False) as data:
        X, y = data["X"], data["y"]
    regressor = PySRRegressor(
        random_state=settings["seed"],
        timeout_in_seconds=_SHARE * settings["time_limit"],
        output_directory=str(folder.parent),
        run_id=folder.name,
        **SEARCH,
    )
    regressor.fit(X, y, variable_names=settings["names"])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
