import numpy as np
import pytest
import sympy

from gnsim.symbolic.expressions import complexity, inlined, read
from gnsim.symbolic.front import (
    Candidate,
    gathered,
    merged,
    pareto_front,
    read_front,
    write_front,
)
from gnsim.symbolic.simplify import (
    parametrise,
    refined,
    relative_loss,
    rounded_exponents,
    simplify_candidate,
)

NAMES = ["r", "mass_i", "mass_j"]
#: squared error that rounding an exponent by 1e-8 may leave
ENGINE_ROUNDING = 1e-10


def samples(count=200):
    rng = np.random.default_rng(2)
    return 10 ** rng.uniform(-1, 1, (count, 3))


def columns():
    return dict(zip(NAMES, samples().T, strict=True))


def candidate(text, size=1, loss=1.0):
    return Candidate(read(text), size, loss, "test")


def test_a_front_round_trips_with_pysrs_columns(tmp_path):
    found = [candidate("0.1234567890123456789*r**2", 3, 1e-17), candidate("r", 1, 2.0)]
    path = write_front(tmp_path / "hall_of_fame.csv", found)
    assert path.read_text().splitlines()[0] == "Complexity,Loss,Equation"
    assert read_front(path, NAMES, "test") == sorted(found, key=lambda c: c.complexity)


def test_pysrs_own_file_is_read(tmp_path):
    path = tmp_path / "hall_of_fame.csv"
    path.write_text('Complexity,Loss,Equation\n7,0.5,"(mass_i * 2.5) / square(r)"\n3,1.0,"r ^ 2"\n')
    assert [c.equation for c in read_front(path, NAMES, "pysr")] == [
        read("2.5*mass_i/r**2"),
        read("r**2"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1: expected the columns"),
        ("a,b\n", "row 1: expected the columns"),
        ("Complexity,Loss,Equation\n1,2.0,r\nx,1.0,r\n", "row 3"),
        ("Complexity,Loss,Equation\n1,nan,r\n", "row 2"),
        ("Complexity,Loss,Equation\n1,-1,r\n", "row 2"),
        ("Complexity,Loss,Equation\n1\n", "row 2"),
        ("Complexity,Loss,Equation\n1,1.0,eval(1)\n", "row 2.*unknown function"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, text, message):
    path = tmp_path / "hall_of_fame.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_front(path, NAMES, "test")


def test_only_the_last_row_of_a_cut_file_is_forgiven(tmp_path):
    path = tmp_path / "hall_of_fame.csv"
    path.write_text("Complexity,Loss,Equation\n1,2.0,r\n3,1.0,r^")
    assert len(read_front(path, NAMES, "test", partial=True)) == 1
    path.write_text("Complexity,Loss,Equation\n3,1.0,r^\n1,2.0,r\n")
    with pytest.raises(ValueError, match="row 2"):
        read_front(path, NAMES, "test", partial=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(2.0*r)**2/(4.0*r)", "1.0*r"),
        ("((3.0*mass_i)*(2.0*mass_j))/((2.0*r)**2)", "1.5*mass_i*mass_j/r**2"),
        ("abs(2.0*r)**3.00000001", "8.0*r**3"),
    ],
)
def test_cleaning_keeps_the_value_and_shrinks(text, wanted):
    before, after = read(text), simplify_candidate(read(text))
    assert complexity(after) <= complexity(read(wanted)) + 1
    assert relative_loss(after - before + read("r"), columns(), columns()["r"]) < ENGINE_ROUNDING


def test_powers_of_a_number_become_exponentials():
    assert simplify_candidate(read("0.5**(2.0*r)")).has(sympy.exp)


def test_negligible_terms_go_only_when_asked():
    text = read("3.0*mass_i*mass_j/r**2 + 1e-12*r")
    assert symbol_names(simplify_candidate(text).args) == symbol_names(text.args)
    assert not simplify_candidate(text, columns()).is_Add
    weighty = read("3.0*mass_i*mass_j/r**2 + 0.01*r")
    assert simplify_candidate(weighty, columns()).is_Add


def symbol_names(terms):
    return sorted(str(sorted(s.name for s in t.free_symbols)) for t in terms)


def test_parametrise_names_every_fitted_number():
    form, values = parametrise(read("-2.5*mass_i*mass_j/r**1.9 + 1.5*(r - 1)**2"))
    exact = columns()
    assert sorted(values.values()) == [-2.5, -1.9, -1.0, 1.5]
    assert not form.atoms(sympy.Float) and form.has(sympy.Integer(2))
    back, wanted = inlined(form, values), read("-2.5*mass_i*mass_j/r**1.9 + 1.5*(r - 1)**2")
    assert relative_loss(back - wanted + read("r"), exact, exact["r"]) < 1e-20


def test_parametrise_gives_every_law_a_coefficient_and_avoids_taken_names():
    assert parametrise(read("mass_i/r**2"))[1] == {"c0": 1.0}
    assert parametrise(read("c0*r**2 + 3.0"))[0].free_symbols >= {read("c0"), read("c1")}


def test_exponents_near_simple_ratios():
    assert rounded_exponents(read("3.0*r**-2.0003")) == read("3.0/r**2")
    assert rounded_exponents(read("r**-1.49")) == read("r**(-3/2)")
    assert rounded_exponents(read("r**-2.2")) is None


def test_size_prefers_the_simple():
    sizes = [complexity(read(t)) for t in ("r", "2.5*r", "2.5/r**2", "2.5*r**1.3", "exp(r)/r**2")]
    assert sizes == [1, 3, 4, 5, 5] and complexity(read("-r")) == complexity(read("r")) + 1


def test_loss_is_fair_to_every_decade_and_robust():
    y = np.geomspace(1e-3, 1e3, 100)
    x = {"r": y}
    assert relative_loss(read("1.01*r"), x, y) == pytest.approx(1e-4, rel=0.2)
    outlier = y.copy()
    outlier[50] *= 1e6
    assert relative_loss(read("r"), x, outlier) < 0.1
    assert relative_loss(read("log(r - 1)"), x, y) == np.inf


def test_refined_constants_reach_double_precision():
    x = columns()
    y = 3.0 * x["mass_i"] * x["mass_j"] / x["r"] ** 2
    rough = read("3.00001*mass_i*mass_j/r**2.00001")
    assert relative_loss(refined(rough, x, y), x, y) < 1e-25 < relative_loss(rough, x, y)


def test_front_keeps_what_gains():
    found = [candidate("r", 1, 1.0), candidate("2.0*r", 3, 0.1), candidate("r**3", 2, 1.0)]
    found += [candidate("r + 1.0", 3, 1e-15), candidate("r**2 + 1.0", 9, 1e-16)]
    assert [c.complexity for c in pareto_front(found)] == [1, 3]
    assert pareto_front(found)[-1].loss == 1e-15


def test_the_offset_of_an_engine_is_put_to_the_test():
    x = samples()
    noise = 1 + 0.02 * np.random.default_rng(4).normal(size=len(x))
    newton = 3.0 * x[:, 1] * x[:, 2] / x[:, 0] ** 2
    rough = candidate("2.99*mass_i*mass_j/r**2 + 0.001")
    assert "3.0*mass_i*mass_j/r**2" in forms(gathered([rough], NAMES, x, newton * noise))
    spring = candidate("1.99*r - 1.98")
    found = forms(gathered([spring], NAMES, x, 2 * (x[:, 0] - 1) * noise))
    assert "2.0*r - 2.0" in found


def forms(front):
    return [str(c.equation.replace(is_float, lambda e: e.round(0))) for c in front]


def is_float(e):
    return e.is_Float


def test_one_form_is_one_candidate():
    found = [candidate("2.0*r + 1.0", 5, 0.5), candidate("3.0*r - 1.0", 5, 0.1), candidate("r**2")]
    assert sorted(c.loss for c in merged(found)) == [0.1, 1.0]


def test_gathered_finds_the_law_under_the_rounding_of_an_engine():
    x = samples()
    y = 3.0 * x[:, 1] * x[:, 2] / x[:, 0] ** 2
    rough = candidate("(2.9999999*mass_i)*(mass_j/(1.0*r)**2) + 1e-10")
    front = gathered([rough, candidate("5.0*mass_j")], NAMES, x, y)
    assert complexity(front[-1].equation) == complexity(read("3.0*mass_i*mass_j/r**2"))
    assert front[-1].loss < 1e-25 and len(front) == 2
