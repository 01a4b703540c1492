"""Maps the folders of the repository to one import package; all metadata is in pyproject.toml.

`datasets/` and `symbolic/` are installed as `gnsim.datasets` and `gnsim.symbolic`: top-level
modules of those names would shadow other software. The committed links gnsim/datasets and
gnsim/symbolic give an uninstalled checkout and the type checkers the same names; they are not
followed here, or every mapped module would be installed twice.
"""

import os
from pathlib import Path

from setuptools import setup

PACKAGES = {"gnsim": "gnsim", "datasets": "gnsim.datasets", "symbolic": "gnsim.symbolic"}


def subpackages(folder: str, package: str) -> list[str]:
    """`package` and every package below it, by walking `folder` without following links."""
    return [
        ".".join((package, *Path(path).relative_to(folder).parts))
        for path, _, files in os.walk(folder, followlinks=False)
        if "__init__.py" in files
    ]


setup(
    package_dir={package: folder for folder, package in PACKAGES.items()},
    packages=[name for pair in PACKAGES.items() for name in subpackages(*pair)],
)
