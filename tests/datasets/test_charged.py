"""The charged benchmark: the numbers that the published recipe gives, to the chaos of rounding."""

import hashlib

import numpy as np
import pytest
import torch

from gnsim.datasets import load
from gnsim.datasets.sources.charged import drawn, simulated

#: SHA-256 of all charges as int8, of what the reference generator gives with the seed 43
CHARGES = {
    "train": "454403d7fee20e8c85e855cb6bbf3289f4e5efe949b19f56d8fa97b62a2ecb1a",
    "valid": "0422d41658182afc66ed8132bdde17536d2e7e32f5c70355407626f72bd90cb1",
    "test": "91e3d97dd482478c1efe63bb595367b924a18252b16ce0a99261f04850436aeb",
}
#: of the first test simulation there, the first particle at frames 30 and 40
FRAME_30, FRAME_40 = ((1.72989775, 0.76351536, 0.32737137), (2.20285459, 0.96216345, -0.6795642))


def hashes(seed: int) -> dict[str, str]:
    charges = {part: start.charge.astype(np.int8) for part, start in drawn(seed).items()}
    return {part: hashlib.sha256(values.tobytes()).hexdigest() for part, values in charges.items()}


def test_charges_are_those_of_the_reference() -> None:
    assert hashes(43) == CHARGES
    assert hashes(42) != CHARGES


def plainly(charge: np.ndarray, q: np.ndarray, v: np.ndarray, steps: int) -> tuple:
    """One simulation, particle by particle."""
    for _ in range(steps):
        force = np.zeros_like(q)
        for i in range(5):
            for j in range(5):
                d = q[:, i] - q[:, j]
                if i != j:
                    force[:, i] += charge[i] * charge[j] * d / (d @ d) ** 1.5
        v = v + 1e-3 * np.minimum(np.maximum(force, -100.0), 100.0)
        q = q + 1e-3 * v
    return q, v


def test_the_recipe_is_followed() -> None:
    """Two particles so near that the force is cut off at once, and others."""
    start = drawn(43)["valid"].first(2)
    charge, q, v = start
    q[0, :, 1] = q[0, :, 0] + [0.03, 0.02, 0.06]
    found = simulated(start, (0, 1))
    for sim in range(2):
        wanted = plainly(charge[sim], q[sim], v[sim], 200)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one[1, sim].T, other, rtol=1e-9)


def test_the_first_test_simulation_is_the_published_one() -> None:
    data = load("charged-5", train=1, valid=1, test=1)
    assert data.test.t.tolist() == pytest.approx([3.0, 4.0])
    assert data.test.q[:, 0].tolist() == [pytest.approx(p, abs=1e-6) for p in (FRAME_30, FRAME_40)]
    assert set(data.test.attributes["charge"].tolist()) <= {-1.0, 1.0}


def test_parts_begin_where_they_do_whatever_is_taken_of_them() -> None:
    few, more = (load("charged-5", train=n, valid=2, test=1, frames=(0, 1)) for n in (1, 3))
    assert torch.equal(few.valid.q, more.valid.q)
    assert torch.equal(few.train.q, more.train.q[:, :5])
    assert not torch.equal(few.train.q[0], few.test.q[0])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"train": 10_001}, "train: wanted at most 10000 simulations, found 10001"),
        ({"test": 0}, "test: wanted a whole number of at least 1, found 0"),
        ({"frames": (40, 30)}, "frames: wanted rising frames below 49"),
        ({"frames": (30, 49)}, "frames: wanted rising frames below 49"),
        ({"frames": ()}, "frames: wanted rising frames below 49"),
        ({"frames": (30,)}, "frames: wanted rising frames below 49"),
        ({"seed": -1}, "seed: wanted a whole number of at least 0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        load("charged-5", **settings)
