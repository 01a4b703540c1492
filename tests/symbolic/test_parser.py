import math

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from gnsim.symbolic.expressions import evaluated, read, text_of
from gnsim.symbolic.parser import FUNCTIONS, MAX_LENGTH, ParseError, parse, symbol

r, m = symbol("r"), symbol("mass_i")

HOSTILE = [
    "__import__('os').system('echo')",
    "().__class__.__bases__[0].__subclasses__()",
    "r.__class__",
    "r.func",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "lambda: 1",
    "(lambda r: r)(1)",
    "[r for r in (1,)]",
    "{r: 1}",
    "{r}",
    "[r]",
    "(r, r)",
    "r[0]",
    "r if r else r",
    "r and r",
    "not r",
    "~r",
    "r < 1",
    "r == r",
    "r // 2",
    "r % 2",
    "r @ r",
    "r << 2",
    "r | 2",
    "r & 2",
    "(r := 1)",
    "'r'",
    "b'r'",
    "f'{r}'",
    "True",
    "None",
    "...",
    "1j",
    "9**9**9",
    "9**9**9**9",
    "10**400",
    "1e400",
    "1e999*r",
    "((r**60)**60)**60",
    "r**1000000",
    "2**(2**(2**(2**(2**9))))",
    "exp(1e9)",
    "exp(exp(exp(9)))",
    "r/0",
    "0/0",
    "0**-1",
    "log(0)",
    "log(-1)",
    "sqrt(-2)",
    "(-2)**0.5",
    "exp(r, r)",
    "exp()",
    "exp(x=r)",
    "exp(*r)",
    "r(2)",
    "exp",
    "gamma(r)",
    "S(1)",
    "Symbol('x')",
    "import os",
    "r; r",
    "r\nr",
    "r = 1",
    "",
    " ",
    ")",
    "r\0",
    "\u2163*r",
    "\uff52",
    "await r",
    "yield r",
    "print(r)",
    "(" * 300 + "r" + ")" * 300,
    "-" * 3000 + "r",
    "r" + "+r" * 1990,
    "r" * (MAX_LENGTH + 1),
    "9" * 3999,
    "1_000__0",
    "globals",
    "mass_k",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_refused_in_one_line(text):
    with pytest.raises(ParseError) as refused:
        parse(text, ["r", "mass_i"])
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_there_are_many_hostile_strings():
    assert len(HOSTILE) >= 45


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3*mass_i/r^2", 3 * m / r**2),
        ("-r**2", -(r**2)),
        ("square(r) + cube(mass_i)", r**2 + m**3),
        ("abs(r)", r),
        ("1/2*r", r / 2),
        ("r**-2.5", r ** sympy.Float(-2.5)),
        ("2*3 + r - 6", r),
    ],
)
def test_arithmetic_is_read(text, wanted):
    assert parse(text, ["r", "mass_i"]) == wanted


def test_every_function_has_its_value():
    functions = sorted(set(FUNCTIONS) - {"square", "cube"})
    at = {"r": np.array([0.7])}
    for name in functions:
        value = evaluated(parse(f"{name}(r)", ["r"]), at)[0]
        folded = float(parse(f"{name}(0.7)", ["r"]))
        assert value == pytest.approx(folded, rel=1e-14), name
    assert float(parse("exp(0.7)", [])) == math.exp(0.7)


def test_the_error_names_place_and_remedy():
    with pytest.raises(
        ParseError, match=r"character 5: unknown name 'mas_i'; did you mean 'mass_i'"
    ):
        parse("r^2*mas_i", ["r", "mass_i"])


def test_symbols_of_other_assumptions_are_made_one():
    assert read(sympy.Symbol("r") ** 2) == read("r^2")


GRAMMAR = st.recursive(
    st.sampled_from(["r", "mass_i", "1", "0", "2.5", "1e300", "1e-300", "64", "-3", "0.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "^"]), inner).map(
            lambda t: f"({t[0]}){t[1]}({t[2]})"
        ),
        st.tuples(
            st.sampled_from(sorted(FUNCTIONS)),
            inner,
        ).map(lambda t: f"{t[0]}({t[1]})"),
    ),
    max_leaves=8,
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(GRAMMAR)
def test_any_sentence_is_an_expression_or_a_parse_error(text):
    try:
        expr = parse(text, ["r", "mass_i"])
    except ParseError:
        return
    assert expr.free_symbols <= {r, m}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("r19.e+-*/^()[]{},'\"_: \\ji~@=<>\0é"), max_size=40))
def test_any_text_is_an_expression_or_a_parse_error(text):
    try:
        parse(text, ["r", "j"])
    except ParseError:
        return


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(1e-200, 1e200), st.floats(-9, 9))
def test_text_keeps_floats_to_the_last_bit(a, n):
    expr = sympy.Float(a) * (r + sympy.Float(a) / 3) ** sympy.Float(n)
    assert read(text_of(expr)) == read(expr)
