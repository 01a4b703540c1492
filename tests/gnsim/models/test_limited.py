"""Forces cut off: each component or the length, and nothing of those that are smaller."""

import pytest
import torch

from gnsim.integrators import Leapfrog
from gnsim.models.limited import Limited
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.testing import Gravity, make_state

FREE = PairwiseHamiltonian(Gravity())
#: at a distance of .5, so that the pull is 4, of which 2.4 and 3.2 are along the axes
STATE = make_state([[0.0, 0.0], [0.3, 0.4]], [[0.1, 0.0], [0.0, 0.2]], mass=[1.0, 1.0])


@pytest.mark.parametrize(
    ("kind", "limit", "expected"),
    [
        ("component", 3.0, [2.4, 3.0]),
        ("component", 2.0, [2.0, 2.0]),
        ("norm", 2.0, [1.2, 1.6]),
        ("norm", 3.5, [2.1, 2.8]),
    ],
)
def test_what_is_beyond_the_limit_is_cut_off(
    kind: str, limit: float, expected: list[float]
) -> None:
    pull, back = Limited(FREE, limit, kind).force(STATE).tolist()
    assert pull == pytest.approx(expected)
    assert back == pytest.approx([-x for x in expected])


@pytest.mark.parametrize("kind", ["component", "norm"])
def test_smaller_forces_are_as_they_were(kind: str) -> None:
    limited = Limited(FREE, 4.1, kind)
    assert torch.equal(limited.force(STATE), FREE.force(STATE))
    steps = [Leapfrog().step(one, STATE, 0.01) for one in (limited, FREE)]
    assert torch.equal(steps[0].q, steps[1].q) and torch.equal(steps[0].p, steps[1].p)


def test_bodies_in_one_place_pull_at_nobody() -> None:
    state = make_state([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0]] * 2)

    class Still(PairwiseHamiltonian):
        def force(self, state):
            return torch.zeros_like(state.p)

    assert not Limited(Still(Gravity()), 1.0, "norm").force(state).any()


def test_limits_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="kind: 'componant' is unknown; did you mean 'component'"):
        Limited(FREE, 1.0, "componant")
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="limit: wanted a number above zero"):
            Limited(FREE, limit, "norm")
