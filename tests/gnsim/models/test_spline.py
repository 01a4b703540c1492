"""Spline forces: power laws are straight in them, also beyond their ends, and signs may change."""

import math

import pytest
import torch

from gnsim.models.spline import SplinePair

ROUNDING = 1e-12


def force(pair: SplinePair, r: list[float]) -> list[float]:
    return pair.force(torch.tensor(r, dtype=torch.float64), {}, {}).tolist()


@pytest.mark.parametrize("strength", [-2.0, 0.5])
@pytest.mark.parametrize("power", [-2.0, 0.0, 1.0])
def test_a_power_law_is_one_everywhere(strength: float, power: float) -> None:
    pair = SplinePair(0.5, 3.0, 6, 1e-8)
    pair.start(strength, power)
    distances = [1e-3, 0.4, 0.5, 1.1, 2.9999, 3.0, 40.0]
    expected = [strength * r**power for r in distances]
    assert force(pair, distances) == pytest.approx(expected, rel=ROUNDING)
    assert all(map(math.isfinite, force(pair, [0.0])))


def test_a_power_law_of_no_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="strength: wanted a number that is not zero"):
        SplinePair(0.5, 3.0, 6, 1e-8).start(0.0, 1.0)


def test_beyond_its_ends_it_goes_on_smoothly() -> None:
    pair = SplinePair(0.5, 3.0, 6, 1e-3)
    pair.coefficients = torch.linspace(9, 2, 9, dtype=torch.float64).sin() + 6
    for end in (0.5, 3.0):
        step = 1e-5
        below, at, above = (
            math.asinh(f / 1e-3) for f in force(pair, [end - step, end, end + step])
        )
        assert above - at == pytest.approx(at - below, abs=1e3 * step**2)


def test_a_force_may_change_its_sign() -> None:
    pair = SplinePair(0.5, 2.0, 8, 1.0)
    centres = pair.spline.centres
    pair.coefficients = centres - centres.mean()
    repels, nothing, attracts = force(pair, [0.5, math.exp(float(centres.mean())), 2.0])
    assert repels < 0 < attracts and nothing == pytest.approx(0.0, abs=ROUNDING)
