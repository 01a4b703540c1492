"""Pair Hamiltonians: signs, the force as a gradient, and the symmetries of the sum over pairs."""

import math

import pytest
import torch

from gnsim.models.pairwise import Attributes, PairPotential, PairwiseHamiltonian
from gnsim.state import State
from gnsim.testing import Gravity, make_state

ROUNDING = 1e-12


class GravityByQuadrature(PairPotential):
    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return source["mass"] * target["mass"] / r.square()


class Skewed(PairwiseHamiltonian):
    """Broken on purpose: its force is not the gradient of its energy, nor equal to any rotation."""

    def force(self, state: State) -> torch.Tensor:
        return super().force(state) + 1e-6 * state.q[:, :1]


CLOSED = PairwiseHamiltonian(Gravity())
QUADRATURE = PairwiseHamiltonian(GravityByQuadrature())


def bodies(count: int = 5, seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    q, p = (torch.randn(count, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    mass = (0.5 + torch.rand(count, generator=generator, dtype=torch.float64)).tolist()
    return make_state(q.tolist(), p.tolist(), mass=mass)


def gradient_defect(hamiltonian: PairwiseHamiltonian, state: State) -> float:
    q = state.q.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(hamiltonian.potential(state.moved(q, state.p)).sum(), q)
    return float((hamiltonian.force(state) + gradient).abs().max() / gradient.abs().max())


def test_attraction_pulls_together() -> None:
    state = make_state([[0.0, 0.0], [2.0, 0.0]], [[0.0, 0.0]] * 2, mass=[3.0, 4.0])
    expected = [[3.0, 0.0], [-3.0, 0.0]]
    assert CLOSED.force(state).tolist() == expected
    assert float(CLOSED.potential(state)) == -6.0


@pytest.mark.parametrize("hamiltonian", [CLOSED, QUADRATURE])
def test_force_is_minus_the_gradient_of_the_potential(hamiltonian: PairwiseHamiltonian) -> None:
    assert gradient_defect(hamiltonian, bodies()) < ROUNDING


def test_a_force_that_is_not_is_seen() -> None:
    assert gradient_defect(Skewed(Gravity()), bodies()) > 1e3 * ROUNDING


def test_quadrature_gives_the_closed_form_up_to_its_reference() -> None:
    state = make_state([[0.0], [250.0]], [[0.0], [0.0]], mass=[1.0, 1.0])
    # V vanishes at r = 1 by quadrature and at infinity in closed form
    assert float(QUADRATURE.potential(state)) == pytest.approx(1 - 1 / 250, rel=ROUNDING)


@pytest.mark.parametrize("hamiltonian", [CLOSED, QUADRATURE])
def test_symmetries(hamiltonian: PairwiseHamiltonian) -> None:
    state = bodies()
    force, potential = hamiltonian.force(state), hamiltonian.potential(state)
    scale = float(force.abs().max())

    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = State(state.q[order], state.p[order], state.batch, {"mass": state.mass[order]})
    assert (hamiltonian.force(permuted) - force[order]).abs().max() < ROUNDING * scale

    shifted = state.moved(state.q + 1.5, state.p)
    assert (hamiltonian.force(shifted) - force).abs().max() < 10 * ROUNDING * scale

    turn = rotation(0.7)
    turned = state.moved(state.q @ turn.T, state.p)
    assert (hamiltonian.force(turned) - force @ turn.T).abs().max() < 10 * ROUNDING * scale
    for other in (permuted, shifted, turned):
        assert float(hamiltonian.potential(other)) == pytest.approx(float(potential), rel=ROUNDING)

    torque = torch.linalg.cross(state.q, force).sum(0)
    assert force.sum(0).abs().max() < ROUNDING * scale
    assert torque.abs().max() < ROUNDING * scale


def test_a_skewed_force_breaks_them() -> None:
    state, skewed = bodies(), Skewed(Gravity())
    force = skewed.force(state)
    assert force.sum(0).abs().max() > 1e-8
    shifted = skewed.force(state.moved(state.q + 1.5, state.p))
    assert (shifted - force).abs().max() > 1e-8


def rotation(angle: float) -> torch.Tensor:
    c, s = math.cos(angle), math.sin(angle)
    about_z = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    about_x = torch.tensor([[1, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64)
    return about_z @ about_x


def test_batched_systems_are_each_alone() -> None:
    parts = [bodies(3, 1), bodies(5, 2), bodies(2, 3)]
    union = State(
        torch.cat([s.q for s in parts]),
        torch.cat([s.p for s in parts]),
        torch.cat([torch.full((s.num_nodes,), i) for i, s in enumerate(parts)]),
        {"mass": torch.cat([s.mass for s in parts])},
    )
    assert torch.equal(CLOSED.force(union), torch.cat([CLOSED.force(s) for s in parts]))
    assert torch.equal(CLOSED.energy(union), torch.cat([CLOSED.energy(s) for s in parts]))


def test_one_body_feels_nothing() -> None:
    alone = bodies(1)
    assert CLOSED.force(alone).abs().max() == 0
    assert CLOSED.potential(alone).tolist() == [0.0]


def test_force_passes_gradgradcheck() -> None:
    state = bodies(3)
    q = state.q.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda q: CLOSED.force(state.moved(q, state.p)), q)
    assert torch.autograd.gradgradcheck(lambda q: CLOSED.force(state.moved(q, state.p)), q)
