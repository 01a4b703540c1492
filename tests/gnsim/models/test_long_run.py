"""An exact spring through the code of learned models: bounded energy, momenta to rounding."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "experiments" / "long_run.py"
STEPS = 5_000
#: Euler's energy error passes the bound in its first period
BROKEN = 1_000


def measured(steps: int, **settings: object) -> dict:
    spec = importlib.util.spec_from_file_location("long_run", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run(steps, **settings), module


@pytest.mark.parametrize("kind", ["pairwise", "coupled"])
def test_bounds_hold(kind: str) -> None:
    found, module = measured(STEPS, kind=kind)
    for name, bound in module.BOUNDS.items():
        assert found[name] <= bound, f"{name}: {found[name]:.3g} > {bound:.3g}"


def test_euler_breaks_the_energy_bound() -> None:
    found, module = measured(BROKEN, kind="pairwise", integrator="euler")
    assert found["energy_error"] > module.BOUNDS["energy_error"]
