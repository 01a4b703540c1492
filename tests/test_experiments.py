"""Experiments measure each case in a process of its own, engines included."""

import importlib.util
from pathlib import Path
from types import ModuleType

FILE = Path(__file__).parents[1] / "experiments" / "record.py"
SCRIPT = """
import subprocess, sys
sys.path.insert(0, {folder!r})
from record import measuring

def hold(mb):
    code = "import sys; kept = bytearray(int(sys.argv[1]) * 10**6)"
    subprocess.run([sys.executable, "-c", code, mb], check=True)
    return {{"held": int(mb)}}

assert measuring(hold)
"""


def record() -> ModuleType:
    spec = importlib.util.spec_from_file_location("record", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_peak_memory_is_of_the_case_and_its_children(tmp_path: Path) -> None:
    script = tmp_path / "hold.py"
    script.write_text(SCRIPT.format(folder=str(FILE.parent)))
    much, little = (record().measured(str(script), (mb,)) for mb in ("600", "10"))
    assert (much["held"], little["held"]) == (600, 10)
    assert much["peak_memory_gb"] > 0.6
    assert little["peak_memory_gb"] < much["peak_memory_gb"] - 0.2
