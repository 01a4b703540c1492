"""Experiments measure each case in a process of its own; the README's tables are their results."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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


def test_the_tables_of_the_readme_are_made_from_the_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(FILE.parent)
    tables, text = script(FILE.with_name("readme_tables.py")), (ROOT / "README.md").read_text()
    assert tables.written(text) == text
    assert tables.written(text.replace("| seed 0 | True", "| seed 0 | False", 1)) == text
    assert "| seed 0 | True" in text


def test_the_page_of_simulators_is_made_from_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FILE.parent)
    page = script(FILE.with_name("simulator_page.py"))
    assert page.page() == (ROOT / "docs" / "simulator_results.md").read_text()
    assert page.number([1.0, None, None]) == page.number([None]) == "lost"
    assert page.of_bodies([{"4": 0.5}, {"4": None}, {"4": None}], "4") == "lost"
    assert page.of_bodies([{}], "4") == "–"
    results = page.load("simulators")
    for said in (
        page.claims,
        page.unclear,
        page.integrators,
    ):  # nothing is said of what is not measured
        assert said(results)[0]
        some = {case: found for case, found in results.items() if ", ogn, " not in case}
        assert said(some) == said({}) == ("", [])
    kept = page.load("learned_energy")
    assert page.broken(kept)
    assert page.broken({k: v for k, v in kept.items() if k != "cusp"}) == page.broken({}) == []
    assert page.zero_shot(page.load("zero_shot"))[1]
    assert page.zero_shot({})[1] == []


def test_the_page_of_particles_is_made_from_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FILE.parent)
    page = script(FILE.with_name("particle_page.py"))
    assert page.page() == (ROOT / "docs" / "particle_results.md").read_text()
    test = {name: 0.5 for name in page.ERRORS} | {"seconds a step": 0.1}
    lost = {**test, "position MSE of all": None, "beside": {"no motion": test}}
    found = {"particles": {"400": lost}, "training": {"hours": 1.5}}
    rows = page.materials({"water-drop 0": found})
    assert rows[2] == "| water-drop | 400 | gns | 0.5 | lost | 0.5 | 0.5 | 0.5 | 100 | 1.5 |"
    assert rows[3].startswith("| water-drop | 400 | no motion | 0.5 | 0.5 |")


def spring_law(stiffness: float, error: float, status: str = "verified") -> dict[str, Any]:
    """What laws.py keeps of a law of springs."""
    return {
        "status": status,
        "same_structure": True,
        "force_error": 0.001,
        "force": "k*(r - r0)",
        "truth": {"force": "2.0*(r - 1.0)"},
        "constants": {
            "k": {"value": stiffness, "stderr": error},
            "r0": {"value": 1.0 + 2 * error, "stderr": error},
        },
    }


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FILE.parent)
    return script(FILE.with_name("law_tables.py"))


def test_cases_are_counted_with_those_of_their_kind(tables: ModuleType) -> None:
    clean, unsure = spring_law(2.0, 1e-6), spring_law(2.0, 1e-6, "candidate")
    (told,) = tables.counts(
        {
            "spring, 2D, seed 0": clean,
            "spring, 2D, seed 1": unsure,
            "spring, 2D, seed 0, noise 0.05": unsure,
            "spring, 2D, seed 0, noise 0.01": clean,
            "spring, 2D, seed 0, noise 0.01, positions alone": unsure,
            "yukawa, 2D, seed 0": unsure,
        }
    )
    assert "clean: 1 of 2; 1 % noise: 1 of 1. Wrong" in told  # nothing of positions alone by itself
    assert "verified among all in this table: 0." in told
    wrong = {**clean, "same_structure": False}
    assert (
        "verified among all in this table: 1 (r2, 2D, seed 0)."
        in tables.counts({"r2, 2D, seed 0": wrong})[0]
    )


def test_intervals_are_held_against_the_constants_of_the_truth(tables: ModuleType) -> None:
    near, far = spring_law(1.995, 0.01), spring_law(1.98, 0.01)
    assert tables.true_constants("spring", near) == pytest.approx({"k": 2.0, "r0": 1.0})
    cases = {"spring, 2D, seed 0, noise 0.01": near, "spring, 2D, seed 1, noise 0.01": far}
    clean = {"spring, 2D, seed 0": near, "spring 2D, noise 0, interval 10": near}
    assert "Of 4 intervals" in tables.coverage(cases, clean)[0]
    assert "25% hold" in tables.coverage(cases, clean)[0]
