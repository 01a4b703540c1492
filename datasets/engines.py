"""Engines that simulate particles: each an extra of its own, imported when it is needed."""

from importlib import import_module, util
from typing import Any

from gnsim.errors import InputError

#: the extra of pyproject.toml that installs each engine
EXTRAS = {"pymunk": "rigid", "taichi": "fluids", "openmm": "md"}


def engine(module: str, source: str) -> Any:
    """The engine that `source` is simulated by. Raises InputError where it is not installed."""
    if util.find_spec(module) is None:
        raise InputError(
            f"{source}: needs the engine {module}, which is not installed; pip install "
            f"'gnsim[{EXTRAS[module]}]', or take {source}-sample, which needs none"
        )
    return import_module(module)
