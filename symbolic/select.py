"""Which candidate is the law: each is refitted on trajectories and compared on held-out ones."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import sympy
import torch
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.models.coupled import COUPLINGS, Structure
from gnsim.models.terms import Term
from gnsim.symbolic.expressions import complexity, is_symmetric
from gnsim.symbolic.forms import Form, form_of
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.naming import constant_names, named_force
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.refit import Fit, Problem, RefitError, adjust, final_error, refit
from gnsim.symbolic.simplify import rounded_exponents
from gnsim.symbolic.text import force_text

#: relative errors below this are the integrator's; forms are not told apart by them
NUMERICAL = 1e-6
#: fall of the log error for each unit of size, and standard errors, that a larger form must show
_MARGIN, _SIGNIFICANT = 0.05, 5.0
#: gain in log likelihood for each unit of size in noise, and of one window at most
_NATS = 5.0
#: differences below this many times what halving the time step changes are the integrator's
_STEP_ERRORS = 3.0
#: where the refit of a softening starts
_SOFTENING = sympy.Float(1e-3)
#: so many forms, the simplest, are refitted however late it is
_LEAST_REFITTED = 3
#: forms up to this size are tried softened
_SMALL = 10


@dataclass(frozen=True)
class Scored:
    """A candidate as refitted: its size, and its mean held-out error (geometric, relative).

    `sizes` are those of the errors, [nodes, kinds], and `misfit` that of each window in noise.
    """

    fit: Fit
    complexity: int
    error: float
    loss: float
    engine: str
    sizes: Tensor
    misfit: Tensor | None

    @property
    def force(self) -> sympy.Expr:
        """The pair force with its constants by name, as a law has them."""
        return named_force(self.fit)


@dataclass(frozen=True)
class Selection:
    """The chosen candidate among all that were refitted, and the reasons in words."""

    chosen: Scored
    scored: tuple[Scored, ...]
    reasons: tuple[str, ...]


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
    what the time step changes. Neither the smallest loss nor an engine's own "best" decides.
    Constants of the chosen form and terms of `structure` that it can do without, by the same
    measure, are dropped.
    `start` holds the network's numbers x, its couplings for a strength of one. After `deadline`, a
    value of `time.monotonic`, the first three are refitted and no more.

    Raises:
        RefitError: no candidate's motion is finite on the data.
    """
    offered = _Offered()
    for candidate in candidates:
        offered.add(candidate.equation, candidate)
    scored: list[Scored] = []
    failures: list[str] = []
    done = 0
    while offered.waiting:
        if done >= _LEAST_REFITTED and deadline is not None and time.monotonic() > deadline:
            failures.append(f"{len(offered.waiting)} forms, for which no time was left")
            break
        expression, candidate = offered.waiting.pop(0)
        try:
            scored.append(_score(expression, candidate, structure, train, held_out, start))
            # an exponent that the engine got wrong may be near an integer now
            rounded = rounded_exponents(scored[-1].fit.fitted_form.expression)
            if rounded is not None:
                offered.add(rounded, candidate)
        except RefitError as unfit:
            failures.append(str(unfit))
        done += 1
        if progress:
            progress(done, done + len(offered.waiting))
    failures = offered.left_out + failures
    if not scored:
        raise RefitError(failures[0] if failures else "no candidate equation to refit")
    scored.sort(key=lambda s: (s.complexity, s.error))
    best = min(scored, key=lambda s: s.error).fit
    tested = best.suited(held_out).settled(best.dynamics())
    floor = step_error(best.dynamics(), tested)
    chosen, reasons = scored[0], []
    for rival in scored[1:]:
        if _surplus(chosen, rival, floor, tested) > 0 and not vague(rival.fit):
            why = _compared(chosen, rival, floor, tested)
            reasons.append(f"{_text(rival)} replaces {_text(chosen)}: {why}")
            chosen = rival
    reasons += [_rejection(rival, chosen, floor, tested) for rival in scored if rival is not chosen]
    chosen, dropped = _needed_constants(chosen, train, held_out, floor)
    reasons += dropped
    chosen, dropped = _needed_terms(chosen, train, held_out, floor)
    reasons += dropped
    reasons += [f"left out: {failure}" for failure in failures]
    return Selection(chosen, tuple(scored), tuple(reasons))


def error_sizes(model: Dynamics, problem: Problem) -> Tensor:
    """Size of each relative error, [nodes, kinds], NaN taken as infinite.

    Of noisy windows from the starts that `problem` has: see `Problem.settled`.
    """
    return signed_errors(model, problem).norm(dim=-1).nan_to_num(nan=math.inf)


def signed_errors(model: Dynamics, problem: Problem) -> Tensor:
    """Relative errors at the ends of the windows, [nodes, kinds, dim]."""
    with torch.no_grad():
        return torch.cat([final_error(model, problem, part) for part in problem.chunks()])


def step_error(model: Dynamics, problem: Problem) -> Tensor:
    """Three times what halving the time step changes in each error, [nodes, kinds]."""
    finer = replace(problem, substeps=2 * problem.substeps)
    change = signed_errors(model, problem) - signed_errors(model, finer)
    return _STEP_ERRORS * change.norm(dim=-1).nan_to_num(nan=math.inf)


def mean_error(sizes: Tensor) -> float:
    """Geometric mean: every body and window counts alike, close encounters and quiet years."""
    return float(sizes.clamp(1e-15, 1e6).log().mean().exp())


def _score(
    expression: sympy.Expr,
    candidate: Candidate,
    structure: Structure,
    train: Problem,
    held_out: Problem,
    start: Tensor,
) -> Scored:
    form = form_of(expression)
    # the network's couplings times the form's strength over the network's own, which is one
    scaled, _ = COUPLINGS[structure.coupling].counts(train.bodies)
    strengths = torch.ones_like(start)
    strengths[:scaled] = form.strength
    fit = refit(form, structure, train, start * strengths)
    return _scored(fit, candidate.loss, candidate.engine, held_out)


def _scored(fit: Fit, loss: float, engine: str, held_out: Problem) -> Scored:
    model = fit.dynamics()
    settled = fit.suited(held_out).settled(model)
    sizes = error_sizes(model, settled)
    size = fit.form.complexity + sum(map(_size, fit.structure.terms))
    return Scored(fit, size, mean_error(sizes), loss, engine, sizes, settled.misfit())


def _size(term: Term) -> int:
    """A product of each coefficient with what it multiplies, and the sum with the rest."""
    return 1 + 2 * len(term.symbols) + bool(term.weight)


def _needed_constants(
    chosen: Scored, train: Problem, held_out: Problem, floor: Tensor
) -> tuple[Scored, list[str]]:
    """The chosen form without the constants that may as well be zero, and what replaced what."""
    reasons = []
    for _ in range(len(chosen.fit.form.constants)):
        smaller = [
            trial
            for form in _smaller(chosen.fit.fitted_form)
            if (trial := _refitted(form, chosen, train, held_out)) is not None
            and _surplus(trial, chosen, floor, held_out) <= 0
            and not vague(trial.fit)
        ]
        if not smaller:
            break
        least = min(smaller, key=_badness)
        reasons.append(f"{_text(least)} replaces {_text(chosen)}: held-out windows do as well")
        chosen = least
    return chosen, reasons


def _smaller(form: Form) -> Iterator[Form]:
    """A form with each constant zero in turn, or without each of its terms; one of each shape."""
    if form.breaks:
        return
    seen = set()
    numbers = {symbol(name): sympy.Float(value) for name, value in form.constants.items()}
    rests = [form.shape.xreplace({**numbers, s: sympy.S.Zero}) for s in numbers]
    whole = form.shape.xreplace(numbers)
    rests += [whole - term for term in sympy.Add.make_args(whole)]
    for rest in rests:
        if rest.has(sympy.nan, sympy.zoo, sympy.oo) or symbol("r") not in rest.free_symbols:
            continue
        smaller = form_of(sympy.Float(form.strength) * rest)
        symmetric = is_symmetric(smaller.expression)
        if smaller.complexity < form.complexity and symmetric and smaller.shape not in seen:
            seen.add(smaller.shape)
            yield smaller


def _badness(scored: Scored) -> float:
    """What is compared between forms of one size: in noise, the misfit."""
    if scored.misfit is None:
        return scored.error
    return float(scored.misfit.nan_to_num(nan=math.inf).median())


def _refitted(form: Form, like: Scored, train: Problem, held_out: Problem) -> Scored | None:
    """None for a form that cannot be fitted."""
    fit = like.fit
    x = fit.x.clone()
    # what the strength of the new form is in units of the old one's
    scaled, _ = COUPLINGS[fit.coupling].counts(train.bodies)
    x[:scaled] *= form.strength / fit.form.strength
    try:
        return _scored(refit(form, fit.structure, train, x), like.loss, like.engine, held_out)
    except RefitError:
        return None


def _needed_terms(
    chosen: Scored, train: Problem, held_out: Problem, floor: Tensor
) -> tuple[Scored, list[str]]:
    """The chosen form without the terms that it can do without, and what was dropped and kept."""
    reasons = []
    while terms := chosen.fit.structure.terms:
        trials = {term: _without(term, chosen, train, held_out) for term in terms}
        missed = {
            term: _surplus(trial, chosen, floor, held_out) if trial else math.inf
            for term, trial in trials.items()
        }
        least = min(missed, key=missed.__getitem__)
        smaller = trials[least]
        if missed[least] > 0 or smaller is None:
            break
        chosen = smaller
        reasons.append(f"the term {least.name} was dropped: held-out windows do not miss it")
    reasons += [
        f"the term {term.name} was kept: {_compared(trial, chosen, floor, held_out)}"
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
        smaller = adjust(fit.fitted_form, replace(fit.structure, terms=terms), train, fit.x[mask])
    except RefitError:
        return None
    return _scored(smaller, chosen.loss, chosen.engine, held_out)


class _Offered:
    """The forms to be refitted: those offered and their variants, one of each shape."""

    def __init__(self) -> None:
        self.waiting: list[tuple[sympy.Expr, Candidate]] = []
        self.left_out: list[str] = []
        self._seen: set[sympy.Expr] = set()

    def add(self, equation: sympy.Expr, candidate: Candidate) -> None:
        for expression in _variants(equation):
            shape = form_of(expression).shape
            if shape in self._seen:
                continue
            self._seen.add(shape)
            if is_symmetric(expression):
                self.waiting.append((expression, candidate))
            else:
                self.left_out.append(f"{expression} changes when the two bodies are exchanged")


def _variants(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """An expression; with exponents rounded; and that with its negative powers of r softened.

    A softening is far smaller than the distances that most messages are about, so that an engine
    does not see it; trajectories with close encounters do.
    """
    yield expression
    if isinstance(expression, sympy.Piecewise):
        return
    rounded = rounded_exponents(expression)
    if rounded is not None:
        yield rounded
    r = symbol("r")
    plain = expression if rounded is None else rounded
    if complexity(plain) > _SMALL:
        return
    softened = plain.replace(
        lambda e: e.is_Pow and e.base == r and e.exp.is_negative,
        lambda e: (r + _SOFTENING) ** e.exp,
    )
    if softened != plain:
        yield softened


def vague(fit: Fit) -> tuple[str, ...]:
    """The constants of a form that are not five standard errors from zero."""
    names = tuple(constant_names(fit).values())
    values, errors = fit.estimate(lambda p: p[: len(names)])
    determined = values.abs() > _SIGNIFICANT * errors
    return tuple(name for name, known in zip(names, determined.tolist(), strict=True) if not known)


def _surplus(smaller: Scored, larger: Scored, floor: Tensor, held_out: Problem) -> float:
    """By how much more than its size and chance ask for the larger of two forms is better.

    The mean fall of the log error; or where noise rules, of which no form leaves less, the gain in
    likelihood, to which no window adds much: after a close encounter it may be any number.
    """
    added = max(1, larger.complexity - smaller.complexity)
    if smaller.misfit is not None and larger.misfit is not None:
        return _likelier(smaller.misfit, larger.misfit, floor, held_out) - _NATS * added
    least = floor.clamp(NUMERICAL, 1e6)
    sizes = [torch.maximum(s.sizes, least).clamp_max(1e6) for s in (smaller, larger)]
    by_window = (-1, held_out.bodies * sizes[0].shape[1])
    gain = (sizes[0].log() - sizes[1].log()).view(by_window).mean(1)
    error = float(gain.std()) / max(1, len(gain) - 1) ** 0.5
    return float(gain.mean()) - max(_MARGIN * added, _SIGNIFICANT * error)


def _likelier(one: Tensor, other: Tensor, floor: Tensor, held_out: Problem) -> float:
    """By how much the second of two misfits is likelier, no window adding more than `_NATS`.

    Windows in which the time step makes as much as the noise add nothing: there a form may imitate
    the integrator's error. Nor do those in which neither motion is finite.
    """
    trusted = ~(floor > held_out.noise_share()).view(len(one), -1).any(1)
    return float((one - other)[trusted].nan_to_num(nan=0.0).clamp(-_NATS, _NATS).sum())


def _compared(smaller: Scored, larger: Scored, floor: Tensor, held_out: Problem) -> str:
    """What spoke for the larger of two forms."""
    if smaller.misfit is not None and larger.misfit is not None:
        gain = _likelier(smaller.misfit, larger.misfit, floor, held_out)
        return f"it makes the held-out windows likelier by a factor of exp({gain:.3g})"
    return f"held-out error {larger.error:.2g} instead of {smaller.error:.2g}"


def _rejection(rival: Scored, chosen: Scored, floor: Tensor, held_out: Problem) -> str:
    if unknown := vague(rival.fit):
        why = f"the data do not determine its {', '.join(unknown)}"
    elif rival.misfit is not None and chosen.misfit is not None:
        gain = _likelier(chosen.misfit, rival.misfit, floor, held_out)
        why = f"its held-out windows are less likely than those of {_text(chosen)}"
        if gain > 0:
            why = f"it makes held-out windows likelier by exp({gain:.3g}), too little for its size"
    elif rival.error < chosen.error and rival.complexity > chosen.complexity:
        best = f"the {chosen.error:.2g} of {_text(chosen)}"
        why = f"its held-out error {rival.error:.2g} is not below {best} by enough for its size"
    else:
        why = f"its held-out error is above the {chosen.error:.2g} of {_text(chosen)}"
    return f"{_text(rival)} was rejected: {why} (held-out error {rival.error:.2g})"


def _text(scored: Scored) -> str:
    return f"{force_text(scored.force)} (size {scored.complexity})"
