from dataclasses import replace

import numpy as np
import pytest
import torch

from gnsim.dynamics import SeparableHamiltonian
from gnsim.models.terms import Term
from gnsim.state import State, Units
from gnsim.symbolic.law import Constant, Hidden, Law, Verdict

ROUNDING = 1e-12


def law(force, dim=3, hidden=None, **values):
    constants = {name: Constant(value, None) for name, value in values.items()}
    return Law(force, constants, dim, hidden=hidden or {})


def newton(**more):
    hidden = {"mass": Hidden((1.0, 0.5, 0.25), (0.1, 0.1, 0.1), ("sun", "a", "b"), "Msun")}
    return Law(
        "G*mass_i*mass_j/r**2",
        {"G": Constant(2.959122082855911e-4, 1e-9, "AU^3")},
        3,
        Units("AU", "d", "Msun"),
        hidden,
        8,
        1e-9,
        Verdict(True, "verified", ("held-out decade within 1e-6",)),
        **more,
    )


def bodies(count=3, systems=1, **attributes):
    generator = torch.Generator().manual_seed(5)
    q = 1.5 * torch.randn(count * systems, 3, dtype=torch.float64, generator=generator)
    batch = torch.arange(systems).repeat_interleave(count)
    given = {k: torch.tensor(v, dtype=torch.float64).repeat(systems) for k, v in attributes.items()}
    return State(q, torch.zeros_like(q), batch, given)


LAWS = [
    law("G*mass_i*mass_j/r**2", G=0.7),
    law("k*(r - r0)", k=2.0, r0=1.0),
    law("A*exp(-r/l)*(1/r**2 + 1/(l*r))", A=1.0, l=2.0),
    law("a/r**7 - b/r**13", a=24.0, b=48.0),
    law("k/r", k=1.5),
    law("a*exp(-r/l)/r**2", a=1.0, l=2.0),
    law("k*charge_i*charge_j/r**2", k=-1.0),
    law("a/(r + e)**2", a=1.0, e=0.01),
    law("2.0"),
]


@pytest.mark.parametrize("one", LAWS, ids=str)
def test_force_is_minus_the_gradient_of_the_energy(one):
    hamiltonian = one.hamiltonian()
    state = bodies(mass=[1.0, 2.0, 3.0], charge=[1.0, -2.0, 0.5])
    force = hamiltonian.force(state).detach()
    by_autograd = SeparableHamiltonian.force(hamiltonian, state).detach()
    assert torch.allclose(force, by_autograd, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("one", LAWS, ids=str)
def test_acceleration_is_what_the_hamiltonian_says(one):
    mass, charge = np.array([1.0, 2.0, 3.0]), np.array([1.0, -2.0, 0.5])
    state = bodies(mass=mass, charge=charge)
    _, force = one.hamiltonian().vector_field(state)
    wanted = force.detach().numpy() / mass[:, None]
    given = {"mass": mass, "charge": charge}
    found = one.acceleration(state.q.numpy(), state.velocity.numpy(), **given)
    assert np.allclose(found, wanted, rtol=ROUNDING, atol=0)
    assert not np.allclose(one.acceleration(state.q.numpy(), charge=charge), wanted, rtol=1e-3)


def test_friction_in_a_box_is_along_the_nearest_image_and_between_bonds_alone():
    dashpot = replace(
        law("0*r", dim=2),
        terms=(Term("dashpot", 2),),
        constants={"zeta": Constant(0.5, None)},
        metadata={"box": [10.0, 8.0], "bonds": [[1], [0]]},
    )
    q = np.array([[9.5, 1.0], [0.5, 1.5], [5.0, 5.0]])
    v = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 3.0]])
    found = dashpot.acceleration(q, v, box=[10.0, 8.0], bonds=[[1], [0]])
    n = np.array([1.0, 0.5]) / np.sqrt(1.25)
    assert found[0] == pytest.approx(0.5 * n[0] * n)
    assert found[1] == pytest.approx(-0.5 * n[0] * n)
    assert found[2] == pytest.approx([0.0, 0.0])


def test_a_law_asks_for_the_masses_that_it_was_learned_with():
    q = np.array([[0.0, 0.0], [2.0, 0.0]])
    learned = replace(law("1/r**2", dim=2), metadata={"attributes": ["charge", "mass"]})
    given = learned.acceleration(q, mass=[2.0, 1.0], charge=[1.0, 1.0])
    assert given[0] == pytest.approx([0.125, 0.0])
    with pytest.raises(ValueError, match="learned with masses; pass mass="):
        learned.acceleration(q)
    with pytest.raises(ValueError, match="'mas': the law knows of none; did you mean 'mass'"):
        learned.acceleration(q, mas=[2.0, 1.0])


def test_positive_force_attracts():
    q = np.array([[0.0, 0.0], [2.0, 0.0]])
    assert law("1/r**2", dim=2).acceleration(q)[0] == pytest.approx([0.25, 0.0])
    assert law("-1/r**2", dim=2).acceleration(q)[0] == pytest.approx([-0.25, 0.0])


def test_in_a_box_bodies_act_through_their_nearest_images():
    q = np.array([[9.5, 5.0], [0.5, 5.0]])
    boxed = replace(law("1/r**2", dim=2), metadata={"box": [10.0, 8.0]})
    assert boxed.acceleration(q, box=[10.0, 8.0])[0] == pytest.approx([1.0, 0.0])
    assert law("1/r**2", dim=2).acceleration(q)[0] == pytest.approx([-1 / 81, 0.0])
    with pytest.raises(ValueError, match=r"pass box=\[10.0, 8.0\]"):
        boxed.acceleration(q)
    with pytest.raises(ValueError, match="expected 2 positive edges"):
        boxed.acceleration(q, box=[10.0])


def test_an_attribute_of_i_belongs_to_the_body_that_is_moved():
    q = np.array([[0.0, 0.0], [1.0, 0.0]])
    found = law("drag_i", dim=2).acceleration(q, drag=[3.0, 5.0])
    assert found == pytest.approx(np.array([[3.0, 0.0], [-5.0, 0.0]]))


def test_potentials_in_closed_form():
    for text, values, wanted in [
        ("k*(r - r0)", {"k": 2.0, "r0": 1.0}, "k*r**2/2 - k*r0*r"),
        ("A*exp(-r/l)*(1/r**2 + 1/(l*r))", {"A": 1.0, "l": 2.0}, "-A*exp(-r/l)/r"),
        ("k*r/(r**2 + e)**1.5", {"k": 1.0, "e": 0.1}, "-k/sqrt(r**2 + e)"),
    ]:
        one = law(text, **values)
        difference = one.potential_expr() - law(wanted, **values).expr
        numbers = difference.subs({s: values.get(s.name, 1.3) for s in difference.free_symbols})
        assert abs(float(numbers)) < ROUNDING
    assert law("a*exp(-r/l)/r**2", a=1.0, l=2.0).potential_expr() is None


def test_hidden_attributes_are_attached_by_position_in_every_system():
    hamiltonian = newton().hamiltonian()
    state = hamiltonian.attach(bodies(systems=2))
    assert state.mass.tolist() == [1.0, 0.5, 0.25] * 2
    with pytest.raises(ValueError, match="known for 3 bodies, but system 0 has 4"):
        hamiltonian.attach(bodies(4))


def test_hidden_masses_serve_the_acceleration_unless_given():
    q = bodies().q.numpy()
    own = newton().acceleration(q)
    assert np.array_equal(own, newton().acceleration(q, mass=[1.0, 0.5, 0.25]))
    assert not np.allclose(own, newton().acceleration(q, mass=[1.0, 1.0, 1.0]))


def test_a_law_against_the_third_law_has_no_hamiltonian():
    with pytest.raises(ValueError, match="Newton's third law"):
        law("mass_i/r**2").hamiltonian()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: law("k*r"), "'k' is neither a variable"),
        (lambda: law("r", mass_i=1.0), "names of constants"),
        (lambda: law("v_t*r", v_t=1.0), "names of constants"),
        (lambda: law("r").acceleration(np.zeros((2, 2))), r"expected \[bodies, 3\]"),
        (lambda: law("r").acceleration(np.zeros((2, 3))), "in one place"),
        (lambda: law("r").acceleration(np.eye(3), np.zeros((2, 3))), "v: expected the shape"),
        (lambda: law("charge_i*charge_j").acceleration(np.eye(3)), "pass charge=array"),
        (lambda: law("r").acceleration(np.eye(3), mass=[1.0]), "'mass': expected one number"),
        (lambda: law("charge_i*charge_j").hamiltonian().force(bodies()), "needs the attribute"),
    ],
)
def test_wrong_use_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_text_and_latex():
    text = str(newton())
    assert text.startswith("F(r) = G*mass_i*mass_j/r**2 (attraction)")
    assert (
        "G = 0.00029591221 ± 1e-09 AU^3" in text and "sun: 1 ± 0.1" in text and "verified" in text
    )
    assert "(repulsion)" in str(law("-k/r", k=2.0))
    assert newton().latex() == r"F(r) = \frac{G m_{i} m_{j}}{r^{2}}"
    assert r"\mathrm{my\_k}" in law("my_k*r", my_k=1.0).latex()
    assert newton()._repr_latex_().startswith("$")


def test_every_reason_of_a_verdict_stands_on_a_line_of_its_own():
    verdict = Verdict(False, "candidate", ("passed: one", "failed: two"))
    lines = str(replace(newton(), verdict=verdict)).splitlines()
    assert lines[-3:] == ["  candidate:", "    passed: one", "    failed: two"]


def test_equality_and_verdict():
    assert newton().equals(law("c*mass_j*mass_i/r^2", c=3.0)) and newton().verified
    assert newton().equals("c*mass_i*mass_j/r**2") and not newton().equals("c*mass_i*mass_j/r")
    assert not law("r").verified


def test_gradients_flow_through_the_law_in_single_precision():
    state = bodies(mass=[1.0, 2.0, 3.0])
    q = state.q.float().requires_grad_()
    hamiltonian = law("G*mass_i*mass_j/r**2", G=0.7).hamiltonian()
    attributes = {"mass": state.mass.float()}
    energy = hamiltonian.energy(State(q, torch.zeros_like(q), state.batch, attributes))
    assert energy.dtype == torch.float32
    energy.sum().backward()
    assert torch.isfinite(q.grad).all() and q.grad.abs().sum() > 0
