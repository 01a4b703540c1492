"""What an accepted law leaves over: the search for a correction, the joint law, and its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from gnsim.bodies import body_names
from gnsim.datasets import Dataset
from gnsim.discovery.rollouts import Progress, with_hidden
from gnsim.discovery.settings import DiscoveryConfig
from gnsim.integrators import DOP853, Integrator, KahanLi8
from gnsim.noise import STILL, as_noisy_as, measured_noise, quiet_steps
from gnsim.symbolic.corrections.joint import errors_of, refit_together
from gnsim.symbolic.corrections.search import Searched, search
from gnsim.symbolic.law import Law, Verdict
from gnsim.symbolic.problem import Problem

#: windows of the search, and of choice and verdict; their steps, where data are not noisy
_TRAIN, _HELD_OUT, _STEPS = 2000, 800, 2
#: of the integrator, for corrections of a ten-millionth
_TOLERANCE = 1e-13
#: share of itself by which the held-out error must fall, and by which that of no body may rise
_FALL, _RISE = 0.1, 1.1


@dataclass(frozen=True)
class Beyond:
    """What was found beside a law.

    `alone` is the law with its numbers refitted, `law` the same with the correction, None where
    there is none. `left` holds what they leave of each body's acceleration in held-out windows.
    """

    dataset: Dataset
    alone: Law
    law: Law | None
    searched: Searched
    left: Mapping[str, Float[Tensor, " bodies"]]

    @property
    def bodies(self) -> tuple[str, ...]:
        return body_names(self.dataset.test)


def beyond(dataset: Dataset, law: Law, config: DiscoveryConfig, tell: Progress) -> Beyond:
    """Searches the windows of `dataset` for pair forces that `law` leaves out.

    Chosen on validation windows, fitted together on the training windows, and judged on the test
    windows, which nothing before has seen.
    """
    fast, exact = KahanLi8(), DOP853(_TOLERANCE)
    tell("looking for what the law leaves", 0, 3, "")
    train, valid = (
        _problem(dataset, law, part, count, fast)
        for part, count in ((dataset.train, _TRAIN), (dataset.valid, _HELD_OUT))
    )
    searched = search(law, train, valid, sorted(train.windows.path.attributes))
    tell("looking for what the law leaves", 1, 3, "")
    train, test = (
        _problem(dataset, law, part, count, exact)
        for part, count in ((dataset.train, _TRAIN), (dataset.test, _HELD_OUT))
    )
    alone = refit_together(law, train).law
    left = {"law": _sizes(alone, test)}
    tell("looking for what the law leaves", 2, 3, "")
    joined = None
    if searched.chosen is not None:
        fitted = refit_together(searched.chosen.beside(law), train)
        left["corrected"] = _sizes(fitted.law, test)
        on_training = fitted.errors.square().mean((0, 1, 3)).sqrt()
        joined = replace(fitted.law, verdict=_verdict(fitted.law, alone, left, on_training))
    tell("looking for what the law leaves", 3, 3, "")
    return Beyond(dataset, alone, joined, searched, left)


def _problem(
    dataset: Dataset, law: Law, part: object, count: int, integrator: Integrator
) -> Problem:
    seen = with_hidden(as_noisy_as(dataset.train, part), law.dynamics())
    longest = min(map(len, (dataset.train, dataset.valid, dataset.test))) - 1
    noisy = measured_noise(dataset.train) is not None
    steps = max(_STEPS, quiet_steps(dataset.train, STILL)) if noisy else _STEPS
    return Problem.of(seen, min(steps, longest), count, integrator, 1)


def _sizes(law: Law, problem: Problem) -> Float[Tensor, " bodies"]:
    """Root mean square of the relative errors of each body."""
    return errors_of(law, problem).square().mean((0, 1, 3)).sqrt()


def _verdict(
    law: Law, alone: Law, left: Mapping[str, Tensor], on_training: Float[Tensor, " bodies"]
) -> Verdict:
    """Whether held-out windows bear the correction out."""
    new = {name: c for name, c in law.constants.items() if name not in alone.constants}
    vague = [n for n, c in new.items() if not abs(c.value) > 5 * (c.stderr or 0.0)]
    before, after = left["law"], left["corrected"]
    fall = 1 - float((after.log() - before.log()).mean().exp())
    rise = float((after / before).max())
    apart = float((after.log() - on_training.log()).mean().exp())
    checks = {
        f"the held-out error falls by {fall:.0%} (at least {_FALL:.0%} wanted)": fall >= _FALL,
        f"that of the body that gains least is {rise:.2g} times what it was (at most {_RISE:g} "
        "wanted)": rise <= _RISE,
        f"held-out errors are {apart:.2g} times those on the training data (at most 2 wanted)": (
            apart <= 2
        ),
        f"{', '.join(vague)}: less than 5 standard errors from zero"
        if vague
        else "all new constants are at least 5 standard errors from zero": not vague,
    }
    reasons = tuple(f"{'passed' if ok else 'failed'}: {what}" for what, ok in checks.items())
    passed = all(checks.values())
    return Verdict(passed, "verified" if passed else "candidate", reasons)
