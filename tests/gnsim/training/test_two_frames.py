"""A force learned from two frames: the curve, the steps of the data, and where forces end."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from gnsim.datasets.sources.charged import Start, simulated
from gnsim.errors import InputError
from gnsim.integrators import KahanLi6, Leapfrog, SymplecticEuler
from gnsim.models.limited import Limited
from gnsim.models.spline import SplinePair
from gnsim.simulator import Simulator
from gnsim.state import Trajectory
from gnsim.training import cut_off as cutting
from gnsim.training import frame_pairs, steps_of_data, two_frames
from gnsim.training.cut_off import cut_off, least
from gnsim.training.fitted_spline import FittedSpline, log_error, missed, usual
from gnsim.training.frame_pairs import FramePairs
from gnsim.training.steps_of_data import Steps, vanishing

SYSTEMS, IN_STEPS = 120, Steps(SymplecticEuler(), 100, True, {})
EXACTLY = Steps(KahanLi6(), 20, False, {})


def coulomb(power: float = -2.0) -> FittedSpline:
    """The force of unit charges, or another power of the distance."""
    spline = FittedSpline(SplinePair(0.2, 10.0, 8, 1e-4), "charge")
    spline.spline.start(-1.0, power)
    return spline


@cache
def charges(near: bool = False, softening: float | None = None) -> Trajectory:
    """Five in each system, over .1 units of time in 100 steps; `near`, two of half of them meet.

    With a `softening`, moved exactly and not cut off.
    """
    numbers = np.random.RandomState(1)
    sign = numbers.choice([-1.0, 1.0], size=(SYSTEMS, 5))
    q, v = 1.5 * numbers.randn(SYSTEMS, 3, 5), 0.5 * numbers.randn(SYSTEMS, 3, 5)
    if near:
        half = slice(SYSTEMS // 2)
        # of equal sign where motion is exact: what attracts may collide
        sign[half, 1] = sign[half, 0] * (1 if softening is not None else -1)
        q[half, :, 1] = q[half, :, 0] + 0.1 * numbers.randn(SYSTEMS // 2, 3)
    later, speed = simulated(Start(sign, q, v), (0,))
    path = Trajectory(
        t=0.1 * torch.arange(2, dtype=torch.float64),
        q=torch.from_numpy(np.stack([q.transpose(0, 2, 1), later[0]])).flatten(1, 2),
        p=torch.from_numpy(np.stack([v.transpose(0, 2, 1), speed[0]])).flatten(1, 2),
        batch=torch.arange(SYSTEMS).repeat_interleave(5),
        attributes={"charge": torch.from_numpy(sign).flatten()},
    )
    if softening is None:
        return path
    ends = Simulator(softened(softening).dynamics, KahanLi6(), 100).rollout(path[0], path.t)
    return replace(path, q=ends.q, p=ends.p)


def softened(length: float) -> FittedSpline:
    class Soft(SplinePair):
        def force(self, r, source, target):
            return super().force((r**2 + length**2).sqrt(), source, target)

    spline = FittedSpline(Soft(0.2, 10.0, 8, 1e-4), "charge")
    spline.spline.start(-1.0, -2.0)
    return spline


def apart(path: Trajectory, most: int = SYSTEMS) -> Trajectory:
    """The systems whose bodies stay apart."""
    return path.systems((FramePairs(path, 0).closest > 0.5).nonzero().flatten()[:most])


def force(spline: FittedSpline, r: float) -> float:
    one = {"charge": torch.ones(1, dtype=torch.float64)}
    return float(spline.dynamics.pair.force(torch.tensor([r], dtype=torch.float64), one, one))


def test_a_curve_is_fitted_to_the_ends() -> None:
    """In the steps that made the data it is the force to many digits, in others it cannot be."""
    errors = {}
    for method in (SymplecticEuler(), Leapfrog()):
        spline = coulomb(power=-1.5)
        spline.fit(apart(charges(), 20), method, 100)
        errors[method] = max(abs(force(spline, r) * r**2 + 1) for r in (0.8, 1.5, 3.0))
    assert errors[SymplecticEuler()] < 1e-5
    assert errors[Leapfrog()] > 1e-4


def test_ends_that_are_far_off_have_no_say() -> None:
    path = apart(charges(), 25)
    q = path.q.clone()
    q[1, :10] += 5.0
    spline = coulomb()
    spline.fit(replace(path, q=q), SymplecticEuler(), 100)
    assert abs(force(spline, 1.5) * 1.5**2 + 1) < 1e-6
    errors = missed(spline.dynamics, SymplecticEuler(), 100, replace(path, q=q))
    assert usual(errors).logical_not().nonzero().flatten().tolist() == [0, 1]


def test_a_curve_grows_inwards() -> None:
    """What most miss by leaves out those that a curve that is not right yet misses a bit more."""
    size = torch.tensor([1e-9] * 6 + [1e-6] * 3 + [1.0], dtype=torch.float64)
    errors = size[:, None, None].expand(-1, 1, 15)
    assert int(usual(errors).sum()) == 6
    assert int(usual(errors, 0.8).sum()) == 9
    assert int(usual(errors, 1.0).sum()) == 10


SLOPE = torch.randn(50, 1, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("true", [64, 320, 1100])
def test_the_steps_of_the_data_are_where_errors_vanish(order: int, true: int) -> None:
    off = {steps: SLOPE * (steps**-order - true**-order) for steps in (250, 500)}
    assert vanishing(off, order) == true
    lost = torch.arange(50)[:, None, None] < 3
    off = {steps: torch.where(lost, 1e3, errors) for steps, errors in off.items()}
    assert vanishing(off, order) == true
    # the two that were taken last count
    assert vanishing({100: SLOPE, **off}, order) == true


def test_steps_that_cannot_be_told_are_not() -> None:
    for true in (5, 1e5, np.inf):
        assert vanishing({n: SLOPE * (1 / n - 1 / true) for n in (250, 500)}, 1) is None


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little of everything, so that it takes seconds."""
    monkeypatch.setattr(frame_pairs, "LEAST_SYSTEMS", 20)
    monkeypatch.setattr(steps_of_data, "_TELLING", 20)
    monkeypatch.setattr(steps_of_data, "_TWO", (20, 40))
    monkeypatch.setattr(steps_of_data, "FINE", (KahanLi6(), 10))
    monkeypatch.setattr(steps_of_data, "MOST", 150)
    monkeypatch.setattr(cutting, "_OTHERS", 30)
    monkeypatch.setattr(cutting, "_RATIO", 1.3)
    monkeypatch.setattr(cutting, "_FOUND", 1e-5)
    monkeypatch.setattr(two_frames, "_APART", ((0.4, 30, 10),))
    monkeypatch.setattr(two_frames, "_CLOSER", ((0.45, 30, 0.5),))
    monkeypatch.setattr(two_frames, "_PIECES", 4)


def test_exact_data_were_made_in_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    path = apart(charges(softening=0.0))
    steps = steps_of_data.steps_of_the_data(coulomb(), FramePairs(path, 0), lambda text: None)
    assert not steps.told and isinstance(steps.method, KahanLi6)


def test_a_cut_off_is_found_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "_RATIO", 1.3)
    monkeypatch.setattr(frame_pairs, "_HARDEST", 0.3)
    found = cut_off(coulomb(), FramePairs(charges(near=True), 0), IN_STEPS)
    assert found.kind == "component" and found.limit == pytest.approx(100.0, rel=1e-5)
    assert found.errors["limit of component"] < found.errors["limit of norm"] - 1
    assert found.explained > 0.9


@pytest.mark.parametrize("softening", [0.0, 0.1])
def test_no_cut_off_is_found_where_there_is_none(
    softening: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In encounters as close, with a curve that is right, and one that knows no softening."""
    monkeypatch.setattr(cutting, "_RATIO", 1.3)
    monkeypatch.setattr(cutting, "_FOUND", 1e-3)
    monkeypatch.setattr(frame_pairs, "_HARDEST", 0.3)
    pairs = FramePairs(charges(near=True, softening=softening), 0)
    found = cut_off(coulomb(), pairs, EXACTLY)
    assert not found.kind and found.limit == float("inf")
    assert found.explained < 0.4


def test_a_cusp_is_found() -> None:
    at, value = least(lambda x: float(np.log(abs(x - 0.3) + 1e-9)), -1.0, 1.0)
    assert at == pytest.approx(0.3, abs=1e-6) and value < -15


def test_bodies_that_pass_each_other_between_frames_come_close() -> None:
    path = charges()
    q = path.q.clone()
    q[0, :2] = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.1, 0.0]])
    q[1, :2] = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.1, 0.0]])
    assert float(FramePairs(replace(path, q=q), 0).closest[0]) < 0.11


def without_body(path: Trajectory) -> Trajectory:
    kept = torch.arange(path.num_nodes) > 0
    charge = {"charge": path.attributes["charge"][kept]}
    return replace(
        path, q=path.q[:, kept], p=path.p[:, kept], batch=path.batch[kept], attributes=charge
    )


def at(path: Trajectory, body: int, value: float) -> Trajectory:
    q = path.q.clone()
    q[:, body] = value
    return replace(path, q=q)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda p: p.systems(torch.arange(99)), "wanted 100 systems or more, found 99"),
        (without_body, "as many bodies in each system, two at least, found 4 to 5"),
        (lambda p: p.frames(slice(1)), "t: wanted two frames or more, found 1"),
        (lambda p: replace(p, velocity_given=False), "v: wanted velocities .* found none"),
        (lambda p: replace(p, noise=torch.ones(600, 2)), "v: wanted velocities .* found noise"),
        (lambda p: at(p, 7, torch.nan), r"q\[0, 7\]: wanted finite numbers"),
        (lambda p: at(at(p, 6, 0.5), 7, 0.5), "two bodies of system 1 are in one place"),
        (lambda p: replace(p, q=p.q[:1].repeat(2, 1, 1)), "found them at rest"),
        (lambda p: replace(p, q=p.q.flip(0)), "no force between pairs explains"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    broken: Callable[[Trajectory], Trajectory], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_frames, "_APART", ((0.4, 30, 5),))
    monkeypatch.setattr(two_frames, "_PIECES", 2)
    with pytest.raises(InputError, match=told):
        two_frames.learn_two_frames(broken(charges()), 0)


def test_all_of_it_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attribute, in any unit, the method and its steps, the force and the cut-off."""
    few(monkeypatch)
    monkeypatch.setattr(frame_pairs, "_HARDEST", 0.3)
    path = charges(near=True)
    path = replace(path, attributes={"charge": 1e-3 * path.attributes["charge"]})
    said: list[str] = []
    found = two_frames.learn_two_frames(path, 3, said.append)
    assert found.attribute == "charge"
    assert found.steps[:3] == (SymplecticEuler(), 100, True)
    assert isinstance(found.model, Limited) and found.cut_off.kind == "component"
    assert found.cut_off.limit == pytest.approx(100.0, rel=1e-3)
    error = (found.ends(path) - path.q[1]).view(SYSTEMS, 1, -1)
    assert log_error(error) < -20
    assert said[-1].startswith("cut off at") and any("SymplecticEuler" in text for text in said)
    with pytest.raises(ValueError, match="charge: wanted for each body"):
        found.ends(replace(path, attributes={}))


def test_the_same_seed_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    monkeypatch.setattr(steps_of_data, "METHODS", ())
    monkeypatch.setattr(cutting, "LIMITS", {"norm": None})
    monkeypatch.setattr(cutting, "_SIZES", (1.0, 1.1))
    ends = [two_frames.learn_two_frames(charges(), 3).ends(charges()) for _ in range(2)]
    assert torch.equal(*ends)
