"""What every experiment keeps: results by case in one JSON file, resumable, with their origin.

Each case is measured in a process of its own, ``python SCRIPT --measure FILE ARGUMENTS``, so that
its peak memory is not that of a case before it.
"""

import fcntl
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gnsim.atomic import write_atomic
from gnsim.report.scores import versions

RESULTS = Path(__file__).parent / "results"


def commit() -> str:
    """The commit of the checkout, marked where files other than results differ from it."""
    git = ["git", "-C", str(Path(__file__).parents[1])]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    compared = ["diff", "--quiet", "HEAD", "--", ".", ":(exclude)experiments/results"]
    changed = subprocess.run([*git, *compared], capture_output=True, check=False).returncode
    return head.stdout.strip() + ("-dirty" if changed else "")


def measuring(measure: Callable[..., dict[str, Any]]) -> bool:
    """Whether this process was started to measure one case; if so, that is done."""
    if sys.argv[1:2] != ["--measure"]:
        return False
    result = measure(*sys.argv[3:])
    write_atomic(Path(sys.argv[2]), json.dumps({**result, "peak_memory_gb": peak_memory()}))
    return True


def peak_memory() -> float:
    """GB that this process held at most, and the largest of its children beside it.

    An upper bound: Linux counts for a child at least what its parent held when it started it.
    """
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return round(sum(resource.getrusage(one).ru_maxrss for one in who) / 1e6, 2)


def measured(script: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    """What `script` measures in a process of its own. Raises CalledProcessError where it fails."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        subprocess.run([sys.executable, script, "--measure", str(file), *arguments], check=True)
        return json.loads(file.read_text())


def record(name: str, case: str, *arguments: str) -> dict[str, Any]:
    """The result of `case` in ``results/NAME.json``, measured now unless this commit has it.

    `arguments` are those of the function that ``NAME.py`` gives to `measuring`.
    """
    known = _cases(name).get(case, {})
    if known.get("commit") == commit():
        return known
    begun, at = time.monotonic(), commit()
    result = measured(str(Path(__file__).with_name(f"{name}.py")), arguments)
    result |= {
        "seconds_in_all": round(time.monotonic() - begun, 1),
        "commit": at if at == commit() else f"{at}-changed",
        "versions": versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    with _alone():
        cases = {**_cases(name), case: result}
        write_atomic(RESULTS / f"{name}.json", json.dumps(cases, indent=1, allow_nan=False) + "\n")
    return result


def _cases(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


@contextmanager
def _alone() -> Iterator[None]:
    """While other processes measure other cases, one at a time adds its own to the file."""
    folder = os.open(RESULTS, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
