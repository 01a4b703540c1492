"""Refit: the constants of a form, and the hidden couplings, on the trajectories themselves.

Levenberg-Marquardt in float64 on the errors of the windows, through the integrator: relative to
each body's acceleration, as in training; in noise, what is left at all frames over the noise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.terms import Term
from gnsim.symbolic.forms import Form, FormPotential
from gnsim.symbolic.normal_equations import Normal, RefitError
from gnsim.symbolic.problem import Problem, final_error, residuals_over_noise
from gnsim.symbolic.window_errors import not_of_the_step, step_error

_ROUNDS = 40
#: frames and rounds of a first fit in noise, whose windows are long
_FIRST_FRAMES, _FIRST_ROUNDS = 9, 15
#: a step that lowers the cost by this share was worth its Jacobian; by less than this, is the last;
#: and by less than this, is so even with a little damping; in noise, this over all numbers is less
_GOOD_STEP, _LAST_STEP, _NO_STEP, _LITTLE, _LAST_IN_NOISE = 0.5, 0.05, 0.002, 0.1, 0.2
_LEAST_DAMPING, _LARGEST_DAMPING = 1e-3, 1e6
_QUOTIENT_STEP = 1e-6
#: errors this many times the median count half; in noise sums of squares are all alike but for lost
#: windows
_OUTLIER, _LOST_WINDOW = 3.0, 1.0
#: what a motion that is lost counts as, times the acceleration
_LOST = 1e3
_TIME_BLOCKS = 25
#: times that the step is halved at most, and share of its error by which a parameter may move then
_HALVINGS, _WITHIN = 2, 0.5
#: widths of a break by what a pair travels a frame; in noise, starts need slopes, and these the
#: last of them no sharper than the steps
_BLURS, _BLURS_IN_NOISE = (0.5, 0.1, 0.02), (0.5, 0.1)
#: fewer independent systems than this say too little about their scatter
_ENOUGH_SYSTEMS = 8


@dataclass(frozen=True)
class Fit:
    """A fitted form. `parameters` holds its constants, then the numbers x of `CoupledPairs`.

    Breaks are spread over the length `blur`, as they were fitted.
    `replicates` are the parameters with one group of the data left out at a time, one tensor
    [groups, parameters] for each way to group them (by system; or by time and, without noise, by
    body).
    """

    form: Form
    structure: Structure
    bodies: int
    parameters: Float[Tensor, " parameters"]
    replicates: tuple[Float[Tensor, "_ parameters"], ...]
    blur: float = 0.0

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
        model = _model(self.form, self.structure, self.bodies, self.blur)
        _assign(model, self.parameters)
        return model

    def estimate(
        self, function: Callable[[Tensor], Tensor], groupings: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Value and standard error of a function of the parameters, by the jackknife.

        B. Efron, C. Stein (1981), doi:10.1214/aos/1176345462. The ways of grouping add up;
        `groupings` takes some of them only.
        """
        variance = torch.zeros_like(function(self.parameters))
        for replicates in self.replicates[groupings]:
            values = torch.stack([function(replicate) for replicate in replicates])
            groups = len(values)
            spread = (values - values.mean(0)).square().sum(0)
            variance = variance + (groups - 1) / groups * spread
        return function(self.parameters), variance.sqrt()


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
    fit = _minimised(form, structure, short, start, _blurs(form, problem)[0], _FIRST_ROUNDS)
    model = fit.dynamics()
    tested = fit.suited(short).settled(model)
    trusted = not_of_the_step(step_error(model, tested), tested)
    return Begun(fit.fitted_form, fit.x, tested.misfit(), trusted)


def refit(form: Form, structure: Structure, problem: Problem, start: Tensor | None = None) -> Fit:
    """The constants, couplings and coefficients that predict the windows best.

    Levenberg-Marquardt with Cauchy weights. Motion is nearly linear in the parameters, so a
    Jacobian is kept for as long as its steps do. `start` holds the numbers x to start from; without
    it, all couplings are the form's strength and all coefficients zero.

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
        fit = _minimised(form, structure, problem, start, blur, _ROUNDS)
        form, start = fit.fitted_form, fit.x
    return fit


def adjust(
    form: Form, structure: Structure, problem: Problem, start: Tensor, rounds: int = _ROUNDS
) -> Fit:
    """As `refit`, from constants and numbers x that are nearly right: a break is steep at once.

    Raises:
        RefitError: the errors are not finite at the start.
    """
    return _minimised(form, structure, problem, start, _blurs(form, problem)[-1], rounds)


def _blurs(form: Form, problem: Problem) -> tuple[float, ...]:
    """How far a break is spread in one fit after the other, by what a pair travels in a frame."""
    if not form.breaks:
        return (0.0,)
    return _BLURS_IN_NOISE if problem.noisy else _BLURS


def adjust_to_the_step(form: Form, structure: Structure, problem: Problem, start: Tensor) -> Fit:
    """As `adjust`, with steps so fine that halving them moves no parameter by half its error.

    Constants that are known to a millionth would else have the error of the integrator, which no
    standard error speaks of. A break is refitted with fine steps anyway.
    """
    fit = adjust(form, structure, problem, start)
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


def _minimised(
    form: Form,
    structure: Structure,
    problem: Problem,
    start: Tensor | None,
    blur: float,
    rounds: int,
) -> Fit:
    """Levenberg-Marquardt; breaks are spread over `blur` of what a pair travels in a frame."""
    if form.breaks:
        problem = problem.for_breaks()
        blur *= problem.travelled()
    model = _model(form, structure, problem.bodies, blur)
    x = _start(model, form.strength) if start is None else start.to(torch.float64)
    theta = torch.cat([torch.tensor([*form.constants.values()], dtype=torch.float64), x])
    _assign(model, theta)
    problem = problem.settled(model)
    errors = _errors(model, theta, problem)
    slopes = _jacobian(model, theta, problem, errors)
    outlier = _LOST_WINDOW if problem.noisy else _OUTLIER
    here = Normal(errors, slopes, _directions(model, theta), outlier)
    if not bool(torch.isfinite(here.cost)):
        raise RefitError(f"{form.expression}: the motion it predicts is not finite on the data")
    last = _LAST_IN_NOISE / errors.numel() if problem.noisy else _LAST_STEP
    damping, fresh = 0.0, True
    for _ in range(rounds):
        trial = theta + here.step(damping)
        errors = _errors(model, trial, problem)
        gain = 1 - float(here.cost_of(errors) / here.cost)
        if gain > 0:
            theta, here = trial, Normal(errors, here.slopes, here.directions, outlier)
            damping = 0.1 * damping if damping > _LEAST_DAMPING else 0.0
            if fresh and damping <= _LITTLE and gain < (min(_NO_STEP, last) if damping else last):
                break
            if gain > _GOOD_STEP:
                fresh = False
                continue
        elif fresh:
            damping = max(10 * damping, _LEAST_DAMPING)
            if damping > _LARGEST_DAMPING:
                break
            continue
        _assign(model, theta)
        settled = problem.settled(model)
        errors = here.errors if settled is problem else _errors(model, theta, settled)
        problem, fresh = settled, True
        slopes = _jacobian(model, theta, problem, errors)
        here = Normal(errors, slopes, here.directions, outlier)
    groupings = _groupings(problem)
    replicates = here.left_out(theta, groupings)
    return Fit(form, model.structure, problem.bodies, theta, replicates, blur)


def _start(model: CoupledPairs, strength: float) -> Float[Tensor, " numbers"]:
    scaled, charges = model.coupling.counts(model.bodies)
    x = torch.zeros_like(model.x)
    x[:scaled] = strength
    x[scaled : scaled + charges] = 1.0
    return x


def _directions(model: CoupledPairs, theta: Tensor) -> Float[Tensor, "p some"]:
    """Each constant by itself, and all couplings together: what any error may depend on."""
    constants = len(_constants(model))
    directions = torch.eye(len(theta), constants + 1, dtype=theta.dtype)
    directions[:, -1] = 0.0
    couplings = slice(constants, constants + model.num_couplings)
    directions[couplings, -1] = theta[couplings]
    return directions


def _groupings(problem: Problem) -> tuple[Tensor, ...]:
    """Group numbers of what `_errors` has: by system where there are many, else by time.

    And then, where errors are those of bodies, by body.
    """
    windows = problem.windows
    bodies = 1 if problem.noisy else problem.bodies
    systems, system = windows.system.unique(return_inverse=True)
    if len(systems) >= _ENOUGH_SYSTEMS:
        return (system.repeat_interleave(bodies),)
    blocks = min(_TIME_BLOCKS, len(windows.start))
    order = windows.start.argsort(stable=True)
    block = torch.empty_like(order)
    block[order] = torch.arange(len(order)) * blocks // len(order)
    if problem.noisy:
        return (block,)
    body = torch.arange(problem.bodies).repeat(len(windows.start))
    return (block.repeat_interleave(problem.bodies), body)


def _errors(
    model: CoupledPairs, theta: Tensor, problem: Problem
) -> Float[Tensor, "units kinds numbers"]:
    """What is to be small: errors of each body at the ends of the windows, [nodes, kinds, dim].

    In noise, what is left at all frames of a window, [windows, 1, rows]: a window is lost, or fits,
    as a whole.
    """
    _assign(model, theta)
    with torch.no_grad():
        if problem.noisy:
            left = [residuals_over_noise(model, problem, part) for part in problem.chunks()]
            errors = torch.cat(left)[:, None]
        else:
            errors = torch.cat([final_error(model, problem, part) for part in problem.chunks()])
    if problem.windows.path.noise is None or not bool(errors.isfinite().any()):
        return errors
    # a start that was corrected too far says nothing of the form: as bad as any outlier, no worse
    lost = _LOST * max(1.0, problem.loudness()) if problem.noisy else _LOST
    return errors.nan_to_num(nan=lost).clamp(-lost, lost)


def _jacobian(
    model: CoupledPairs, theta: Tensor, problem: Problem, errors: Tensor
) -> Float[Tensor, "units kinds numbers p"]:
    """What `errors`, those at `theta`, fall by per unit of each parameter.

    By difference quotients: motion is close to linear in the parameters, and a quotient costs a
    quarter of a forward-mode derivative here. The strength before hidden charges is not moved: it
    has no meaning beside their scale.
    """
    columns = []
    held = len(_constants(model)) if model.coupling.of == "both" else None
    for k, size in enumerate(_QUOTIENT_STEP * _sizes(model, theta, problem)):
        if k == held:
            columns.append(torch.zeros_like(errors))
            continue
        moved = theta.clone()
        moved[k] += size
        columns.append((errors - _errors(model, moved, problem)) / (moved[k] - theta[k]))
    return torch.stack(columns, -1)


def _sizes(model: CoupledPairs, theta: Tensor, problem: Problem) -> Float[Tensor, " p"]:
    """What a change of each parameter is measured by: itself, one where it is zero.

    Couplings by the largest of their kind, for a small one moves nothing by a millionth of itself;
    coefficients by what would make up all of the acceleration.
    """
    constants, tiny = len(_constants(model)), torch.finfo(theta.dtype).tiny / _QUOTIENT_STEP
    kinds = theta[constants:][: model.num_couplings].split(model.coupling.counts(model.bodies))
    return torch.cat(
        [
            torch.where(theta[:constants] == 0, 1.0, theta[:constants].abs()),
            *(x.abs().max().clamp_min(tiny).expand_as(x) for x in kinds if len(x)),
            *(_natural_size(term, problem) for term in model.terms),
        ]
    )


def _natural_size(term: Term, problem: Problem) -> Float[Tensor, " coefficients"]:
    start = problem.windows.path[0]
    response = (term.force(start) / start.mass[:, None, None]).norm(dim=1)
    # of the bodies that the term acts on: many may have no charge
    usual = torch.where(response > 0, response, torch.nan).nanmedian(0).values
    return (problem.windows.typical.median() / usual).nan_to_num(nan=1.0)


def _model(form: Form, structure: Structure, bodies: int, blur: float = 0.0) -> CoupledPairs:
    return CoupledPairs(FormPotential(form, blur), structure, bodies).to(torch.float64)


def _assign(model: CoupledPairs, parameters: Tensor) -> None:
    constants = _constants(model)
    for name, value in zip(list(constants), parameters, strict=False):
        constants[name] = value
    model.x = parameters[len(constants) :]


def _constants(model: CoupledPairs) -> dict[str, Tensor]:
    potential = model.pair
    if not isinstance(potential, FormPotential):
        raise TypeError(f"a refit wants a FormPotential, found a {type(potential).__name__}")
    return potential.constants
