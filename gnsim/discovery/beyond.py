"""What an accepted law leaves over: the search for a correction, the joint law, and its verdict."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.bodies import body_names
from gnsim.datasets import Dataset
from gnsim.discovery.correction_verdict import Evidence, correction_verdict
from gnsim.discovery.law_fits_data import check_law
from gnsim.discovery.rollouts import Progress, with_hidden
from gnsim.discovery.threads import one_thread
from gnsim.integrators import DOP853, RK4, Integrator
from gnsim.metrics import relative_position_error
from gnsim.noise import STILL, as_noisy_as, measured_noise, quiet_steps
from gnsim.simulator import DivergedError, Simulator
from gnsim.state import Trajectory
from gnsim.symbolic.corrections.joint import errors_of, pruned, refit_together
from gnsim.symbolic.corrections.linearised import evidence_of
from gnsim.symbolic.corrections.monomials import monomials
from gnsim.symbolic.corrections.residuals import Projected, Residuals, projected, residuals
from gnsim.symbolic.corrections.search import Further, Searched, search, worth_of_a_constant
from gnsim.symbolic.law import Law
from gnsim.symbolic.problem import Problem

#: windows of the search, and of choice and verdict; their steps, where data are not noisy
_TRAIN, _HELD_OUT, _STEPS = 2000, 800, 2
#: what the columns of the search hold at most
_NUMBERS = 3e8
#: of the integrator, for corrections of a ten-millionth, and of rollouts; steps a frame in noise
_TOLERANCE, _OF_ROLLOUTS, _SUBSTEPS = 1e-13, 1e-11, 4
#: frames of a rollout
_SEEN = 400
_SEARCH, _FIT = "looking for what the law leaves out", "fitting through the integrator"


@dataclass(frozen=True)
class Beyond:
    """What was found beside a law.

    `alone` is the law with its numbers refitted, and `residuals` what it leaves of the training
    data; `law` is the same with the correction and its verdict, None where none was found, and
    `still` what it leaves of them. `left` holds what both leave of each body's acceleration in the
    held-out windows of `sample`, and `off` how far their rollouts over the held-out data are off.
    `further` is the force that would lower most what the correction leaves of a body.
    """

    dataset: Dataset
    seed: int
    given: Law
    alone: Law
    residuals: Residuals
    still: Residuals
    law: Law | None
    searched: Searched
    further: Further | None
    sample: Problem
    left: Mapping[str, Float[Tensor, " bodies"]]
    off: Mapping[str, Float[Tensor, " bodies"]]
    seconds: float

    @property
    def best(self) -> Law:
        """With the correction where held-out data bore it out."""
        return self.law if self.law is not None and self.law.verified else self.alone

    @property
    def most_telling(self) -> int:
        """The body that the correction explains best; else of which most is left over the noise."""
        over = self.residuals.left / self.residuals.noise_of_bodies
        if "corrected" in self.left:
            over = self.left["law"] / self.left["corrected"]
        return int(torch.where(over.isfinite(), over, 0.0).argmax())

    def projected(self, body: int) -> Projected:
        """What is left of one body in the held-out windows, and what the correction makes."""
        return projected(self.alone, self.law or self.alone, self.sample, body)

    @property
    def bodies(self) -> tuple[str, ...]:
        return body_names(self.dataset.test)


@one_thread()
def beyond(dataset: Dataset, law: Law, seed: int, tell: Progress) -> Beyond:
    """Searches the windows of `dataset` for pair forces that `law` leaves out.

    Chosen on validation windows, fitted together on the training windows, and judged on the test
    windows, which nothing before has seen. `seed` says which windows.

    Raises:
        InputError: a law that does not fit the data.
        IntegrationError: the law cannot be followed through a window of them.
    """
    check_law(dataset, law)
    begun = time.monotonic()
    data = _Windows(dataset, law, seed)
    tell(_SEARCH, 0, 1, "")
    train, valid = data.cut(dataset.train, _TRAIN), data.cut(dataset.valid, _HELD_OUT)
    # the search is linear, and so begins where the law alone is best
    alone = refit_together(law, train).law
    searched = search(alone, train, valid, data.attributes)
    remark = "nothing" if searched.chosen is None else f"{len(searched.chosen.terms)} terms"
    tell(_SEARCH, 1, 1, remark)
    tell(_FIT, 0, 2, "what the law leaves")
    test = data.cut(dataset.test, _HELD_OUT)
    left, off = {"law": _sizes(alone, test)}, {"law": _off(alone, dataset.test)}
    rest = still = data.residuals(alone)
    tell(_FIT, 1, 2, "law and correction together")
    joined = further = None
    if searched.chosen is not None:
        fitted = refit_together(searched.chosen.beside(alone), train)
        worth = worth_of_a_constant(valid)
        fitted = pruned(fitted, searched.chosen.constants, train, valid, worth)
        left["corrected"], off["corrected"] = (
            _sizes(fitted.law, test),
            _off(fitted.law, dataset.test),
        )
        new = {n: c for n, c in fitted.law.constants.items() if n not in law.constants}
        kept = [t for n, terms in searched.chosen.of.items() if n in new for t in terms]
        further = searched.further(kept)
        evidence = Evidence(
            left,
            off,
            _sizes(fitted.law, train),
            rest.noise_of_bodies,
            evidence_of(train),
            new,
            searched.rival,
            further,
        )
        joined = replace(fitted.law, verdict=correction_verdict(evidence))
        still = data.residuals(joined)
    tell(_FIT, 2, 2, "")
    seconds = time.monotonic() - begun
    found = (law, alone, rest, still, joined, searched, further)
    return Beyond(dataset, seed, *found, test, left, off, seconds)


@dataclass(frozen=True)
class _Windows:
    """How windows are cut: of the same length and noise in all parts of the data."""

    dataset: Dataset
    law: Law
    seed: int

    @property
    def attributes(self) -> list[str]:
        """Of the bodies, hidden ones too."""
        return sorted({*self.dataset.train.attributes, *self.law.hidden})

    @property
    def steps(self) -> int:
        """Of a window."""
        parts = (self.dataset.train, self.dataset.valid, self.dataset.test)
        longest = min(map(len, parts)) - 1
        if measured_noise(self.dataset.train) is None:
            return min(_STEPS, longest)
        return min(max(_STEPS, quiet_steps(self.dataset.train, STILL)), longest)

    def cut(self, part: Trajectory, count: int) -> Problem:
        """So many windows, or as many as memory is for."""
        forces = len(monomials(self.law, self.attributes))
        bodies = part.num_nodes // part.num_systems
        most = int(_NUMBERS / (2 * forces * bodies * part.dim))
        seen, generator = self._seen(part), torch.Generator().manual_seed(self.seed)
        return Problem.of(seen, self.steps, max(1, min(count, most)), *self.by, generator)

    @property
    def by(self) -> tuple[Integrator, int]:
        """What windows are integrated with, and substeps.

        Where starts are fitted in noise, each takes dozens of predictions: equal steps will do.
        """
        noisy = measured_noise(self.dataset.train) is not None
        return (RK4(), _SUBSTEPS) if noisy else (DOP853(_TOLERANCE), 1)

    def residuals(self, law: Law) -> Residuals:
        """What a law leaves of the training data."""
        return residuals(law, self._seen(self.dataset.train), self.steps, *self.by)

    def _seen(self, part: Trajectory) -> Trajectory:
        return with_hidden(as_noisy_as(self.dataset.train, part), self.law.dynamics())


def _sizes(law: Law, problem: Problem) -> Float[Tensor, " bodies"]:
    """Root mean square of the relative errors of each body."""
    return errors_of(law, problem).square().nanmean((0, 1, 3)).sqrt()


def _off(law: Law, part: Trajectory) -> Float[Tensor, " bodies"]:
    """How far a rollout over a part of the data is off, from its measured first state.

    The median over systems of the root mean square over time of each body's relative position
    error; infinite where the rollout diverges.
    """
    truth = with_hidden(part, law.dynamics())
    truth = truth.frames(slice(None, None, max(1, len(truth) // _SEEN)))
    bodies = truth.num_nodes // truth.num_systems
    try:
        path = Simulator(law.dynamics(), DOP853(_OF_ROLLOUTS)).rollout(truth[0], truth.t)
    except DivergedError:
        return torch.full((bodies,), torch.inf, dtype=torch.float64)
    error = relative_position_error(path, truth).square().mean(0).sqrt()
    return error.view(-1, bodies).median(0).values
