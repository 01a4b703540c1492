"""Experiments measure each case in a process of its own; the README's tables are their results."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
FILE = ROOT / "experiments" / "record.py"
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
    return script(FILE)


def script(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_peak_memory_is_of_the_case_and_its_children(tmp_path: Path) -> None:
    hold = tmp_path / "hold.py"
    hold.write_text(SCRIPT.format(folder=str(FILE.parent)))
    much, little = (record().measured(str(hold), (mb,)) for mb in ("600", "10"))
    assert (much["held"], little["held"]) == (600, 10)
    assert much["peak_memory_gb"] > 0.6
    assert little["peak_memory_gb"] < much["peak_memory_gb"] - 0.2


def test_the_tables_of_the_readme_are_made_from_the_results() -> None:
    tables, text = script(FILE.with_name("readme_tables.py")), (ROOT / "README.md").read_text()
    assert tables.written(text) == text
    assert tables.written(text.replace("| seed 0 | True", "| seed 0 | False", 1)) == text
    assert "| seed 0 | True" in text
