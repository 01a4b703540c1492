"""A correction is verified where every check passes, and each check can fail by itself."""

from dataclasses import replace

import pytest
import sympy
import torch

from gnsim.discovery.correction_verdict import Evidence, correction_verdict
from gnsim.models.terms import Term
from gnsim.symbolic.corrections.monomials import Monomial
from gnsim.symbolic.corrections.search import Further
from gnsim.symbolic.law import Constant
from gnsim.symbolic.parser import symbol

TERM = Monomial(sympy.S.One, symbol("r"), 2, (0, 0), True)


def sizes(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


GOOD = Evidence(
    left={"law": sizes(1e-3, 1e-3, 2e-3), "corrected": sizes(1e-6, 1e-5, 1e-3)},
    off={"law": sizes(0.1, 0.1, 0.1), "corrected": sizes(0.01, 0.01, 0.1)},
    on_training=sizes(1e-6, 1e-5, 1e-3),
    noise=sizes(1e-8, 1e-8, torch.nan),
    weight=sizes(1, 1, 1),
    new={"c": Constant(1.0, 0.01)},
    rival=None,
    further=Further(TERM, 1, 0.9),
)


def test_what_passes_all_checks_is_verified() -> None:
    verdict = correction_verdict(GOOD)
    assert verdict.verified and verdict.status == "verified"
    assert all(reason.startswith("passed: ") for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"left": {"law": sizes(1, 1, 1), "corrected": sizes(0.02, 1.2, 1)}}, "gains least"),
        ({"left": {"law": sizes(1, 1, 1), "corrected": sizes(0.3, 0.3, 0.3)}}, "explains best"),
        ({"on_training": sizes(1e-7, 1e-6, 1e-4)}, "on the training data"),
        ({"off": {"law": sizes(1, 1, 1), "corrected": sizes(2, 2, 2)}}, "rolled out"),
        ({"off": {"law": sizes(1, 1, 1), "corrected": sizes(*[torch.inf] * 3)}}, "rolled out"),
        ({"new": {"c": Constant(1.0, 0.3)}}, "standard errors from zero: c"),
        ({"new": {"c": Constant(1.0, None)}}, "standard errors from zero: c"),
        ({"further": Further(TERM, 1, 0.1)}, "no further force of pairs leaves less than 0.1"),
        ({"rival": Term("drag", 2)}, "drag, a force on each body by itself"),
    ],
)
def test_each_check_can_fail(change: dict, part: str) -> None:
    evidence = replace(GOOD, **change)
    if "left" in change:
        evidence = replace(evidence, on_training=change["left"]["corrected"])
    verdict = correction_verdict(evidence)
    failed = [reason for reason in verdict.reasons if reason.startswith("failed: ")]
    assert not verdict.verified and verdict.status == "candidate"
    assert len(failed) == 1 and part in failed[0]


def test_a_body_that_tells_little_does_not_object() -> None:
    left = {"law": sizes(1, 1, 1), "corrected": sizes(0.02, 1.2, 1)}
    evidence = replace(GOOD, left=left, on_training=left["corrected"])
    assert not correction_verdict(evidence).verified
    assert correction_verdict(replace(evidence, weight=sizes(1.4, 0.2, 1.4))).verified


def test_bodies_count_by_their_evidence() -> None:
    """One that goes round slowly is explained by chance; the others are not."""
    left = {"law": sizes(1, 1, 1), "corrected": sizes(0.99, 0.99, 1e-4)}
    evidence = replace(GOOD, left=left, on_training=left["corrected"])
    slow = replace(evidence, weight=sizes(1.49, 1.49, 0.02))
    fall = "the held-out error falls by"
    (of_all,), (of_telling,) = (
        [reason for reason in correction_verdict(one).reasons if fall in reason]
        for one in (evidence, slow)
    )
    assert of_all.startswith("passed") and of_telling.startswith("failed")


def test_what_is_below_the_noise_tells_nothing() -> None:
    """Errors of a size with the noise, on training data smaller by chance."""
    noise = sizes(1e-3, 1e-3, 1e-3)
    left = {"law": sizes(0.1, 0.1, 0.1), "corrected": sizes(0.9e-3, 1e-3, 1.1e-3)}
    evidence = replace(GOOD, left=left, noise=noise, on_training=sizes(1e-4, 1e-4, 1e-4))
    assert correction_verdict(evidence).verified
    assert not correction_verdict(replace(evidence, noise=noise / 100)).verified
