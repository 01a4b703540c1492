"""Rollouts: resumed as whole, batched as single, and stopped where they diverge."""

import pytest
import torch

from gnsim.integrators import Dopri5, Leapfrog, Yoshida6
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.simulator import DivergedError, Simulator
from gnsim.state import State, Units
from gnsim.testing import Gravity, HarmonicOscillator, NonSeparable, kepler, make_state

TWO_BODIES = PairwiseHamiltonian(Gravity())


def times(frames: int, dt: float = 0.1) -> torch.Tensor:
    return dt * torch.arange(frames, dtype=torch.float64)


def test_rollout_follows_the_exact_orbit() -> None:
    trajectory = Simulator(TWO_BODIES, Yoshida6(), substeps=10).rollout(kepler(0.0), times(20))
    for t, state in zip(trajectory.t.tolist(), trajectory, strict=True):
        assert (state.q - kepler(t).q).abs().max() < 1e-9


def test_resumed_rollout_is_the_whole() -> None:
    simulator = Simulator(TWO_BODIES, Leapfrog(), substeps=3)
    whole = simulator.rollout(kepler(0.0), times(20))
    resumed = simulator.rollout(whole[8], whole.t[8:])
    assert torch.equal(resumed.q, whole.q[8:])
    assert torch.equal(resumed.p, whole.p[8:])


def test_batch_of_systems_is_each_alone() -> None:
    starts = [kepler(0.0), kepler(0.4, 0.1, (2.0, 0.7)), kepler(1.0, 0.5)]
    union = State(
        q=torch.cat([s.q for s in starts]),
        p=torch.cat([s.p for s in starts]),
        batch=torch.arange(3).repeat_interleave(2),
        attributes={"mass": torch.cat([s.mass for s in starts])},
    )
    simulator = Simulator(TWO_BODIES, Leapfrog())
    together = simulator.rollout(union, times(10))
    for system, start in enumerate(starts):
        alone = simulator.rollout(start, times(10))
        part = together.systems(torch.tensor([system]))
        assert torch.equal(part.q, alone.q)
        assert torch.equal(part.p, alone.p)


def test_substeps_cut_the_intervals() -> None:
    coarse = Simulator(TWO_BODIES, Leapfrog(), substeps=4).rollout(kepler(0.0), times(3, 0.25))
    fine = Simulator(TWO_BODIES, Leapfrog()).rollout(kepler(0.0), times(9, 0.0625))
    assert torch.equal(coarse.q, fine.q[::4])


def test_rollout_backwards_in_time_returns() -> None:
    simulator = Simulator(TWO_BODIES, Leapfrog())
    there = simulator.rollout(kepler(0.0), times(30, 0.02))
    back = simulator.rollout(there[-1], there.t.flip(0))
    assert (back.q.flip(0) - there.q).abs().max() < 1e-12


def test_names_units_and_progress() -> None:
    q, p = torch.ones(1, 2), torch.zeros(1, 2)
    start = State(q, p, torch.zeros(1, dtype=torch.long), units=Units(length="au"))
    seen: list[tuple[int, int]] = []
    trajectory = Simulator(HarmonicOscillator(), Leapfrog()).rollout(
        start, times(4), names=("Sun",), progress=lambda done, of: seen.append((done, of))
    )
    assert trajectory.names == ("Sun",)
    assert trajectory.units.length == "au"
    assert trajectory.q.dtype == torch.float32
    assert seen == [(2, 4), (3, 4), (4, 4)]


def test_gradients_only_where_asked_for() -> None:
    start = kepler(0.0)
    start = start.moved(start.q.requires_grad_(), start.p)
    simulator = Simulator(TWO_BODIES, Leapfrog())
    assert not simulator.rollout(start, times(3)).q.requires_grad
    end = simulator.rollout(start, times(3), differentiable=True).q
    assert torch.equal(end.detach(), simulator.rollout(start, times(3)).q)
    (gradient,) = torch.autograd.grad(end[-1].sum(), start.q)
    assert gradient.abs().max() > 0


class Trap(HarmonicOscillator):
    """Pushes one body to infinity once it is left of `edge`."""

    def force(self, state: State) -> torch.Tensor:
        return torch.where(state.q < -0.5, torch.inf, -state.q)


def test_divergence_names_step_body_and_quantity() -> None:
    start = make_state([[0.1], [1.0], [0.2]], [[0.0], [0.0], [0.0]])
    simulator = Simulator(Trap(), Leapfrog(), substeps=2)
    with pytest.raises(DivergedError) as caught:
        simulator.rollout(start, times(100), names=("Ceres", "Vesta", "Juno"))
    error = caught.value
    # cos t falls below -1/2 at t = 2.09, in the 42nd step of .05
    assert (error.step, error.body, error.quantity) == (42, 1, "momentum")
    assert error.time == pytest.approx(2.1)
    assert "step 42" in str(error)
    assert "the momentum of Vesta (body 1) is inf" in str(error)
    assert "\n" not in str(error)
    assert len(error.trajectory) == 21
    assert torch.isfinite(error.trajectory.q).all()
    assert error.trajectory.t[-1] == pytest.approx(2.0)


def test_energy_limit_stops_a_step_that_is_too_large() -> None:
    start = make_state([[1.0]], [[0.0]])
    unstable = Simulator(HarmonicOscillator(), Leapfrog(), energy_limit=0.5)
    with pytest.raises(DivergedError, match=r"energy of system 0.*limit is 0.5") as caught:
        unstable.rollout(start, times(100, 2.1))
    assert caught.value.quantity == "energy"
    assert caught.value.step < 10
    assert len(unstable.rollout(start, times(100, 0.1))) == 100


def test_step_that_cannot_be_taken_keeps_what_was_done() -> None:
    falling = make_state([[0.0], [1.0]], [[0.0], [0.0]], mass=[1.0, 1.0])
    with pytest.raises(DivergedError, match="Dopri5") as caught:
        Simulator(TWO_BODIES, Dopri5(max_num_steps=100)).rollout(falling, times(20))
    assert 1 < len(caught.value.trajectory) < 20


def test_wrong_use_is_refused_before_the_run() -> None:
    with pytest.raises(ValueError, match="implicit_midpoint"):
        Simulator(NonSeparable(), Leapfrog())
    with pytest.raises(ValueError, match="substeps"):
        Simulator(TWO_BODIES, Leapfrog(), substeps=0)
    simulator = Simulator(TWO_BODIES, Leapfrog())
    with pytest.raises(ValueError, match=r"times\[1\] is 1 and times\[2\] is 1"):
        simulator.rollout(kepler(0.0), torch.tensor([0.0, 1.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match=r"times\[1\] is nan"):
        simulator.rollout(kepler(0.0), torch.tensor([0.0, float("nan")]))
    bad = kepler(0.0)
    with pytest.raises(ValueError, match="position of body 0 is nan"):
        simulator.rollout(bad.moved(bad.q * torch.nan, bad.p), times(3))
