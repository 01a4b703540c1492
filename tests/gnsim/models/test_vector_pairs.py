"""Pair forces of distance and relative velocity: their symmetries, and what has no kicks."""

import pytest
import torch
from torch import Tensor

from gnsim.integrators import DOP853, Leapfrog
from gnsim.models.pairwise import Attributes, PairwiseHamiltonian
from gnsim.models.vector_pairs import Corrected, RelativeMotion, VectorPair, relative_motion
from gnsim.simulator import Simulator
from gnsim.state import State
from gnsim.testing import Gravity, make_state

ROUNDING = 1e-12


class Odd(VectorPair):
    """``R = m_i m_j v_r / r``, ``T = v_t^2 / r``."""

    def components(
        self, motion: RelativeMotion, source: Attributes, target: Attributes
    ) -> tuple[Tensor, Tensor]:
        along = source["mass"] * target["mass"] * motion.v_r / motion.r
        return along, motion.v_t**2 / motion.r


class Twisted(Odd):
    """What would act out of the plane of the relative motion, turned into it: no mirror image."""

    def force(self, state: State) -> Tensor:
        force = super().force(state)
        turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=force.dtype)
        return force @ turn


def three() -> State:
    generator = torch.Generator().manual_seed(0)
    q, p = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    return make_state(q.tolist(), p.tolist(), mass=[1.0, 2.0, 0.5])


def rotation() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return q


def changed(state: State, axes: Tensor, boost: Tensor) -> State:
    return state.moved(state.q @ axes.T, (state.p + state.mass[:, None] * boost) @ axes.T)


def off(pair: VectorPair) -> float:
    """How much a force differs for an observer who moves, turns, and looks into a mirror."""
    state, axes = three(), rotation()
    axes = (
        axes
        * torch.sign(torch.linalg.det(axes))
        @ torch.diag(torch.tensor([1.0, 1.0, -1.0])).double()
    )
    boost = torch.tensor([0.3, -2.0, 0.7], dtype=torch.float64)
    seen = pair.force(changed(state, axes, boost))
    return float((seen - pair.force(state) @ axes.T).abs().max())


def test_a_force_is_the_same_for_all_observers() -> None:
    assert off(Odd()) < ROUNDING
    assert off(Twisted()) > 0.1


def test_forces_on_both_bodies_are_opposite() -> None:
    assert float(Odd().force(three()).sum(0).abs().max()) < ROUNDING


def test_speeds_are_those_of_the_source_as_its_target_sees_it() -> None:
    state = make_state([[0.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [3.0, 4.0]])
    source, target = state.pairs
    motion = relative_motion(state)
    sign = 1.0 if (int(source[0]), int(target[0])) == (1, 0) else -1.0
    assert (float(motion.r), float(motion.v_r), float(motion.v_t)) == (2.0, 3.0, 4.0)
    assert motion.n[0].tolist() == [sign, 0.0] and motion.t[0].tolist() == [0.0, sign]


def test_a_corrected_law_has_no_kicks_to_be_integrated_by() -> None:
    dynamics = Corrected(PairwiseHamiltonian(Gravity()), Odd())
    times = torch.linspace(0, 0.1, 3, dtype=torch.float64)
    with pytest.raises((TypeError, ValueError)):
        Simulator(dynamics, Leapfrog()).rollout(three(), times)
    assert len(Simulator(dynamics, DOP853()).rollout(three(), times)) == 3


def test_energy_of_a_drag_along_the_line_falls() -> None:
    """Between two bodies that part, a force against that takes energy: the sign of v_r."""

    class Dashpot(VectorPair):
        def components(
            self, motion: RelativeMotion, source: Attributes, target: Attributes
        ) -> tuple[Tensor, Tensor]:
            return 0.5 * motion.v_r, torch.zeros_like(motion.r)

    state = make_state([[0.0, 0.0], [1.0, 0.0]], [[-1.0, 0.0], [1.0, 0.0]])
    force = Dashpot().force(state)
    assert float((force * state.velocity).sum()) < 0
