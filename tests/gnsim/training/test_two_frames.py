"""A force learned from two frames: the curve, the steps of the data, and where forces end."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from gnsim.datasets.sources.charged import Start, simulated
from gnsim.errors import InputError
from gnsim.integrators import Leapfrog, SymplecticEuler
from gnsim.models.limited import Limited
from gnsim.models.spline import SplinePair
from gnsim.state import Trajectory
from gnsim.training import two_frames
from gnsim.training.curve_fit import Curve, log_error, missed, usual
from gnsim.training.two_frames import _closest, _least, _limit, _Systems, _vanishing

#: hundreds of steps, each of many small calls
pytestmark = pytest.mark.as_users_run_it

SYSTEMS = 120


@cache
def charges(near: bool = False) -> Trajectory:
    """Five charges over .1 units of time in 100 steps; `near`, two of half of them meet closely."""
    numbers = np.random.RandomState(1)
    sign = numbers.choice([-1.0, 1.0], size=(SYSTEMS, 5))
    q, v = 1.5 * numbers.randn(SYSTEMS, 3, 5), 0.5 * numbers.randn(SYSTEMS, 3, 5)
    if near:
        half = slice(SYSTEMS // 2)
        sign[half, 1] = -sign[half, 0]
        q[half, :, 1] = q[half, :, 0] + 0.1 * numbers.randn(SYSTEMS // 2, 3)
    later, speed = simulated(Start(sign, q, v), (0,))
    return Trajectory(
        t=0.1 * torch.arange(2, dtype=torch.float64),
        q=torch.from_numpy(np.stack([q.transpose(0, 2, 1), later[0]])).flatten(1, 2),
        p=torch.from_numpy(np.stack([v.transpose(0, 2, 1), speed[0]])).flatten(1, 2),
        batch=torch.arange(SYSTEMS).repeat_interleave(5),
        attributes={"charge": torch.from_numpy(sign).flatten()},
    )


def coulomb(power: float = -2.0) -> Curve:
    curve = Curve(SplinePair(0.2, 10.0, 8, 1e-4), "charge")
    curve.spline.start(-1.0, power)
    return curve


def force(curve: Curve, r: float) -> float:
    one = {"charge": torch.ones(1, dtype=torch.float64)}
    return float(curve.dynamics.pair.force(torch.tensor([r], dtype=torch.float64), one, one))


def apart(most: int = SYSTEMS) -> Trajectory:
    """The systems whose bodies stay apart."""
    return charges().systems((_closest(charges()) > 0.5).nonzero().flatten()[:most])


def test_a_curve_is_fitted_to_the_ends() -> None:
    """In the steps that made the data it is the force to many digits, in others it cannot be."""
    errors = {}
    for method in (SymplecticEuler(), Leapfrog()):
        curve = coulomb(power=-1.5)
        curve.fit(apart(20), method, 100)
        errors[method] = max(abs(force(curve, r) * r**2 + 1) for r in (0.8, 1.5, 3.0))
    assert errors[SymplecticEuler()] < 1e-6
    assert errors[Leapfrog()] > 1e-4


def test_ends_that_are_far_off_have_no_say() -> None:
    path = apart()
    q = path.q.clone()
    q[1, :10] += 5.0
    curve = coulomb()
    curve.fit(replace(path, q=q), SymplecticEuler(), 100)
    assert abs(force(curve, 1.5) * 1.5**2 + 1) < 1e-6
    errors = missed(curve.dynamics, SymplecticEuler(), 100, replace(path, q=q))
    assert usual(errors).logical_not().nonzero().flatten().tolist() == [0, 1]


SLOPE = torch.randn(50, 1, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("true", [320, 1100])
def test_the_steps_of_the_data_are_where_errors_vanish(order: int, true: int) -> None:
    ends = {steps: SLOPE * (steps**-order - true**-order) for steps in (250, 500)}
    assert _vanishing(ends, order) == true
    lost = torch.arange(50)[:, None, None] < 3
    ends = {steps: torch.where(lost, 1e3, errors) for steps, errors in ends.items()}
    assert _vanishing(ends, order) == true
    # the two that were taken last count
    assert _vanishing({100: SLOPE, **ends}, order) == true


def test_data_of_no_steps_are_taken_in_the_most() -> None:
    assert _vanishing({n: SLOPE / n for n in (250, 500)}, 1) == two_frames._MOST
    assert _vanishing({n: SLOPE * (1 / n - 1 / 20) for n in (250, 500)}, 1) == two_frames._FEWEST


@pytest.mark.parametrize("near", [True, False])
def test_a_limit_is_found_where_there_is_one(near: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = charges(near=True) if near else apart()
    monkeypatch.setattr(two_frames, "_LEAST_SYSTEMS", 20)
    systems = _Systems(path, 0)
    sizes = (size / systems.usual_acceleration for size in (80.0, 120.0))
    monkeypatch.setattr(two_frames, "_HARDEST", 0.3)
    monkeypatch.setattr(two_frames, "_SIZES", tuple(sizes))
    limit, found, errors = _limit(coulomb(), systems, SymplecticEuler(), 100)
    if not near:
        assert found == "" and limit == float("inf")
        return
    assert found == "component" and limit == pytest.approx(100.0, rel=1e-5)
    assert errors["limit of component"] < errors["limit of norm"] - 1


def test_a_cusp_is_found() -> None:
    at, value = _least(lambda x: np.log(abs(x - 0.3) + 1e-9), -1.0, 1.0)
    assert at == pytest.approx(0.3, abs=1e-6) and value < -15


def test_bodies_that_pass_each_other_between_frames_come_close() -> None:
    path = charges().systems(torch.arange(1))
    q = path.q[:, :2].clone()
    q[0] = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.1, 0.0]])
    q[1] = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.1, 0.0]])
    two = Trajectory(path.t, q, q, path.batch[:2])
    assert float(_closest(two)) == pytest.approx(0.1)


def test_what_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(InputError, match="wanted 100 systems or more, found 99"):
        two_frames.learn_two_frames(charges().systems(torch.arange(99)), 0)
    path = charges()
    kept = torch.arange(path.num_nodes) > 0
    uneven = replace(
        path,
        q=path.q[:, kept],
        p=path.p[:, kept],
        batch=path.batch[kept],
        attributes={"charge": path.attributes["charge"][kept]},
    )
    with pytest.raises(InputError, match="as many bodies in each system, found 4 to 5"):
        two_frames.learn_two_frames(uneven, 0)


def test_all_of_it_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few systems and few steps: the attribute, the method and its steps, the force."""
    monkeypatch.setattr(two_frames, "_APART", ((0.6, 30, 10),))
    monkeypatch.setattr(two_frames, "_CLOSER", ((0.6, 30), (0.7, 30)))
    monkeypatch.setattr(two_frames, "_TELLING", 20)
    monkeypatch.setattr(two_frames, "_TWO", (20, 40))
    monkeypatch.setattr(two_frames, "_FEWEST", 50)
    monkeypatch.setattr(two_frames, "_PIECES", 4)
    monkeypatch.setattr(two_frames, "_SIZES", (1e3, 1.1e3))
    said: list[str] = []
    monkeypatch.setattr(two_frames, "_LEAST_SYSTEMS", 20)
    found = two_frames.learn_two_frames(apart(), 3, said.append)
    assert found.attribute == "charge" and not isinstance(found.model, Limited)
    assert (type(found.integrator), found.substeps) == (SymplecticEuler, 100)
    error = (found.ends(apart()) - apart().q[1]).view(apart().num_systems, 1, -1)
    assert log_error(error) < -20
    assert said[-1] == "not cut off" and any("SymplecticEuler" in text for text in said)
    again = two_frames.learn_two_frames(apart(), 3)
    assert torch.equal(found.ends(apart()), again.ends(apart()))
