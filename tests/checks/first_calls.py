"""Shapes are checked at the first calls of each function in each test.

Checks take most of the time of a test that takes many small steps, and say at its thousandth call
what they said at the first ones.
"""

import inspect
import sys
from collections import Counter
from collections.abc import Callable
from functools import reduce
from typing import Any

from beartype import beartype

#: calls of a function that are checked in a test
MOST = 2

_calls: Counter[tuple[str, str]] = Counter()
_quiet: list[Any] = []


def checked(function: Callable) -> Callable:
    """The type checker that `--jaxtyping-packages` names.

    It is given stand-ins that have the names and annotations of the functions of gnsim, and are
    called before and after these. A function that is defined in another is given anew at each call
    of that one, and its calls count together.
    """
    name = (function.__module__, function.__qualname__)
    if _calls[name] >= 2 * MOST:
        return function
    check = beartype(function)

    def counted(*args: Any, **kwargs: Any) -> Any:
        _calls[name] += 1
        if _calls[name] == 2 * MOST:  # arguments and result
            _leave_alone(*name)
        return check(*args, **kwargs)

    return counted


def begin() -> None:
    """All functions are checked again."""
    for function in _quiet:
        function.__dict__.pop("__no_type_check__", None)
    _quiet.clear()
    _calls.clear()


def _leave_alone(module: str, name: str) -> None:
    """jaxtyping reads this attribute at each call. What is not found is checked on."""
    found: Any = reduce(
        lambda of, part: getattr(of, part, None), name.split("."), sys.modules[module]
    )
    found = inspect.unwrap(getattr(found, "fget", None) or getattr(found, "func", found))
    function = getattr(found, "__func__", found)
    if inspect.isfunction(function) and function.__qualname__ == name:
        function.__no_type_check__ = True
        _quiet.append(function)
