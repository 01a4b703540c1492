"""Expressions from text, read by an allow-list: nothing in the text can run.

The text becomes a syntax tree by Python's `ast`, and the tree is rebuilt node by node from a fixed
table. Arithmetic on numbers is folded at once in float64, so that no giant integer is ever formed.
"""

import ast
import difflib
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping

import sympy

MAX_LENGTH = 4000
MAX_DEPTH = 60
MAX_NODES = 800
MAX_EXPONENT = 64
MAX_NUMBER = 1e300
_EXACT = 10**9

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")


class ParseError(ValueError):
    """Text that is not an expression of the allowed kind; says where, and what to write instead."""


def symbol(name: str) -> sympy.Symbol:
    """The one sympy symbol of a name: positive for ``r`` and masses, else real.

    Symbols of one name and other assumptions differ in sympy, hence every expression of gnsim is
    built from these.
    """
    if name == "r" or name.startswith("mass_"):
        return sympy.Symbol(name, positive=True)
    return sympy.Symbol(name, real=True)


def _square(x: sympy.Expr) -> sympy.Expr:
    return x**2


def _cube(x: sympy.Expr) -> sympy.Expr:
    return x**3


#: name in the text -> (what sympy builds, the same for a number)
FUNCTIONS: Mapping[str, tuple[Callable, Callable[[float], float]]] = {
    "exp": (sympy.exp, math.exp),
    "log": (sympy.log, math.log),
    "sqrt": (sympy.sqrt, math.sqrt),
    "abs": (sympy.Abs, abs),
    "Abs": (sympy.Abs, abs),
    "sin": (sympy.sin, math.sin),
    "cos": (sympy.cos, math.cos),
    "tan": (sympy.tan, math.tan),
    "sinh": (sympy.sinh, math.sinh),
    "cosh": (sympy.cosh, math.cosh),
    "tanh": (sympy.tanh, math.tanh),
    "asinh": (sympy.asinh, math.asinh),
    "sign": (sympy.sign, lambda x: float((x > 0) - (x < 0))),
    "square": (_square, lambda x: x**2),
    "cube": (_cube, lambda x: x**3),
}

#: a law with breaks: pairs of an expression and a condition ``r < b``, the last one True
PIECEWISE = "Piecewise"

_CLASSES = (sympy.Piecewise, *{f for f, _ in FUNCTIONS.values() if isinstance(f, type)})

_OPERATORS: Mapping[type, Callable] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def parse(text: str, variables: Iterable[str]) -> sympy.Expr:
    """The expression that `text` writes in the names `variables` (see `symbol` for assumptions).

    Allowed: these names, finite numbers, ``+ - * / **`` (``^`` is read as ``**``), parentheses, the
    functions of `FUNCTIONS`, and ``Piecewise((a, r < b), ..., (c, True))``. Raises `ParseError`, a
    ValueError, for anything else, for more than `MAX_LENGTH` characters, `MAX_DEPTH` levels or
    `MAX_NODES` nodes, for numeric exponents beyond `MAX_EXPONENT` and for numbers beyond
    `MAX_NUMBER`.
    """
    table = {name: symbol(name) for name in variables}
    for name in table:
        if not IDENTIFIER.match(name) or name in (*FUNCTIONS, PIECEWISE):
            raise ParseError(
                f"variable name {name!r}: letters, digits and _ only, no function's name"
            )
    return _Builder(text, _tree(text), table).result()


def is_readable(expr: sympy.Expr) -> bool:
    """Whether `parse` reads the functions of an expression; not what sympy makes of derivatives."""
    return all(isinstance(f, _CLASSES) for f in expr.atoms(sympy.Function, sympy.Derivative))


def names_in(text: str) -> tuple[str, ...]:
    """The names of variables and constants that `text` uses, sorted; raises `ParseError`."""
    tree = _tree(text)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    known = {*FUNCTIONS, PIECEWISE}
    return tuple(sorted(name for name in names - known if IDENTIFIER.match(name)))


def _tree(text: str) -> ast.expr:
    if not isinstance(text, str):
        raise ParseError(f"expression: expected text, got {type(text).__name__}; pass a string")
    if len(text) > MAX_LENGTH:
        raise ParseError(
            f"expression: {len(text)} characters; at most {MAX_LENGTH} are read; shorten it"
        )
    strange = next((k for k, c in enumerate(text) if not 32 <= ord(c) < 127), None)
    if strange is not None:
        raise ParseError(
            f"expression, character {strange + 1}: {text[strange]!r} isn't printable ASCII; "
            "remove it"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.replace("^", "**").strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = getattr(error, "offset", None) or 1
        raise ParseError(
            f"expression {_short(text)}, near character {where}: not an arithmetic expression; "
            "write it with names, numbers, + - * / ** and parentheses"
        ) from None


class _Builder:
    """Rebuilds one syntax tree as a sympy expression, counting what it spends."""

    def __init__(self, text: str, tree: ast.expr, table: Mapping[str, sympy.Symbol]) -> None:
        self.text, self.tree, self.table = text, tree, table
        self.nodes = 0

    def result(self) -> sympy.Expr:
        expr = self.build(self.tree, 0)
        if not _sound(expr):
            raise self.error(
                self.tree, "is not a finite real number or formula", "check the numbers"
            )
        return expr

    def build(self, node: ast.expr, depth: int) -> sympy.Expr:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise self.error(
                node, f"exceeds {MAX_DEPTH} levels or {MAX_NODES} nodes", "simplify the expression"
            )
        build = self.BUILDERS.get(type(node))
        if build is None:
            raise self.error(
                node, f"{type(node).__name__} is not allowed", "use names, numbers, + - * / ** only"
            )
        return build(self, node, depth + 1)

    def number(self, node: ast.Constant, depth: int) -> sympy.Expr:
        if not isinstance(node.value, int | float) or isinstance(node.value, bool):
            raise self.error(node, f"{type(node.value).__name__} is not a number", "write a number")
        return self.folded(node, node.value)

    def name(self, node: ast.Name, depth: int) -> sympy.Expr:
        if node.id not in self.table:
            close = difflib.get_close_matches(node.id, self.table, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(self.table)}"
            raise self.error(node, f"unknown name {node.id[:40]!r}", hint)
        return self.table[node.id]

    def unary(self, node: ast.UnaryOp, depth: int) -> sympy.Expr:
        if not isinstance(node.op, ast.USub | ast.UAdd):
            raise self.error(
                node, f"{type(node.op).__name__} is not allowed", "only - and + may lead"
            )
        operand = self.build(node.operand, depth)
        return -operand if isinstance(node.op, ast.USub) else operand

    def call(self, node: ast.Call, depth: int) -> sympy.Expr:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == PIECEWISE:
            return self.piecewise(node, depth)
        if name is None or name not in FUNCTIONS:
            raise self.error(node, "unknown function", f"use one of {', '.join(FUNCTIONS)}")
        if len(node.args) != 1 or node.keywords:
            raise self.error(node, f"{name} takes one argument", f"write {name}(x)")
        argument = self.build(node.args[0], depth)
        symbolic, numeric = FUNCTIONS[name]
        if argument.is_Number:
            return self.folded(node, self.evaluated(node, numeric, float(argument)))
        return self.checked(node, symbolic(argument))

    def piecewise(self, node: ast.Call, depth: int) -> sympy.Expr:
        pairs = [part.elts for part in node.args if isinstance(part, ast.Tuple)]
        whole = all(len(pair) == 2 for pair in pairs) and len(pairs) == len(node.args) > 1
        if not whole or node.keywords or not _is_true(pairs[-1][1]):
            raise self.error(
                node, "is no complete Piecewise", "write Piecewise((a, r < b), (c, True))"
            )
        built = [(self.build(e, depth), self.condition(c, depth)) for e, c in pairs[:-1]]
        return sympy.Piecewise(*built, (self.build(pairs[-1][0], depth), True))

    def condition(self, node: ast.expr, depth: int) -> sympy.Basic:
        """``r < b``, b a number or a constant."""
        if not isinstance(node, ast.Compare) or [type(op) for op in node.ops] != [ast.Lt]:
            raise self.error(node, "is no condition of a Piecewise", "write r < b")
        left, right = (self.build(side, depth) for side in (node.left, node.comparators[0]))
        if left != symbol("r") or not right.is_Atom or right == left:
            raise self.error(node, "is no condition of a Piecewise", "write r < b")
        return left < right

    def binary(self, node: ast.BinOp, depth: int) -> sympy.Expr:
        operate = _OPERATORS.get(type(node.op))
        if operate is None:
            raise self.error(node, f"{type(node.op).__name__} is not allowed", "use + - * / **")
        left, right = self.build(node.left, depth), self.build(node.right, depth)
        if isinstance(node.op, ast.Pow) and right.is_Number and abs(right) > MAX_EXPONENT:
            raise self.error(node, f"exponent beyond {MAX_EXPONENT}", "use a smaller exponent")
        if isinstance(node.op, ast.Div) and right.is_zero:
            raise self.error(node, "division by zero", "mend the denominator")
        if left.is_Number and right.is_Number and not (left.is_Rational and right.is_Rational):
            return self.folded(node, self.evaluated(node, operate, float(left), float(right)))
        if left.is_Number and right.is_Number and isinstance(node.op, ast.Pow):
            return self.power(node, left, right)
        return self.checked(node, operate(left, right))

    def power(self, node: ast.BinOp, base: sympy.Rational, exponent: sympy.Rational) -> sympy.Expr:
        if exponent.is_Integer and max(abs(base.p), base.q) ** abs(int(exponent)) <= _EXACT:
            if base.is_zero and exponent.is_negative:
                raise self.error(node, "division by zero", "mend the base")
            return base**exponent
        return self.folded(node, self.evaluated(node, pow, float(base), float(exponent)))

    def evaluated(self, node: ast.expr, function: Callable, *values: float) -> complex | float:
        try:
            return function(*values)
        except (ValueError, ArithmeticError):
            raise self.error(node, "has no finite real value", "check the numbers") from None

    def folded(self, node: ast.expr, value: complex | float | int) -> sympy.Expr:
        if isinstance(value, complex) or not abs(value) <= MAX_NUMBER:
            raise self.error(
                node, f"is not a real number within {MAX_NUMBER:g}", "use a smaller one"
            )
        if isinstance(value, int) and value <= _EXACT:
            return sympy.Integer(value)
        return sympy.Float(value)

    def checked(self, node: ast.expr, expr: sympy.Expr) -> sympy.Expr:
        """`expr`, unless sympy's own merging of numbers and exponents went out of bounds."""
        if expr.is_Rational and max(abs(expr.p), expr.q) > _EXACT:
            return sympy.Float(float(expr))
        if expr.is_Pow and expr.exp.is_Number and abs(expr.exp) > MAX_EXPONENT:
            raise self.error(node, f"exponent beyond {MAX_EXPONENT}", "use a smaller exponent")
        return expr

    def error(self, node: ast.AST, wrong: str, remedy: str) -> ParseError:
        column = getattr(node, "col_offset", 0)
        doubled = self.text.replace("^", "\0\0").strip()[:column].count("\0") // 2
        lead = len(self.text) - len(self.text.lstrip())
        place = f"expression {_short(self.text)}, character {column - doubled + lead + 1}"
        return ParseError(f"{place}: {wrong}; {remedy}")

    BUILDERS: Mapping[type, Callable] = {
        ast.Constant: number,
        ast.Name: name,
        ast.UnaryOp: unary,
        ast.BinOp: binary,
        ast.Call: call,
    }


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _sound(expr: sympy.Expr) -> bool:
    if expr.has(sympy.I, sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return False
    if not all(isinstance(f, _CLASSES) for f in expr.atoms(sympy.Function)):
        return False
    return all(abs(number) <= MAX_NUMBER for number in expr.atoms(sympy.Number))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
