"""Candidates on trial: each, and its variants, is refitted on trajectories and scored on others."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import sympy
import torch
from torch import Tensor

from gnsim.models.coupled import COUPLINGS, Structure
from gnsim.models.terms import Term
from gnsim.normal_equations import RefitError
from gnsim.symbolic.expressions import complexity, is_symmetric, names_of
from gnsim.symbolic.forms import Form, form_of, form_of_potential
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.naming import named_force
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import Begun, Fit, begin, completed
from gnsim.symbolic.simplify import rounded_exponents
from gnsim.symbolic.window_errors import error_sizes, mean_error

#: gain in log likelihood of one window at most: after a close encounter it may be any number
MOST_OF_A_WINDOW = 5.0
#: forms are left behind that the first frames make less likely by exp of more than this
_LEFT_BEHIND = 100.0
#: where the refit of a softening starts
_SOFTENING = sympy.Float(1e-3)
#: so many forms, the simplest, are refitted however late it is
_LEAST_REFITTED = 3
#: forms up to this size, two forces in a sum, are tried softened
_SMALL = 16


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


def on_trial(
    candidates: Sequence[Candidate],
    structure: Structure,
    train: Problem,
    held_out: Problem,
    start: Tensor,
    progress: Callable[[int, int], None] | None,
    deadline: float | None,
) -> tuple[list[Scored], list[str]]:
    """Those that could be refitted, and why others were not; arguments as of `select`.

    In noise all begin with the first frames of the windows, and those that these leave behind are
    refitted no further. A form that cannot be fitted is none of those that could.
    """
    offered = _Offered(candidates)
    done: list[Scored] = []
    failures: list[str] = []
    ended = too_late = 0
    best: Begun | None = None

    def late(tried: int) -> bool:
        return tried >= _LEAST_REFITTED and deadline is not None and time.monotonic() > deadline

    while offered.waiting:
        begun: list[tuple[Begun, Candidate]] = []
        for form, candidate in offered.taken():
            if late(ended + len(begun)):
                too_late += 1
                continue
            try:
                begun.append((_begun(form, structure, train, start), candidate))
            except RefitError as unfit:
                ended += 1
                failures.append(str(unfit))
        for one, _ in begun:
            best = one if best is None or _behind(best, one) > 0 else best
        for k, (one, candidate) in enumerate(begun):
            if late(ended):
                too_late += 1
                continue
            ended += 1
            try:
                fit = _completed(one, best, structure, train)
                done.append(scored(fit, candidate.loss, candidate.engine, held_out))
                # an exponent that the engine got wrong may be near an integer now
                offered.add_rounded(fit.fitted_form, candidate)
            except RefitError as unfit:
                failures.append(str(unfit))
            if progress:
                progress(ended, ended + len(begun) - k - 1 + len(offered.waiting))
    if too_late:
        failures.append(f"{too_late} forms, for which no time was left")
    return done, offered.left_out + failures


def _begun(form: Form, structure: Structure, train: Problem, start: Tensor) -> Begun:
    # the network's couplings times the form's strength over the network's own, which is one
    scaled, _ = COUPLINGS[structure.coupling].counts(train.bodies)
    strengths = torch.ones_like(start)
    strengths[:scaled] = form.strength
    return begin(form, structure, train, start * strengths)


def _completed(begun: Begun, best: Begun | None, structure: Structure, train: Problem) -> Fit:
    """The rest of a refit.

    Raises:
        RefitError: first frames leave the form behind, or it cannot be fitted to all.
    """
    behind = 0.0 if best is None else _behind(begun, best)
    if behind > _LEFT_BEHIND:
        raise RefitError(
            f"{begun.form}: the first frames make it less likely than another form by a factor of "
            f"exp({behind:.3g})"
        )
    return completed(begun, structure, train)


def _behind(one: Begun, other: Begun) -> float:
    """By how much first frames make the second of two forms likelier; zero without noise."""
    if one.misfit is None or one.trusted is None or other.misfit is None or other.trusted is None:
        return 0.0
    both = one.trusted & other.trusted
    return likelier(one.misfit[both], other.misfit[both])


def likelier(one: Tensor, other: Tensor) -> float:
    """By how much the second of two misfits [windows] is likelier, none adding too much.

    Windows in which neither motion is finite add nothing.
    """
    gain = (one - other).nan_to_num(nan=0.0)
    return float(gain.clamp(-MOST_OF_A_WINDOW, MOST_OF_A_WINDOW).sum())


def scored(fit: Fit, loss: float, engine: str, held_out: Problem) -> Scored:
    """A fit with its errors on held-out windows; `loss` and `engine` are of the candidate."""
    model = fit.dynamics()
    settled = fit.suited(held_out).settled(model)
    sizes = error_sizes(model, settled)
    size = fit.form.complexity + sum(map(_size, fit.structure.terms))
    return Scored(fit, size, mean_error(sizes), loss, engine, sizes, settled.misfit())


def _size(term: Term) -> int:
    """A product of each coefficient with what it multiplies, and the sum with the rest."""
    return 1 + 2 * len(term.symbols) + bool(term.weight)


class _Offered:
    """The forms to be refitted: those offered and their variants, one of each shape."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.waiting: list[tuple[Form, Candidate]] = []
        self.left_out: list[str] = []
        self._seen: set[sympy.Expr] = set()
        for candidate in candidates:
            if candidate.potential is None:
                self._add(map(form_of, _variants(candidate.equation)), candidate)
            else:
                self._add(map(form_of_potential, _variants(candidate.potential)), candidate)

    def taken(self) -> list[tuple[Form, Candidate]]:
        """All that wait; none do then."""
        taken, self.waiting = self.waiting, []
        return taken

    def add_rounded(self, form: Form, candidate: Candidate) -> None:
        """A fitted form with exponents that are near integers or simple fractions rounded."""
        potential = form.as_potential
        rounded = rounded_exponents(form.expression if potential is None else potential)
        if rounded is not None:
            of = form_of if potential is None else form_of_potential
            self._add(map(of, _variants(rounded)), candidate)

    def _add(self, forms: Iterable[Form], candidate: Candidate) -> None:
        for form in forms:
            shape = _renamed(form)
            if shape in self._seen:
                continue
            self._seen.add(shape)
            if is_symmetric(form.expression):
                self.waiting.append((form, candidate))
            else:
                text = f"{form.expression} changes when the two bodies are exchanged"
                self.left_out.append(text)


def _renamed(form: Form) -> sympy.Expr:
    """The shape with its constants numbered anew: names say where a form came from."""
    names = [name for name in names_of(form.shape) if name in form.constants]
    return form.shape.xreplace({symbol(n): symbol(f"p{k}") for k, n in enumerate(names)})


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
