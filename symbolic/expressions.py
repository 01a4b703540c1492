"""What every part of the symbolic stage asks of an expression: names, size, arrays, time bounds."""

import ctypes
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from sympy.printing.str import StrPrinter

from gnsim.symbolic.parser import names_in, parse, symbol

_ATTRIBUTE = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]*)_(?P<end>[ij])\Z")

#: what a Piecewise is compiled to: its value before and after a threshold, by r minus that
_CHOICE = sympy.Function("choice")
#: and a sign, for which sympy writes Python's ``if``, for numbers only
_SIGNUM = sympy.Function("signum")


def _choice(beyond: Any, before: Any, after: Any) -> np.ndarray:
    return np.where(np.asarray(beyond) < 0, before, after)


_NUMPY: Mapping[str, Callable] = {
    "choice": _choice,
    "signum": np.sign,
    "Abs": np.abs,
    "asinh": np.arcsinh,
    **{
        f: getattr(np, f)
        for f in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
    },
}


def read(expression: sympy.Expr | str) -> sympy.Expr:
    """An expression on the symbols of `symbol`, from text or from another sympy expression.

    Raises `ParseError` for text outside the allow-list, TypeError for anything else.
    """
    if isinstance(expression, str):
        return parse(expression, names_in(expression))
    if not isinstance(expression, sympy.Expr):
        raise TypeError(f"expression: expected sympy or text, got {type(expression).__name__}")
    return expression.xreplace({s: symbol(s.name) for s in expression.free_symbols})


#: relative speeds of a pair along its line and across, which corrections of a law may depend on
SPEEDS = ("v_r", "v_t")


def attribute_of(name: str) -> tuple[str, str] | None:
    """``("mass", "i")`` for ``mass_i``; None for a name that is no body's attribute."""
    match = _ATTRIBUTE.match(name)
    return (match["name"], match["end"]) if match else None


def is_variable(name: str) -> bool:
    """Whether a name is ``r`` or an attribute ``NAME_i, NAME_j``; the others are constants."""
    return name == "r" or attribute_of(name) is not None


class _ExactPrinter(StrPrinter):
    def _print_Float(self, expr: sympy.Float) -> str:  # noqa: N802 (sympy's name)
        return repr(float(expr))

    def _print_StrictGreaterThan(self, expr: sympy.StrictGreaterThan) -> str:  # noqa: N802
        return f"{self._print(expr.lts)} < {self._print(expr.gts)}"


def text_of(expr: sympy.Expr) -> str:
    """Text that `read` reads back to the same expression, floats to the last bit."""
    return _ExactPrinter().doprint(expr)


def names_of(expr: sympy.Expr) -> tuple[str, ...]:
    return tuple(sorted(s.name for s in expr.free_symbols))


def inlined(expr: sympy.Expr, values: Mapping[str, float]) -> sympy.Expr:
    """`expr` with named constants as numbers, and numbers such as ``sqrt(2)`` as floats."""
    expr = expr.xreplace({symbol(name): sympy.Float(float(v)) for name, v in values.items()})
    return expr.replace(
        lambda e: e.is_number and not e.is_Number, lambda e: sympy.Float(sympy.N(e, 17))
    )


def is_symmetric(expr: sympy.Expr) -> bool:
    """Whether a force without free constants stays the same when the bodies i and j are exchanged.

    Tried at 32 places, to nine digits: without it there is neither a third law nor a Hamiltonian.
    """
    ends = {"i": "j", "j": "i"}
    found = {name: attribute_of(name) for name in names_of(expr)}
    swap = {symbol(n): symbol(f"{of[0]}_{ends[of[1]]}") for n, of in found.items() if of}
    exchanged = expr.xreplace(swap)
    if exchanged == expr:
        return True
    rng = np.random.default_rng(0)
    others = (s.name for pair in swap.items() for s in pair)
    names = sorted({"r", *SPEEDS, *others})
    columns = {name: np.exp(rng.uniform(-1, 1, 32)) for name in names}
    a, b = evaluated(expr, columns), evaluated(exchanged, columns)
    return bool(np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True))


def compiled(
    expr: sympy.Expr, names: Sequence[str], functions: Mapping[str, Callable] = _NUMPY
) -> Callable[..., Any]:
    """A function of arrays, one for each of `names` in order.

    `functions` gives exp, log, ... of the array library, ``signum`` for the sign, and
    ``choice(r - b, before, after)`` for a Piecewise. Symbols are renamed before sympy pastes
    them into source, so that a name can't be code. Integer powers stay integer.
    """
    safe = [sympy.Symbol(f"x{k}", real=True) for k in range(len(names))]
    renamed = expr.xreplace({symbol(n): s for n, s in zip(names, safe, strict=True)})
    missing = names_of(renamed.xreplace({s: sympy.Integer(1) for s in safe}))
    if missing:
        raise ValueError(f"expression {expr}: no value for {', '.join(missing)}; give one for each")
    return sympy.lambdify(safe, _as_choices(renamed), modules=[dict(functions)])


def _as_choices(expr: sympy.Expr) -> sympy.Expr:
    """Without what sympy would compile to Python's ``if``, for numbers only."""

    def chosen(e: sympy.Expr) -> sympy.Expr:
        value = e.args[-1].expr
        for piece in reversed(e.args[:-1]):
            value = _CHOICE(piece.cond.lts - piece.cond.gts, piece.expr, value)
        return value

    broken = expr.replace(lambda e: isinstance(e, sympy.Piecewise), chosen)
    return broken.replace(sympy.sign, _SIGNUM)


def pieces_of(expr: sympy.Expr) -> list[sympy.Expr]:
    """The expressions between the breaks of a law; itself where it has none."""
    return [p.expr for p in expr.args] if isinstance(expr, sympy.Piecewise) else [expr]


def breaks_of(expr: sympy.Expr) -> list[sympy.Expr]:
    """The distances at which a law breaks; sympy writes ``r < b`` as ``b > r`` where it likes."""
    return [p.cond.gts for p in expr.args[:-1]] if isinstance(expr, sympy.Piecewise) else []


def evaluated(expr: sympy.Expr, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """`expr` on arrays by name, in float64, shape [samples]; NaN or inf where it has no value."""
    names = tuple(columns)
    arrays = [np.asarray(columns[name], dtype=np.float64) for name in names]
    with np.errstate(all="ignore"):
        value = compiled(expr, names)(*arrays)
    return np.broadcast_to(
        np.asarray(value, dtype=np.float64), np.broadcast_shapes(*(a.shape for a in arrays))
    )


def complexity(expr: sympy.Basic) -> int:
    """gnsim's own size of an expression: nodes of its tree.

    A name or number counts 1 (a sign nothing), an operation one less than its arguments, a function
    1 more than its argument, an integer power 1 more than its base, another numeric power 2 more.
    """
    if expr.is_Atom:
        return 1
    if isinstance(expr, sympy.Pow):
        base, exponent = expr.as_base_exp()
        if exponent.is_Number:
            return complexity(base) + (1 if exponent.is_Integer else 2)
    arguments = [a for a in expr.args if a is not sympy.S.NegativeOne]
    return sum(map(complexity, arguments)) + max(1, len(expr.args) - 1)


def bounded(seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`, or None where it takes longer or raises one of sympy's errors.

    sympy is pure Python, so its thread can be ended between two bytecodes by an exception.
    """
    result: list[Any] = []

    def work() -> None:
        try:
            result.append(function(*arguments))
        except (_Late, ArithmeticError, ValueError, TypeError, NotImplementedError, AttributeError):
            return
        except (RecursionError, sympy.SympifyError):
            return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    while thread.is_alive() and not result:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Late)
        )
        thread.join(0.2)
    return result[0] if result else None


class _Late(BaseException):
    """Raised inside a thread that has run out of time; sympy catches no BaseException."""


def as_columns(names: Iterable[str], samples: np.ndarray) -> dict[str, np.ndarray]:
    """Columns by name of an array [samples, variables]."""
    return {name: samples[:, k] for k, name in enumerate(names)}
