"""The solar system: known distances, Kepler's third law, consistency of velocities."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from gnsim.datasets import load
from gnsim.datasets.sources.jpl import AU, NAMES, ephemeris, new_year, reference_gm, trajectory
from gnsim.datasets.velocities import estimate

#: sidereal periods in days (NASA planetary fact sheets)
PERIODS = {"Mercury": 87.969, "Venus": 224.701, "Mars": 686.980, "Jupiter": 4332.589}


@pytest.fixture(scope="module")
def decades():
    return trajectory((1950, 1974), 1.0)


def relative(orbits, body: str, center: str = "Sun") -> tuple[np.ndarray, np.ndarray]:
    i, j = NAMES.index(body), NAMES.index(center)
    return (orbits.q[:, i] - orbits.q[:, j]).numpy(), (orbits.p[:, i] - orbits.p[:, j]).numpy()


def test_moon_is_where_it_is(decades):
    q, _ = relative(decades, "Moon", "Earth")
    kilometres = np.linalg.norm(q, axis=1) * AU
    assert 384_000 < kilometres.mean() < 385_500
    assert 356_300 < kilometres.min() < 357_500
    assert 406_000 < kilometres.max() < 406_800


def period(q: np.ndarray, v: np.ndarray) -> float:
    """Mean time of a revolution in steps, from the angle swept in the mean orbital plane."""
    normal = np.cross(q, v).mean(0)
    x = np.cross([0.0, 0.0, 1.0], normal)
    y = np.cross(normal, x)
    angle = np.unwrap(np.arctan2(q @ y / np.linalg.norm(y), q @ x / np.linalg.norm(x)))
    return 2 * np.pi * (len(q) - 1) / abs(angle[-1] - angle[0])


@pytest.mark.parametrize("name", PERIODS)
def test_planets_keep_their_periods_and_keplers_third_law(decades, name):
    days = 4332 * (len(decades) // 4332) if name == "Jupiter" else len(decades)
    q, v = (x[:days] for x in relative(decades, name))
    gm = reference_gm()["GM"]
    found = period(q, v)
    assert abs(found / PERIODS[name] - 1) < 3e-3
    total = gm[0] + gm[NAMES.index(name)]
    axis = 1 / (2 / np.linalg.norm(q, axis=1) - (v**2).sum(1) / total).mean()
    assert abs(found / (2 * np.pi * np.sqrt(axis**3 / total)) - 1) < 3e-3
    assert abs(found / (2 * np.pi * np.sqrt(axis**2 / total)) - 1) > 0.1


def test_velocities_are_the_derivatives_of_the_positions():
    t = new_year(1987) + 0.25 * np.arange(400)
    q, v = ephemeris(t)
    inside = slice(4, -4)
    assert np.abs(estimate(t, q) - v)[inside].max() < 1e-8
    assert np.abs(estimate(t * 1.0001, q) - v)[inside].max() > 1e-8


def test_sun_stays_near_the_barycentre_and_earth_on_its_side(decades):
    assert 0.003 < decades.q[:, 0].norm(dim=1).max() < 0.011
    q, _ = relative(decades, "Earth")
    assert abs(np.linalg.norm(q, axis=1).mean() - 1.0) < 1e-3


def momentum_drift(orbits, gm: torch.Tensor) -> float:
    """Largest change of the total momentum relative to Jupiter's."""
    total = (gm[:, None] * orbits.p).sum(1)
    jupiter = NAMES.index("Jupiter")
    return float(
        (total - total.mean(0)).norm(dim=1).max()
        / (gm[jupiter] * orbits.p[:, jupiter].norm(dim=1).max())
    )


def test_reference_masses_conserve_momentum(decades):
    """Up to asteroids and general relativity, which are in the ephemeris and not in the sum."""
    gm = torch.from_numpy(reference_gm()["GM"])
    assert momentum_drift(decades, gm) < 1e-5
    swapped = gm[torch.tensor([0, 1, 2, 3, 4, 5, 7, 6, 8, 9, 10])]
    assert momentum_drift(decades, swapped) > 0.1


def test_data_set_has_disjoint_spans_units_and_no_masses():
    spans = {"train": (1990, 1992), "valid": (1992, 1993), "test": (1993, 1994)}
    data = load("solar-system", **spans, cadence=2.0)
    parts = (data.train, data.valid, data.test)
    assert [len(part) for part in parts] == [365, 183, 183]
    assert all(a.t[-1] < b.t[0] for a, b in pairwise(parts))
    for part in parts:
        assert part.q.dtype == part.t.dtype == torch.float64
        assert (part.units.length, part.units.time, part.names) == ("AU", "day", NAMES)
        assert not part.attributes
        assert part.velocity_given
    assert data.reference["GM"].shape == (11,)
    assert data.reference["GM"][0] == 0.0002959122082855911
    assert data.reference["GM"][3] / data.reference["GM"][4] == pytest.approx(81.30057, rel=1e-6)


def test_hash_follows_every_part():
    spans = {"train": (1990, 1991), "valid": (1992, 1993), "test": (1993, 1994), "cadence": 4.0}
    data = load("solar-system", **spans)
    assert data.content_hash == load("solar-system", **spans).content_hash
    assert data.content_hash != load("solar-system", **{**spans, "test": (1994, 1995)}).content_hash
    assert (
        data.content_hash != load("solar-system", **{**spans, "valid": (1991, 1993)}).content_hash
    )
    assert data.content_hash != load("solar-system", **{**spans, "cadence": 5.0}).content_hash


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train": (1800, 1900)}, ["1899-07-29", "2053-10-09", "1800-01-01"]),
        ({"test": (2050, 2060)}, ["2059-12-31"]),
        ({"train": (1990, 2001)}, ["train and valid", "disjoint"]),
        ({"train": (2000, 1990)}, ["train", "first year before"]),
        ({"cadence": 0.0}, ["cadence", "above zero"]),
        ({"cadense": 1.0}, ["'cadense'", "did you mean 'cadence'"]),
    ],
)
def test_wrong_settings_are_explained(settings, words):
    with pytest.raises(ValueError) as caught:
        load("solar-system", **settings)
    assert all(word in str(caught.value) for word in words), caught.value


def test_reference_is_optional(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert reference_gm() == {}
