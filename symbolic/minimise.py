"""The constants of a form, and its couplings, that predict windows of trajectories best.

Levenberg-Marquardt in float64 on the errors of the windows, through the integrator: relative to
each body's acceleration, as in training; in noise, what is left at all frames over the noise.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.terms import Term
from gnsim.normal_equations import Normal, RefitError
from gnsim.symbolic.forms import FittedPotential
from gnsim.symbolic.problem import Problem, final_error, residuals_over_noise

#: steps, unless told otherwise
ROUNDS = 40
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
#: of the scatter of one error, by which a constant changes all of them together at least
_DETERMINED = 5.0
#: fewer independent systems than this say too little about their scatter
ENOUGH_SYSTEMS = 8


@runtime_checkable
class Fittable(Protocol):
    """What can be fitted: a pair force with named constants, which times a strength moves bodies.

    `directions` are changes of the constants on which any error may depend; `pair` gives the
    potential that has these constants as tensors, with breaks spread over a length.
    """

    @property
    def constants(self) -> Mapping[str, float]: ...

    @property
    def strength(self) -> float: ...

    @property
    def breaks(self) -> bool: ...

    @property
    def directions(self) -> Float[Tensor, "constants _"]: ...

    def pair(self, blur: float) -> FittedPotential: ...


@dataclass(frozen=True)
class Minimum:
    """Where a fit ended: constants, then the numbers x of `CoupledPairs`.

    `replicates` are these with one group of the data left out at a time, one tensor [groups,
    parameters] for each way to group them (by system; or by time and, without noise, by body).
    Breaks are spread over the length `blur` in its dynamics. Where it is known what noise alone
    scatters, `noise` is a square root of that covariance. Errors hardly depend on `idle` constants.
    """

    parameters: Float[Tensor, " parameters"]
    replicates: tuple[Float[Tensor, "_ parameters"], ...]
    blur: float = 0.0
    noise: Float[Tensor, "parameters parameters"] | None = None
    idle: tuple[int, ...] = ()

    def estimate(
        self, function: Callable[[Tensor], Tensor], groupings: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Value and standard error of a function of the parameters, by the jackknife.

        B. Efron, C. Stein (1981), doi:10.1214/aos/1176345462. The ways of grouping add up;
        `groupings` takes some of them only. At least what noise makes of it: where a few systems
        hold most of what is known, leaving them out tells too little. The larger of two estimates
        is a little too large in the mean. Infinite for what depends on `idle` constants, which
        no replicate moves.
        """
        variance = torch.zeros_like(function(self.parameters))
        for replicates in self.replicates[groupings]:
            values = torch.stack([function(replicate) for replicate in replicates])
            groups = len(values)
            spread = (values - values.mean(0)).square().sum(0)
            variance = variance + (groups - 1) / groups * spread
        if self.noise is not None:
            variance = torch.maximum(variance, self._by_noise(function))
        value = function(self.parameters)
        for k in self.idle:
            other = self.parameters.clone()
            other[k] += 1 + other[k].abs()
            variance = torch.where(function(other) == value, variance, torch.inf)
        return value, variance.sqrt()

    def _by_noise(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """The variance of a function that noise makes, to first order."""
        assert self.noise is not None  # asked for where there is some
        ends = (
            function(self.parameters + column) - function(self.parameters - column)
            for column in self.noise.T
        )
        return torch.stack([(0.5 * difference).square() for difference in ends]).sum(0)


def minimise(
    form: Fittable,
    structure: Structure,
    problem: Problem,
    start: Tensor | None,
    blur: float,
    rounds: int = ROUNDS,
) -> Minimum:
    """Levenberg-Marquardt with Cauchy weights, from the constants of `form` and the numbers x.

    Motion is nearly linear in the parameters, so a Jacobian is kept for as long as its steps do.
    Breaks are spread over `blur` of what a pair travels in a frame. Without a `start`, all
    couplings are the form's strength and all coefficients zero.

    Raises:
        RefitError: the errors are not finite at the start.
    """
    if form.breaks:
        problem = problem.for_breaks()
        blur *= problem.travelled()
    model = dynamics_of(form, structure, problem.bodies, blur)
    x = _start(model, form.strength) if start is None else start.to(torch.float64)
    theta = torch.cat([torch.tensor([*form.constants.values()], dtype=torch.float64), x])
    assign(model, theta)
    problem = problem.settled(model)
    errors = errors_of(model, theta, problem)
    slopes = jacobian_of(model, theta, problem, errors)
    outlier = _LOST_WINDOW if problem.noisy else _OUTLIER
    here = Normal(errors, slopes, _directions(form, model, theta), outlier)
    if not bool(torch.isfinite(here.cost)):
        raise RefitError(f"{form}: the motion it predicts is not finite on the data")
    last = _LAST_IN_NOISE / errors.numel() if problem.noisy else _LAST_STEP
    damping, fresh = 0.0, True
    for _ in range(rounds):
        trial = theta + here.step(damping)
        errors = errors_of(model, trial, problem)
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
        assign(model, theta)
        settled = problem.settled(model)
        errors = here.errors if settled is problem else errors_of(model, theta, settled)
        problem, fresh = settled, True
        slopes = jacobian_of(model, theta, problem, errors)
        here = Normal(errors, slopes, here.directions, outlier)
    groupings = _groupings(problem)
    replicates = here.left_out(theta, groupings)
    return Minimum(theta, replicates, blur, idle=_idle(here, theta[: len(form.constants)]))


def _idle(here: Normal, constants: Float[Tensor, " constants"]) -> tuple[int, ...]:
    """Those which without all of themselves would change no errors by more than chance.

    Whatever else there is to fit, and however few windows tell: these are slopes of rounding, of
    which no scatter between groups of the data speaks.
    """
    slopes = here.slopes.flatten(0, 2)[:, : len(constants)]
    told = slopes.nan_to_num(nan=math.inf).square().sum(0).sqrt() * constants.abs()
    idle = told < _DETERMINED * here.variance.sqrt()
    return tuple(idle.nonzero().flatten().tolist())


def _start(model: CoupledPairs, strength: float) -> Float[Tensor, " numbers"]:
    scaled, charges = model.coupling.counts(model.bodies)
    x = torch.zeros_like(model.x)
    x[:scaled] = strength
    x[scaled : scaled + charges] = 1.0
    return x


def _directions(form: Fittable, model: CoupledPairs, theta: Tensor) -> Float[Tensor, "p some"]:
    """Those of the form, and all couplings together: what any error may depend on."""
    constants = len(form.constants)
    couplings = slice(constants, constants + model.num_couplings)
    of_form = torch.zeros(len(theta), form.directions.shape[1] + 1, dtype=theta.dtype)
    of_form[:constants, :-1] = form.directions
    of_form[couplings, -1] = theta[couplings]
    return of_form


def _groupings(problem: Problem) -> tuple[Tensor, ...]:
    """Group numbers of what `errors_of` has: by system where there are many, else by time.

    And then, where errors are those of bodies, by body.
    """
    windows = problem.windows
    bodies = 1 if problem.noisy else problem.bodies
    systems, system = windows.system.unique(return_inverse=True)
    if len(systems) >= ENOUGH_SYSTEMS:
        return (system.repeat_interleave(bodies),)
    blocks = min(_TIME_BLOCKS, len(windows.start))
    order = windows.start.argsort(stable=True)
    block = torch.empty_like(order)
    block[order] = torch.arange(len(order)) * blocks // len(order)
    if problem.noisy:
        return (block,)
    body = torch.arange(problem.bodies).repeat(len(windows.start))
    return (block.repeat_interleave(problem.bodies), body)


def errors_of(
    model: CoupledPairs, theta: Tensor, problem: Problem
) -> Float[Tensor, "units kinds numbers"]:
    """What is to be small: errors of each body at the ends of the windows, [nodes, kinds, dim].

    In noise, what is left at all frames of a window, [windows, 1, rows]: a window is lost, or fits,
    as a whole.
    """
    assign(model, theta)
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


def jacobian_of(
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
        columns.append((errors - errors_of(model, moved, problem)) / (moved[k] - theta[k]))
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


def dynamics_of(
    form: Fittable, structure: Structure, bodies: int, blur: float = 0.0
) -> CoupledPairs:
    """A form as a dynamics in positions and velocities, at its own constants."""
    return CoupledPairs(form.pair(blur), structure, bodies).to(torch.float64)


def assign(model: CoupledPairs, parameters: Tensor) -> None:
    """Gives the dynamics of a form its constants and numbers x."""
    constants = _constants(model)
    for name, value in zip(list(constants), parameters, strict=False):
        constants[name] = value
    model.x = parameters[len(constants) :]


def _constants(model: CoupledPairs) -> dict[str, Tensor]:
    potential = model.pair
    if not isinstance(potential, FittedPotential):
        raise TypeError(f"a fit wants a FittedPotential, found a {type(potential).__name__}")
    return potential.constants
