"""Operon (Burlacu, Kronberger, Kommenda 2020, doi:10.1145/3377929.3398099), by pyoperon."""

import importlib.util
from pathlib import Path

from gnsim.symbolic.engines.base import Availability, Engine, python_module


class Operon(Engine):
    """Genetic programming in C++ with local search of the constants; repeats with its seed."""

    name = "operon"

    def available(self) -> Availability:
        if importlib.util.find_spec("pyoperon") is None:
            return Availability(False, "pyoperon is not installed", "pip install pyoperon==0.6.2")
        return Availability(True, "pyoperon is installed")

    def command(self, out_dir: Path) -> list[str]:
        return python_module("gnsim.symbolic.engines.operon_child", out_dir)
