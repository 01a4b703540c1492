"""Arrays out of a pickle that numpy wrote, of which nothing is looked up, called or run.

A pickle is a program for a small stack machine (``pickletools`` describes it). This is one that has
the operations of which arrays, tuples, lists and numbers are made, and no others. What numpy calls
to make an array again is told by its name, and done here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pickletools import genops
from typing import Any

import numpy as np

#: most operations of one pickle; a trajectory takes about fifty
_MOST = 200_000
_NUMBERS = {"b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8"}
_OBJECTS = {"O4", "O8"}
_NAMES = {"numpy ndarray", "numpy dtype"}
for _core in ("core", "_core"):  # before numpy 2, and since
    _NAMES |= {f"numpy.{_core}.multiarray {name}" for name in ("_reconstruct", "scalar")}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {"SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"}
_LITERALS |= {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}


def unpickled(content: bytes) -> np.ndarray:
    """The array of objects that numpy pickled; `numbers` gives the arrays among them.

    Raises:
        ValueError, TypeError, AttributeError, LookupError: it is damaged, or holds anything else
            than arrays, tuples, lists and numbers.
    """
    machine = _Machine()
    for count, (operation, argument, _) in enumerate(genops(content)):
        if count == _MOST:
            raise ValueError(f"more than {_MOST} operations")
        machine.step(operation.name, argument)
    top = machine.stack.pop()
    if not isinstance(top, _Array) or top.values.dtype != object:
        raise ValueError("no array of objects")
    return top.values


def numbers(item: Any) -> np.ndarray:
    """An array or a number out of what was `unpickled`. Raises ValueError for all else."""
    if isinstance(item, _Array) and item.values.dtype != object:
        return item.values
    if isinstance(item, int | float):
        return np.array(float(item))
    raise ValueError("something that is no array of numbers")


@dataclass
class _Type:
    """A type of numbers, whose byte order is told later."""

    code: str
    order: str = "="

    def build(self, state: tuple) -> None:
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype:
        if self.code not in _NUMBERS or self.order not in ("<", ">", "=", "|"):
            raise ValueError(f"the type {self.order}{self.code}")
        return np.dtype(self.order + self.code)


class _Array:
    """An array that is filled after it was named."""

    values: np.ndarray = np.empty(0)

    def build(self, state: tuple) -> None:
        _, shape, kind, columns_first, data = state
        if kind.code in _OBJECTS:
            flat = np.empty(len(data), object)
            for place, item in enumerate(data):
                flat[place] = item
        else:
            flat = np.frombuffer(data, kind.dtype)
        self.values = flat.reshape(shape, order="F" if columns_first else "C")


def _scalar(kind: _Type, data: bytes) -> Any:
    return np.frombuffer(data, kind.dtype)[0].item()


_MAKERS: dict[str, Callable[..., Any]] = {
    "_reconstruct": lambda *_: _Array(),
    "dtype": lambda code, *_: _Type(code),
    "scalar": _scalar,
}


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        else:
            raise ValueError(f"the operation {name}, which no array needs")

    def last(self, many: int) -> list[Any]:
        """Takes the last ones off the stack."""
        if many > len(self.stack):
            raise ValueError("an operation on nothing")
        start = len(self.stack) - many
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def marked(self) -> list[Any]:
        return self.last(len(self.stack) - self.marks.pop())

    def name(self, name: str) -> None:
        if name not in _NAMES:
            raise ValueError(f"the name '{name}', which no array needs")
        self.stack.append(name.split()[1])

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("a list that is none")
        self.stack[-1].extend(items)

    def make(self) -> None:
        maker, arguments = self.last(2)
        self.stack.append(_MAKERS[maker](*arguments))

    def build(self) -> None:
        (state,) = self.last(1)
        if not isinstance(self.stack[-1], _Array | _Type):
            raise ValueError("a state of what is no array")
        self.stack[-1].build(state)


_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.marked())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.last(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.last(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.last(3))),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    "BINPUT": lambda machine, key: machine.memo.update({key: machine.stack[-1]}),
    "LONG_BINPUT": lambda machine, key: machine.memo.update({key: machine.stack[-1]}),
    "BINGET": lambda machine, key: machine.stack.append(machine.memo[key]),
    "LONG_BINGET": lambda machine, key: machine.stack.append(machine.memo[key]),
    "GLOBAL": lambda machine, name: machine.name(name),
    "STACK_GLOBAL": lambda machine, _: machine.name(" ".join(machine.last(2))),
    "REDUCE": lambda machine, _: machine.make(),
    "BUILD": lambda machine, _: machine.build(),
}
