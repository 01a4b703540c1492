"""What is installed is one package, complete, that shadows nobody's."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from jaxtyping import TypeCheckError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gnsim
from gnsim.datasets.samples import SAMPLES

ROOT = Path(__file__).parents[1]
FOLDERS = {"gnsim": "gnsim", "datasets": "gnsim/datasets", "symbolic": "gnsim/symbolic"}


def python(executable, code, cwd, *arguments, **environment):
    done = subprocess.run(
        [executable, "-c", code, *arguments],
        cwd=cwd,
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, so that no build folder appears in the checkout."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=ignored)
    for path in (*ROOT.glob("*.py"), *ROOT.glob("*.toml"), *ROOT.glob("*.md"), ROOT / "LICENSE"):
        shutil.copy(path, copy)
    backend = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", backend, out], cwd=copy, check=True, capture_output=True, text=True
    )
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Python of an environment that holds the wheel; its dependencies are this one's."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    install = [sys.executable, "-m", "pip", "--quiet", "install", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", site, wheel], check=True, capture_output=True)
    # a plain path: the .pth files of this environment, with its editable gnsim, are not read
    (site / "dependencies.pth").write_text(
        f"{Path(importlib.util.find_spec('torch').origin).parents[1]}\n"
    )
    return folder / "bin" / "python"


def test_the_wheel_holds_every_module_once_and_nothing_beside_gnsim(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    expected = {
        f"{package}/{path.relative_to(ROOT / folder)}"
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents)
    }
    modules = [name for name in names if name.endswith(".py")]
    assert sorted(modules) == sorted(expected)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"gnsim"}
    assert "gnsim/py.typed" in names
    assert {f"gnsim/datasets/samples/{name}.npz" for name in SAMPLES} <= {*names}
    assert any(name.endswith("LICENSE") for name in names)


def test_every_folder_with_modules_is_a_package():
    """Without `__init__.py` a folder is in no wheel, and import-linter passes over it."""
    folders = {
        path.parent
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents)
    }
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_wheel_works_outside_the_checkout_and_shadows_nothing(installed, tmp_path):
    (tmp_path / "datasets.py").write_text("whose = 'theirs'")
    code = """
import sys
import gnsim, gnsim.datasets, gnsim.symbolic
for name in gnsim.__all__:
    getattr(gnsim, name)
sys.path.append(sys.argv[1])  # last: a module of that name in the environment would win
import datasets
print(gnsim.__file__, gnsim.datasets.__file__, gnsim.__version__, datasets.whose)
"""
    module, data, version, whose = python(installed, code, "/", str(tmp_path)).split()
    assert Path(module).is_relative_to(installed.parents[1])
    assert Path(data).parent == Path(module).parent / "datasets"
    assert version == gnsim.__version__
    assert whose == "theirs"
    assert not list(installed.parents[1].glob("lib/*/site-packages/symbolic*"))


def test_the_command_is_installed(wheel):
    points = zipfile.ZipFile(wheel).read(f"gnsim-{gnsim.__version__}.dist-info/entry_points.txt")
    assert "gnsim = gnsim.cli:main" in points.decode()


@pytest.mark.parametrize("name", ["datasets", "symbolic"])
def test_a_bare_import_in_the_checkout_names_the_right_one(name):
    code = f"""
try:
    import {name}
except ImportError as error:
    print(error)
"""
    assert f"`gnsim.{name}`" in python(sys.executable, code, ROOT)


def test_importing_gnsim_imports_nothing_heavy():
    code = (
        "import sys, gnsim, gnsim.cli; print(*{'torch', 'numpy', 'scipy', 'yaml'} & {*sys.modules})"
    )
    assert python(sys.executable, code, ROOT, PYTHONPATH=str(ROOT)).split() == []


def test_public_names_are_there_and_others_are_not():
    for name in gnsim.__all__:
        assert getattr(gnsim, name).__name__ == name
        assert name in dir(gnsim)
    with pytest.raises(AttributeError, match="no attribute 'Sate'"):
        _ = gnsim.Sate


def test_shapes_are_checked_at_run_time_in_all_folders():
    """`--jaxtyping-packages` reaches the linked folders too: their functions are wrapped."""
    from gnsim.datasets import velocities
    from gnsim.graph import all_pairs

    for function, arguments in ((all_pairs, ["x"]), (velocities.estimate, ["x", "y"])):
        with pytest.raises(TypeCheckError, match="Type-check error"):
            function(*arguments)


def test_everything_that_is_needed_is_pinned():
    pins = {
        canonicalize_name(requirement.name): requirement
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
        for requirement in [Requirement(line)]
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    for line in wanted:
        requirement = Requirement(line)
        if requirement.name == "gnsim":
            continue
        (pin,) = pins[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), line


def test_the_hashed_requirement_is_the_pinned_one():
    hashed = (ROOT / "requirements-hashed.txt").read_text()
    assert "lightning-fabric==2.6.6" in hashed
    assert "lightning-fabric==2.6.6\n" in (ROOT / "constraints.txt").read_text()
    assert hashed.count("--hash=sha256:") == 2
