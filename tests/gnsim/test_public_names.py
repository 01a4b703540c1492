"""The public names stand in three lists, for type checkers, first use and `import *`: one set."""

import ast
from pathlib import Path

import gnsim


def for_type_checkers() -> dict[str, str]:
    """Names and modules of what ``gnsim/__init__.py`` imports for type checkers alone."""
    tree = ast.parse(Path(str(gnsim.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.name: str(node.module) for node in imports for name in node.names}


def test_type_checkers_and_programs_see_the_same_names():
    assert for_type_checkers() == gnsim._MODULE_OF
    assert sorted(gnsim.__all__) == sorted(gnsim._MODULE_OF)


def test_every_public_name_can_be_used():
    assert all(getattr(gnsim, name) is not None for name in gnsim.__all__)
