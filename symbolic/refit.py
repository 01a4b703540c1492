"""Refit: the constants of a form, and the hidden couplings, on the trajectories themselves.

In noise a fit begins with the first frames; constants that are known well get steps as fine.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.symbolic.forms import Form
from gnsim.symbolic.last_steps import last_steps
from gnsim.symbolic.minimise import ROUNDS, Minimum, assign, dynamics_of, minimise
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import not_of_the_step, step_error

#: frames and rounds of a first fit in noise, whose windows are long
_FIRST_FRAMES, _FIRST_ROUNDS = 9, 15
#: times that the step is halved at most, and share of its error by which a parameter may move then
_HALVINGS, _WITHIN = 2, 0.5
#: widths of a break by what a pair travels a frame; in noise, starts need slopes, and these the
#: last of them no sharper than the steps
_BLURS, _BLURS_IN_NOISE = (0.5, 0.1, 0.02), (0.5, 0.1)
#: that width in the last steps of a fit in noise
_LAST_BLUR = 0.02


@dataclass(frozen=True, kw_only=True)
class Fit(Minimum):
    """A fitted form: the least-squares point, and what was fitted."""

    form: Form
    structure: Structure
    bodies: int

    @property
    def coupling(self) -> str:
        return self.structure.coupling

    @property
    def x(self) -> Float[Tensor, " numbers"]:
        """The couplings of the strength, then the coefficients of the terms."""
        return self.parameters[len(self.form.constants) :]

    @property
    def fitted_form(self) -> Form:
        """The form at its fitted constants."""
        constants = self.parameters[: len(self.form.constants)].tolist()
        return self.form.at(dict(zip(self.form.constants, constants, strict=True)))

    @property
    def num_couplings(self) -> int:
        return len(self.x) - sum(len(term.symbols) for term in self.structure.terms)

    def suited(self, problem: Problem) -> Problem:
        """`problem` as this form is integrated in it."""
        return problem.for_breaks() if self.form.breaks else problem

    def dynamics(self) -> CoupledPairs:
        """The fitted form as a dynamics in positions and velocities."""
        model = dynamics_of(self.form, self.structure, self.bodies, self.blur)
        assign(model, self.parameters)
        return model


class Begun(NamedTuple):
    """A form with the constants and numbers x that its refit starts from.

    In noise, `misfit` is that of each window over its first frames alone (see `Problem.misfit`);
    `trusted` says in which of them it is not the time step's.
    """

    form: Form
    x: Tensor | None
    misfit: Float[Tensor, " windows"] | None = None
    trusted: Bool[Tensor, " windows"] | None = None


def begin(form: Form, structure: Structure, problem: Problem, start: Tensor | None = None) -> Begun:
    """What a refit starts from: `start`, or in noise what fits the first frames of the windows.

    Over short stretches errors are nearly linear in all there is to find.

    Raises:
        RefitError: the errors are not finite at the start.
    """
    if not problem.noisy or len(problem.windows.path) <= _FIRST_FRAMES:
        return Begun(form, start)
    short = problem.shortened(_FIRST_FRAMES)
    fit = _fitted(form, structure, short, start, _blurs(form, problem)[0], _FIRST_ROUNDS)
    model = fit.dynamics()
    tested = fit.suited(short).settled(model)
    trusted = not_of_the_step(step_error(model, tested), tested)
    return Begun(fit.fitted_form, fit.x, tested.misfit(), trusted)


def refit(form: Form, structure: Structure, problem: Problem, start: Tensor | None = None) -> Fit:
    """The constants, couplings and coefficients that predict the windows best.

    `start` holds the numbers x to start from, as for `minimise`.

    Raises:
        RefitError: the errors are not finite at the start.
    """
    return completed(begin(form, structure, problem, start), structure, problem)


def completed(begun: Begun, structure: Structure, problem: Problem) -> Fit:
    """The rest of a refit. A break is found as a steep step first and a steeper one then.

    Raises:
        RefitError: the errors are not finite at the start.
    """
    form, start = begun.form, begun.x
    for blur in _blurs(form, problem):
        fit = _fitted(form, structure, problem, start, blur, ROUNDS)
        form, start = fit.fitted_form, fit.x
    return fit


def adjust(
    form: Form, structure: Structure, problem: Problem, start: Tensor, rounds: int = ROUNDS
) -> Fit:
    """As `refit`, from constants and numbers x that are nearly right: a break is steep at once.

    Raises:
        RefitError: the errors are not finite at the start.
    """
    return _fitted(form, structure, problem, start, _blurs(form, problem)[-1], rounds)


def _blurs(form: Form, problem: Problem) -> tuple[float, ...]:
    """How far a break is spread in one fit after the other, by what a pair travels in a frame."""
    if not form.breaks:
        return (0.0,)
    return _BLURS_IN_NOISE if problem.noisy else _BLURS


def adjust_to_the_step(form: Form, structure: Structure, problem: Problem, start: Tensor) -> Fit:
    """As `adjust`, with steps so fine that halving them moves no parameter by half its error.

    Constants that are known to a millionth would else have the error of the integrator, which no
    standard error speaks of. A break is refitted with fine steps anyway. In noise the last steps
    are those of `gnsim.symbolic.last_steps`, where these come to an end.
    """
    fit = adjust(form, structure, problem, start)
    if problem.noisy and (found := _by_last_steps(fit, problem)) is not None:
        return found
    for _ in range(0 if form.breaks else _HALVINGS):
        problem = replace(problem, substeps=2 * problem.substeps)
        # one step tells how far it is
        finer = adjust(fit.fitted_form, structure, problem, fit.x, rounds=1)
        _, errors = fit.estimate(lambda p: p)
        moved = (finer.parameters - fit.parameters).abs()
        if bool((moved <= _WITHIN * errors).all()):
            return finer
        fit = adjust(finer.fitted_form, structure, problem, finer.x)
    return fit


def _by_last_steps(fit: Fit, problem: Problem) -> Fit | None:
    """The same form after the last steps; None where they have no end.

    Only they have a sharper break: what is integrated with the result has starts to find, with
    slopes in fewer steps.
    """
    blur = _LAST_BLUR * problem.travelled() if fit.form.breaks else 0.0
    model = dynamics_of(fit.form, fit.structure, fit.bodies, blur)
    found = last_steps(fit.form, model, fit.parameters, fit.suited(problem))
    return None if found is None else replace(fit, **found._asdict())


def _fitted(
    form: Form,
    structure: Structure,
    problem: Problem,
    start: Tensor | None,
    blur: float,
    rounds: int,
) -> Fit:
    least = minimise(form, structure, problem, start, blur, rounds)
    return Fit(form=form, structure=structure, bodies=problem.bodies, **vars(least))
