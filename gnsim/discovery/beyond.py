"""What an accepted law leaves over: the search for a correction, the joint law, and its verdict."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.bodies import body_names
from gnsim.datasets import Dataset
from gnsim.discovery.rollouts import Progress, with_hidden
from gnsim.discovery.threads import one_thread
from gnsim.errors import InputError
from gnsim.integrators import DOP853, Integrator, KahanLi8
from gnsim.noise import STILL, as_noisy_as, measured_noise, quiet_steps
from gnsim.state import Trajectory
from gnsim.symbolic.corrections.joint import errors_of, refit_together
from gnsim.symbolic.corrections.residuals import Projected, Residuals, projected, residuals
from gnsim.symbolic.corrections.search import Searched, search
from gnsim.symbolic.law import Law, Verdict
from gnsim.symbolic.problem import Problem

#: windows of the search, and of choice and verdict; their steps, where data are not noisy
_TRAIN, _HELD_OUT, _STEPS = 2000, 800, 2
#: of the integrator, for corrections of a ten-millionth
_TOLERANCE = 1e-13
#: share of itself by which the held-out error must fall, and by which that of no body may rise
_FALL, _RISE = 0.1, 1.1
_SEARCH, _FIT = "looking for what the law leaves out", "fitting through the integrator"


@dataclass(frozen=True)
class Beyond:
    """What was found beside a law.

    `alone` is the law with its numbers refitted, and `residuals` what it leaves of the training
    data; `law` is the same with the correction, None where there is none, and `still` what the
    better of both leaves of them. `left` holds what both leave of each body's acceleration in the
    held-out windows of `sample`.
    """

    dataset: Dataset
    seed: int
    alone: Law
    residuals: Residuals
    still: Residuals
    law: Law | None
    searched: Searched
    sample: Problem
    left: Mapping[str, Float[Tensor, " bodies"]]
    seconds: float

    @property
    def best(self) -> Law:
        """With the correction where there is one."""
        return self.alone if self.law is None else self.law

    @property
    def most_telling(self) -> int:
        """The body of which the law leaves most over the noise."""
        over = self.residuals.left / self.residuals.noise_of_bodies
        return int(torch.where(over.isfinite(), over, 0.0).argmax())

    def projected(self, body: int) -> Projected:
        """What is left of one body in the held-out windows, and what the correction makes."""
        return projected(self.alone, self.best, self.sample, body)

    @property
    def bodies(self) -> tuple[str, ...]:
        return body_names(self.dataset.test)


@one_thread()
def beyond(dataset: Dataset, law: Law, seed: int, tell: Progress) -> Beyond:
    """Searches the windows of `dataset` for pair forces that `law` leaves out.

    Chosen on validation windows, fitted together on the training windows, and judged on the test
    windows, which nothing before has seen. `seed` says which windows.

    Raises:
        InputError: a law of other dimensions or for other attributes than the data have.
    """
    check_law(dataset, law)
    begun = time.monotonic()
    exact = DOP853(_TOLERANCE)
    fast = exact if law.corrected else KahanLi8()
    tell(_SEARCH, 0, 1, "")
    train, valid = (
        _problem(dataset, law, part, count, fast, seed)
        for part, count in ((dataset.train, _TRAIN), (dataset.valid, _HELD_OUT))
    )
    searched = search(law, train, valid, sorted(train.windows.path.attributes))
    remark = "nothing" if searched.chosen is None else f"{len(searched.chosen.terms)} terms"
    tell(_SEARCH, 1, 1, remark)
    tell(_FIT, 0, 3, "the law alone")
    train, test = (
        _problem(dataset, law, part, count, exact, seed)
        for part, count in ((dataset.train, _TRAIN), (dataset.test, _HELD_OUT))
    )
    alone = refit_together(law, train).law
    left = {"law": _sizes(alone, test)}
    tell(_FIT, 1, 3, "what it leaves")
    seen = with_hidden(as_noisy_as(dataset.train, dataset.train), alone.dynamics())
    rest = residuals(alone, seen, _steps(dataset), exact)
    tell(_FIT, 2, 3, "law and correction together")
    joined, still = None, rest
    if searched.chosen is not None:
        fitted = refit_together(searched.chosen.beside(law), train)
        left["corrected"] = _sizes(fitted.law, test)
        on_training = fitted.errors.square().mean((0, 1, 3)).sqrt()
        joined = replace(fitted.law, verdict=_verdict(fitted.law, alone, left, on_training, rest))
        still = residuals(joined, seen, _steps(dataset), exact)
    tell(_FIT, 3, 3, "")
    seconds = time.monotonic() - begun
    return Beyond(dataset, seed, alone, rest, still, joined, searched, test, left, seconds)


def check_law(dataset: Dataset, law: Law) -> None:
    """Raises InputError for a law that does not fit the data."""
    path = dataset.train
    if law.dim != path.dim:
        raise InputError(
            f"--beyond: the law is of {law.dim} dimensions, {dataset.name} has {path.dim}; "
            "give a law that was found in such data"
        )
    known = {*path.attributes, *law.hidden}
    if missing := [name for name in law.attributes if name not in known]:
        raise InputError(
            f"--beyond: the law goes by the attribute {missing[0]!r}, {dataset.name} has "
            f"{', '.join(sorted(known)) or 'none'}; give a law that was found in such data"
        )
    bodies = path.num_nodes // path.num_systems
    for name, hidden in law.hidden.items():
        if len(hidden.values) != bodies:
            raise InputError(
                f"--beyond: the law has {name} for {len(hidden.values)} bodies, {dataset.name} "
                f"has {bodies}; give a law that was found in such data"
            )


def _steps(dataset: Dataset) -> int:
    """Of a window."""
    longest = min(map(len, (dataset.train, dataset.valid, dataset.test))) - 1
    noisy = measured_noise(dataset.train) is not None
    return min(max(_STEPS, quiet_steps(dataset.train, STILL)) if noisy else _STEPS, longest)


def _problem(
    dataset: Dataset, law: Law, part: Trajectory, count: int, integrator: Integrator, seed: int
) -> Problem:
    seen = with_hidden(as_noisy_as(dataset.train, part), law.dynamics())
    generator = torch.Generator().manual_seed(seed)
    return Problem.of(seen, _steps(dataset), count, integrator, 1, generator)


def _sizes(law: Law, problem: Problem) -> Float[Tensor, " bodies"]:
    """Root mean square of the relative errors of each body."""
    return errors_of(law, problem).square().mean((0, 1, 3)).sqrt()


def _verdict(
    law: Law,
    alone: Law,
    left: Mapping[str, Tensor],
    on_training: Float[Tensor, " bodies"],
    rest: Residuals,
) -> Verdict:
    """Whether held-out windows bear the correction out. What is below the noise tells nothing."""
    new = {name: c for name, c in law.constants.items() if name not in alone.constants}
    vague = [n for n, c in new.items() if not abs(c.value) > 5 * (c.stderr or 0.0)]
    before, after = left["law"], left["corrected"]
    fall = 1 - float((after.log() - before.log()).mean().exp())
    rise = float((after / before).max())
    told = rest.noise_of_bodies
    seen, fitted = torch.maximum(after, told), torch.maximum(on_training, told)
    apart = float((seen.log() - fitted.log()).mean().exp())
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
