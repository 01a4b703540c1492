"""A step that cannot be taken says why, in a message of its own."""

import pytest
import torch

from gnsim.dynamics import Dynamics
from gnsim.integrators import INTEGRATORS, Dopri5, Dopri8, ImplicitMidpoint, IntegrationError
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.state import State
from gnsim.testing import Gravity, HarmonicOscillator, make_state

ADAPTIVE = [Dopri5, Dopri8]


class Field(Dynamics):
    """``dq/dt = function(q)``, p at rest."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        return self.function(state.q), torch.zeros_like(state.p)


START = make_state([[1.0]], [[0.0]])


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_stiff(kind) -> None:
    with pytest.raises(IntegrationError, match=r"stiff or singular problem.*200 steps"):
        kind(max_num_steps=200).step(HarmonicOscillator(1e12), START, 1.0)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_blow_up(kind) -> None:
    with pytest.raises(IntegrationError, match="blow-up"):
        kind().step(Field(torch.square), START, 2.0)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_collision_of_two_bodies_ends(kind) -> None:
    at_rest = make_state([[0.0], [1.0]], [[0.0], [0.0]], mass=[1.0, 1.0])
    with pytest.raises(IntegrationError, match=r"underflow|stiff or singular|blow-up"):
        kind(max_num_steps=100).step(PairwiseHamiltonian(Gravity()), at_rest, 5.0)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_step_underflow(kind) -> None:
    singular = Field(lambda q: -1 / q.square())  # q = (1 - 3 t)^(1/3) reaches zero at t = 1/3
    with pytest.raises(IntegrationError, match="step size underflow"):
        kind(max_num_steps=2_000).step(singular, START, 1.0)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_right_hand_side_not_finite_at_the_start(kind) -> None:
    nan = Field(lambda q: q * torch.nan)
    with pytest.raises(
        IntegrationError, match=r"right-hand side is not finite at the start.*body 0"
    ):
        kind().step(nan, START, 1.0)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_right_hand_side_not_finite_on_the_way(kind) -> None:
    edge = Field(lambda q: -torch.ones_like(q) + 0 * torch.log(q - 0.5))
    with pytest.raises(IntegrationError, match="right-hand side is not finite within"):
        kind().step(edge, START, 2.0)


def test_implicit_midpoint_that_does_not_converge() -> None:
    with pytest.raises(IntegrationError, match=r"did not converge.*dt = 3.*smaller step"):
        ImplicitMidpoint().step(HarmonicOscillator(), START, 3.0)


def test_integrators_are_frozen_and_compare_by_value() -> None:
    for kind in INTEGRATORS.values():
        assert kind() == kind()
    assert Dopri5(rtol=1e-3) != Dopri5()
    with pytest.raises(AttributeError):
        Dopri5().rtol = 1.0
