"""What every experiment keeps: results by case in one JSON file, resumable, with their origin."""

import json
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gnsim.atomic import write_atomic
from gnsim.report.scores import versions

RESULTS = Path(__file__).parent / "results"


def commit() -> str:
    """The commit of the checkout, marked where files that git tracks differ from it."""
    folder = str(Path(__file__).parent)
    run = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip()


def record(name: str, case: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of `case` in ``results/NAME.json``, measured now unless this commit has it."""
    path = RESULTS / f"{name}.json"
    cases = json.loads(path.read_text()) if path.exists() else {}
    if case in cases and cases[case]["commit"] == commit():
        return cases[case]
    begun = time.monotonic()
    result = measure()
    cases[case] = {
        **result,
        "seconds_in_all": round(time.monotonic() - begun, 1),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "commit": commit(),
        "versions": versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    write_atomic(path, json.dumps(cases, indent=1, allow_nan=False) + "\n")
    return cases[case]
