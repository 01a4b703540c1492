"""Imports run one way, and the check of it is not blind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint(folder):
    """The exit status and the output of import-linter on the packages in `folder`."""
    code = "import sys; from importlinter.cli import lint_imports as l; sys.exit(l(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_imports_run_one_way():
    status, output = lint(ROOT)
    assert status == 0, output
    assert "Data know no learner" in output


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The packages and their contracts, the links resolved, to plant faults in."""
    folder = tmp_path_factory.mktemp("layers")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gnsim", folder / "gnsim", symlinks=False, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("state", "gnsim.datasets"),
        ("graph", "gnsim.state"),
        ("training/checkpoint", "gnsim.symbolic"),
        ("datasets/files", "gnsim.symbolic"),
        ("datasets/files", "gnsim.models.radial"),
        ("datasets/files", "gnsim.training.checkpoint"),
        ("symbolic/__init__", "gnsim.training.checkpoint"),
        ("symbolic/__init__", "gnsim.datasets"),
        ("doctor", "gnsim.commands.options"),
        ("brand_new", "gnsim.state"),
    ],
)
def test_a_planted_import_is_found(copy, module, imported):
    path = copy / "gnsim" / f"{module}.py"
    before = path.read_text() if path.exists() else None
    try:
        path.write_text(f"{before or ''}\nimport {imported}\n")
        status, output = lint(copy)
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert status != 0
    assert f"gnsim.{module.replace('/__init__', '').replace('/', '.')}" in output
