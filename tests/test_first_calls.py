"""Shapes are checked at the first calls of a function in a test, and in the next test again."""

import first_calls
import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor


@jaxtyped(typechecker=first_calls.checked)
def doubled(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return 2 * x


class Doubling:
    @property
    @jaxtyped(typechecker=first_calls.checked)
    def twice(self) -> Float[Tensor, " n"]:
        return torch.ones(2, 2)


GOOD, BAD = torch.ones(3), torch.ones(3, 3)


@pytest.mark.parametrize("test", [1, 2])
def test_the_first_calls_of_each_test_are_checked(test: int) -> None:
    with pytest.raises(TypeCheckError):
        doubled(BAD)
    with pytest.raises(TypeCheckError):
        _ = Doubling().twice
    for _ in range(first_calls.MOST):
        doubled(GOOD)
    assert torch.equal(doubled(BAD), 2 * BAD)


def test_after_a_beginning_all_are_checked_again() -> None:
    for _ in range(first_calls.MOST):
        doubled(GOOD)
    first_calls.begin()
    with pytest.raises(TypeCheckError):
        doubled(BAD)


def test_what_was_replaced_is_checked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name leads to something else: nothing is silenced in its place."""
    original, other = doubled, lambda x: x
    monkeypatch.setitem(globals(), "doubled", other)
    for _ in range(2 * first_calls.MOST):
        original(GOOD)
    with pytest.raises(TypeCheckError):
        original(BAD)
    assert not hasattr(other, "__no_type_check__")
