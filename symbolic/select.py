"""Which candidate is the law: each is refitted on trajectories and compared on held-out ones."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from gnsim.models.coupled import COUPLINGS, Structure
from gnsim.models.terms import Term
from gnsim.normal_equations import RefitError
from gnsim.symbolic.fewer_constants import smaller, tied
from gnsim.symbolic.forms import Form
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.naming import constant_names
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import Fit, adjust, refit
from gnsim.symbolic.text import force_text
from gnsim.symbolic.trials import Scored, likelier, on_trial, scored
from gnsim.symbolic.window_errors import NUMERICAL, not_of_the_step, step_error

#: fall of the log error for each unit of size, and standard errors, that a larger form must show
_MARGIN, _SIGNIFICANT = 0.05, 5.0
#: gain in log likelihood for each unit of size in noise
_NATS = 5.0
#: accelerations of two laws that usually differ by less are told as one
_SAME = 0.01


@dataclass(frozen=True)
class Selection:
    """The chosen candidate among all that were refitted, and the reasons in words.

    Errors are those of held-out windows; in noise, of all windows.

    `rivals` are forms that noisy data do not tell from it, and whose forces are others.
    """

    chosen: Scored
    scored: tuple[Scored, ...]
    reasons: tuple[str, ...]
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Resolution:
    """What held-out windows of `bodies` can tell: errors below `floor` [nodes, kinds] are a step's.

    In noise, the `trusted` windows are those of `not_of_the_step`.
    """

    floor: Tensor
    bodies: int
    trusted: Tensor

    @classmethod
    def of(cls, fit: Fit, tested: Problem) -> "_Resolution":
        """That of a fit, for which the windows are settled."""
        floor = step_error(fit.dynamics(), tested)
        return cls(floor, tested.bodies, not_of_the_step(floor, tested))


def select(
    candidates: Sequence[Candidate],
    structure: Structure,
    train: Problem,
    held_out: Problem,
    start: Tensor,
    progress: Callable[[int, int], None] | None = None,
    deadline: float | None = None,
) -> Selection:
    """Refits each candidate and its variants on `train`; chooses on `held_out`.

    From the simplest up, a candidate replaces the one before it only where its constants are
    determined and its held-out errors are smaller by what `_surplus` asks, and beyond
    what the time step changes. In noise all windows are compared, those of `train` too: a handful
    of constants cannot fit their noise, and held-out ones alone may be too few. Neither the
    smallest loss nor an engine's own "best" decides.
    Constants of the chosen form and terms of `structure` that it can do without, by the same
    measure, are dropped.
    `start` holds the network's numbers x, its couplings for a strength of one. After `deadline`, a
    value of `time.monotonic`, the first three are refitted and no more.

    Raises:
        RefitError: no candidate's motion is finite on the data.
    """
    held_out = train.joined(held_out) if train.noisy else held_out
    tried, failures = on_trial(candidates, structure, train, held_out, start, progress, deadline)
    if not tried:
        raise RefitError(failures[0] if failures else "no candidate equation to refit")
    tried.sort(key=lambda s: (s.complexity, s.error))
    best = min(tried, key=lambda s: s.error).fit
    tested = best.suited(held_out).settled(best.dynamics())
    limits = _Resolution.of(best, tested)
    tried = [_from_starts(one, tested) for one in tried]
    chosen, reasons = tried[0], []
    for rival in tried[1:]:
        if _surplus(chosen, rival, limits) > 0 and not vague(rival.fit):
            why = _compared(chosen, rival, limits)
            reasons.append(f"{_text(rival)} replaces {_text(chosen)}: {why}")
            chosen = rival
    chosen, dropped = _needed_constants(chosen, tried, train, held_out, tested, limits)
    reasons += dropped
    chosen, dropped = _needed_terms(chosen, train, held_out, limits)
    reasons += dropped
    chosen = _from_starts(chosen, tested)
    others = [one for one in tried if one.fit.form.shape != chosen.fit.form.shape]
    reasons += [_rejection(rival, chosen, limits) for rival in others]
    reasons += [f"left out: {failure}" for failure in failures]
    return Selection(chosen, tuple(tried), tuple(reasons), _rivals(chosen, others, tested, limits))


def _rivals(
    chosen: Scored, others: Sequence[Scored], tested: Problem, limits: _Resolution
) -> tuple[str, ...]:
    """Forms with no more constants, and about as likely in noise, that say other forces.

    One with more constants may well contain the chosen form, and then says the same within errors.
    """
    found = []
    most = len(chosen.fit.form.constants)
    state = tested.windows.path[0]
    with torch.no_grad():
        own = chosen.fit.dynamics().force(state)
        for rival in others:
            if chosen.misfit is None or rival.misfit is None:
                continue
            gain = _likelier(rival.misfit, chosen.misfit, limits)
            if len(rival.fit.form.constants) > most or gain > _NATS:
                continue
            off = (rival.fit.dynamics().force(state) - own).norm(dim=1) / own.norm(dim=1)
            if float(off.nanmedian()) > _SAME:
                found.append(f"{_text(rival)}, whose forces are {float(off.nanmedian()):.2g} off")
    return tuple(found)


def _from_starts(one: Scored, tested: Problem) -> Scored:
    """With the misfits that follow from the starts of another form, where these are smaller.

    After a close encounter it is luck which start is found. No form shall lose by it.
    """
    if one.misfit is None or one.fit.form.breaks:
        return one
    other = tested.settled(one.fit.dynamics()).misfit()
    return one if other is None else replace(one, misfit=torch.fmin(one.misfit, other))


def _needed_constants(
    chosen: Scored,
    tried: Sequence[Scored],
    train: Problem,
    held_out: Problem,
    tested: Problem,
    limits: _Resolution,
) -> tuple[Scored, list[str]]:
    """The chosen form with fewer constants, and what replaced what.

    Without those that may as well be zero, or with one for two of a simple ratio.
    """
    reasons, first = [], chosen
    for _ in range(len(chosen.fit.form.constants)):
        found = [
            trial
            for form in chain(tied(chosen.fit.fitted_form), smaller(chosen.fit.fitted_form))
            if (trial := _refitted(form, chosen, tried, train, held_out)) is not None
            and max(_surplus(trial, other, limits) for other in (chosen, first)) <= 0
            and not vague(trial.fit)
        ]
        if not found:
            break
        least = min(found, key=lambda one: (len(one.fit.form.constants), _badness(one)))
        windows = "held-out windows" if least.misfit is None else "windows"
        reasons.append(f"{_text(least)} replaces {_text(chosen)}: {windows} do as well")
        chosen = least
    return chosen, reasons


def _badness(scored: Scored) -> float:
    """What is compared between forms of one size: in noise, the misfit."""
    if scored.misfit is None:
        return scored.error
    return float(scored.misfit.nan_to_num(nan=math.inf).median())


def _refitted(
    form: Form, like: Scored, tried: Sequence[Scored], train: Problem, held_out: Problem
) -> Scored | None:
    """None for a form that cannot be fitted. Of the candidate that had its shape, if one did."""
    fit = like.fit
    x = fit.x.clone()
    # what the strength of the new form is in units of the old one's
    scaled, _ = COUPLINGS[fit.coupling].counts(train.bodies)
    x[:scaled] *= form.strength / fit.form.strength
    try:
        origin = next((one for one in tried if one.fit.form.shape == form.shape), like)
        return scored(refit(form, fit.structure, train, x), origin.loss, origin.engine, held_out)
    except RefitError:
        return None


def _needed_terms(
    chosen: Scored, train: Problem, held_out: Problem, limits: _Resolution
) -> tuple[Scored, list[str]]:
    """The chosen form without the terms that it can do without, and what was dropped and kept."""
    reasons = []
    while terms := chosen.fit.structure.terms:
        trials = {term: _without(term, chosen, train, held_out) for term in terms}
        missed = {
            term: _surplus(trial, chosen, limits) if trial else math.inf
            for term, trial in trials.items()
        }
        least = min(missed, key=missed.__getitem__)
        smaller = trials[least]
        if missed[least] > 0 or smaller is None:
            break
        chosen = smaller
        windows = "held-out windows" if smaller.misfit is None else "windows"
        reasons.append(f"the term {least.name} was dropped: {windows} do not miss it")
    reasons += [
        f"the term {term.name} was kept: {_compared(trial, chosen, limits)}"
        for term in terms
        if (trial := trials[term]) is not None
    ]
    return chosen, reasons


def _without(term: Term, chosen: Scored, train: Problem, held_out: Problem) -> Scored | None:
    """The chosen form refitted without one of its terms; None where it cannot move without it."""
    fit = chosen.fit
    kept = [other != term for other in fit.structure.terms for _ in other.symbols]
    mask = torch.tensor([True] * fit.num_couplings + kept)
    terms = tuple(other for other in fit.structure.terms if other != term)
    try:
        less = adjust(fit.fitted_form, replace(fit.structure, terms=terms), train, fit.x[mask])
    except RefitError:
        return None
    return scored(less, chosen.loss, chosen.engine, held_out)


def vague(fit: Fit) -> tuple[str, ...]:
    """The constants of a form that are not five standard errors from zero."""
    names = tuple(constant_names(fit).values())
    values, errors = fit.estimate(lambda p: p[: len(names)])
    determined = values.abs() > _SIGNIFICANT * errors
    return tuple(name for name, known in zip(names, determined.tolist(), strict=True) if not known)


def _surplus(smaller: Scored, larger: Scored, limits: _Resolution) -> float:
    """By how much more than its size and chance ask for the larger of two forms is better.

    The mean fall of the log error; or where noise rules, of which no form leaves less, the gain in
    likelihood, to which no window adds much: after a close encounter it may be any number.
    """
    added = max(1, larger.complexity - smaller.complexity)
    if smaller.misfit is not None and larger.misfit is not None:
        return _likelier(smaller.misfit, larger.misfit, limits) - _NATS * added
    least = limits.floor.clamp(NUMERICAL, 1e6)
    sizes = [torch.maximum(s.sizes, least).clamp_max(1e6) for s in (smaller, larger)]
    by_window = (-1, limits.bodies * sizes[0].shape[1])
    gain = (sizes[0].log() - sizes[1].log()).view(by_window).mean(1)
    error = float(gain.std()) / max(1, len(gain) - 1) ** 0.5
    return float(gain.mean()) - max(_MARGIN * added, _SIGNIFICANT * error)


def _likelier(one: Tensor, other: Tensor, limits: _Resolution) -> float:
    """By how much the second of two misfits is likelier in the windows that can be trusted."""
    return likelier(one[limits.trusted], other[limits.trusted])


def _compared(smaller: Scored, larger: Scored, limits: _Resolution) -> str:
    """What spoke for the larger of two forms."""
    if smaller.misfit is not None and larger.misfit is not None:
        gain = _likelier(smaller.misfit, larger.misfit, limits)
        return f"it makes the windows likelier by a factor of exp({gain:.3g})"
    return f"held-out error {larger.error:.2g} instead of {smaller.error:.2g}"


def _rejection(rival: Scored, chosen: Scored, limits: _Resolution) -> str:
    if unknown := vague(rival.fit):
        why = f"the data do not determine its {', '.join(unknown)}"
    elif rival.misfit is not None and chosen.misfit is not None:
        gain = _likelier(chosen.misfit, rival.misfit, limits)
        why = f"it makes the windows less likely than {_text(chosen)}"
        if gain > 0:
            why = f"it makes the windows likelier by exp({gain:.3g}), too little for its size"
    elif rival.error < chosen.error and rival.complexity > chosen.complexity:
        best = f"the {chosen.error:.2g} of {_text(chosen)}"
        why = f"its held-out error {rival.error:.2g} is not below {best} by enough for its size"
    else:
        why = f"its held-out error is above the {chosen.error:.2g} of {_text(chosen)}"
    of = "held-out error" if rival.misfit is None else "error in all windows"
    return f"{_text(rival)} was rejected: {why} ({of} {rival.error:.2g})"


def _text(scored: Scored) -> str:
    return f"{force_text(scored.force)} (size {scored.complexity})"
