"""Refit: the constants of a form, and the hidden couplings, on the trajectories themselves.

Levenberg-Marquardt in float64 on the errors of the windows, through the integrator. Errors are
relative to each body's acceleration, as in training.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.graph import displacement, distance
from gnsim.integrators.base import Integrator
from gnsim.integrators.symplectic import Leapfrog
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.terms import Term
from gnsim.noise import window_noise
from gnsim.starts import fitted_starts
from gnsim.state import Trajectory
from gnsim.symbolic.forms import Form, FormPotential
from gnsim.windows import (
    Windows,
    WindowSampler,
    acceleration_scale,
    missed,
)

_PAIRS_AT_ONCE = 60_000
_ROUNDS = 40
#: frames and rounds of a first fit in noise, whose windows are long
_FIRST_FRAMES, _FIRST_ROUNDS = 9, 15
#: a step that lowers the cost by this share was worth its Jacobian; by less than this, is the last;
#: and by less than this, is so even with a little damping; noise leaves a cost of which less counts
_GOOD_STEP, _LAST_STEP, _NO_STEP, _LITTLE, _LAST_IN_NOISE = 0.5, 0.05, 0.002, 0.1, 1e-4
_LEAST_DAMPING, _LARGEST_DAMPING = 1e-3, 1e6
_QUOTIENT_STEP = 1e-6
#: slopes so many times the median halve the trust in an error; less trust than this is none
_STEEP, _NO_TRUST = 10.0, 1e-20
#: errors above this many times the median, and above this share of the acceleration, are outliers
_OUTLIER, _LEAST_OUTLIER = 3.0, 1e-3
#: what a motion that is lost counts as, times the acceleration
_LOST = 1e3
_TIME_BLOCKS = 25
#: times that the step is halved at most, and share of its error by which a parameter may move then
_HALVINGS, _WITHIN = 2, 0.5
#: steps of a leapfrog for one of a smooth force; widths of a break by what a pair travels a frame
#: in noise, starts need slopes, and these the last of them no sharper than the steps
_BREAK_SUBSTEPS, _BLURS, _BLURS_IN_NOISE = 16, (0.5, 0.1, 0.02), (0.5, 0.1)
#: fewer independent systems than this say too little about their scatter
_ENOUGH_SYSTEMS = 8


@dataclass(frozen=True)
class Problem:
    """What a form is fitted to: windows of one trajectory and how they are integrated.

    `noise` is that of the data, in each component of the mean acceleration over a window; `fine`
    says that steps are made for breaks.
    """

    windows: Windows
    bodies: int
    integrator: Integrator
    substeps: int
    noise: Float[Tensor, "bodies kinds"]
    fine: bool = False

    @classmethod
    def of(
        cls, trajectory: Trajectory, steps: int, count: int, integrator: Integrator, substeps: int
    ) -> "Problem":
        """`count` windows of so many steps, spread over the trajectory.

        Where no velocities were measured, nobody knows how windows start: as in noisy ones, the
        starts are fitted, to positions as good as exact.
        """
        sampler = WindowSampler(trajectory.to(torch.float64), steps)
        made = window_noise(sampler.trajectory, steps)
        windows = sampler.spread(count)
        path = windows.path
        if not path.velocity_given and path.noise is None:
            exact = torch.zeros(path.num_nodes, 2, dtype=torch.float64)
            windows = replace(windows, path=replace(path, noise=exact))
        return cls(windows, sampler.bodies, integrator, substeps, made)

    def shortened(self, frames: int) -> "Problem":
        """The first frames of each window."""
        path = self.windows.path.frames(slice(0, frames))
        made = window_noise(path, frames - 1)
        return replace(self, windows=replace(self.windows, path=path, starts=None), noise=made)

    @property
    def noisy(self) -> bool:
        """Whether noise rules what errors are."""
        return bool((self.noise > 0).any())

    def for_breaks(self) -> "Problem":
        """With many small steps of low order: what a jump of the force asks for."""
        if self.fine:
            return self
        substeps = _BREAK_SUBSTEPS * self.substeps
        return replace(self, integrator=Leapfrog(), substeps=substeps, fine=True)

    def misfit(self) -> Float[Tensor, " windows"] | None:
        """Half the sum of squares of what settled starts leave, over the noise; None without any.

        Of the true law, the negative logarithm of its likelihood. Infinite where motion is not
        finite.
        """
        if not self.noisy or self.windows.starts is None:
            return None
        return 0.5 * self.windows.starts.misfit.view(-1, self.bodies).sum(1)

    def noise_share(self) -> Float[Tensor, "nodes kinds"]:
        """What noise makes of each component of an error, relative as errors are.

        As far as it is left by the starts of the windows, where these are settled.
        """
        scale = acceleration_scale(self.windows)[-1]
        if self.noisy and self.windows.starts is not None:
            return self.windows.starts.noise[:, None] / scale
        return self.noise.repeat(len(self.windows.start), 1) / scale

    def noise_sizes(self) -> Float[Tensor, "nodes kinds"]:
        """The size of error that noise alone makes; its geometric mean."""
        half_dim = torch.tensor(0.5 * self.windows.path.dim, dtype=torch.float64)
        # exp of the mean log of the length of a normal vector, as `mean_error` averages errors
        length = torch.exp(0.5 * (torch.digamma(half_dim) + math.log(2)))
        return length * self.noise_share()

    def chance(self) -> float:
        """Standard error of the logarithm of a geometric mean of noise over all windows."""
        half_dim = torch.tensor(0.5 * self.windows.path.dim, dtype=torch.float64)
        spread = 0.5 * torch.polygamma(1, half_dim).sqrt()
        return float(spread) / len(self.windows.start) ** 0.5

    def travelled(self) -> float:
        """The distance by which a pair usually comes closer or goes apart from frame to frame."""
        path = self.windows.path
        r = [
            distance(displacement(state.q, state.pairs, state.box)) for state in (path[0], path[1])
        ]
        return float((r[1] - r[0]).abs().median())

    def settled(self, model: Dynamics) -> "Problem":
        """With the starts that are likeliest for `model`, where measured ones will not do."""
        windows = self.windows
        if windows.path.noise is None:
            return self
        with torch.no_grad():
            starts = fitted_starts(
                model, self.integrator, windows.path, self.substeps, windows.starts
            )
        return replace(self, windows=replace(windows, starts=starts))

    def chunks(self) -> Iterator[Windows]:
        """The windows in parts that fit in memory."""
        size = max(1, _PAIRS_AT_ONCE // self.windows.path.pairs_per_system)
        return (self.windows.part(k, k + size) for k in range(0, len(self.windows.start), size))


@dataclass(frozen=True)
class Fit:
    """A fitted form. `parameters` holds its constants, then the numbers x of `CoupledPairs`.

    Breaks are spread over the length `blur`, as they were fitted.
    `replicates` are the parameters with one group of the data left out at a time, one tensor
    [groups, parameters] for each way to group them (by system; or by time and by body).
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


class RefitError(ValueError):
    """A form that cannot be fitted: its motion is not finite on the data."""


def refit(form: Form, structure: Structure, problem: Problem, start: Tensor | None = None) -> Fit:
    """The constants, couplings and coefficients that predict the ends of the windows best.

    Levenberg-Marquardt with Cauchy weights. Motion is nearly linear in the parameters, so a
    Jacobian is kept for as long as its steps do. `start` holds the numbers x to start from; without
    it, all couplings are the form's strength and all coefficients zero. A break is found as a
    steep step first and a steeper one then.

    Raises:
        RefitError: the errors are not finite at the start.
    """
    if problem.noisy and len(problem.windows.path) > _FIRST_FRAMES:
        # over short stretches errors are nearly linear in all there is to find
        short = problem.shortened(_FIRST_FRAMES)
        fit = _minimised(form, structure, short, start, _blurs(form, problem)[0], _FIRST_ROUNDS)
        form, start = fit.fitted_form, fit.x
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
    here = _Normal(errors, _jacobian(model, theta, problem, errors), _directions(model, theta))
    if not bool(torch.isfinite(here.cost)):
        raise RefitError(f"{form.expression}: the motion it predicts is not finite on the data")
    last = _LAST_IN_NOISE if problem.noisy else _LAST_STEP
    damping, fresh = 0.0, True
    for _ in range(rounds):
        trial = theta + here.step(damping)
        errors = _errors(model, trial, problem)
        gain = 1 - float(here.cost_of(errors) / here.cost)
        if gain > 0:
            theta, here = trial, _Normal(errors, here.slopes, here.directions)
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
        here = _Normal(errors, _jacobian(model, theta, problem, errors), here.directions)
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


class _Normal:
    """Weighted normal equations at one point."""

    def __init__(
        self,
        errors: Float[Tensor, "nodes kinds dim"],
        jacobian: Float[Tensor, "nodes kinds dim p"],
        directions: Float[Tensor, "p some"],
    ) -> None:
        size = errors.square().sum(-1)
        self.width = (_OUTLIER**2 * size.median()).clamp_min(_LEAST_OUTLIER**2)
        self.errors, self.slopes, self.directions = errors, jacobian, directions
        self.trust = self._trust()
        # those too steep for any trust may be beyond all numbers
        self.jacobian = torch.where(self.trust[..., None, None] > _NO_TRUST, jacobian, 0.0)
        self.weight = self.trust / (1 + size / self.width)
        self.cost = self.cost_of(errors)

    def _trust(self) -> Float[Tensor, "nodes kinds"]:
        """Less for errors that react many times as much as the median does in some direction.

        After a close encounter everything depends on everything: such errors are large, nearly
        random, and would steer the fit by their slopes whatever Cauchy's weight makes of them.
        """
        slopes = (self.slopes @ self.directions).norm(dim=2)
        usual = slopes.flatten(0, 1).nanmedian(0).values.clamp_min(torch.finfo(slopes.dtype).tiny)
        steep = (slopes / usual / _STEEP).square().sum(-1)
        return (1 / (1 + steep)).nan_to_num(nan=0.0)

    def cost_of(self, errors: Float[Tensor, "nodes kinds dim"]) -> Float[Tensor, ""]:
        """Cauchy's cost of other errors at the width of these, so that the two compare."""
        each = self.width * torch.log1p(errors.square().sum(-1) / self.width)
        return (self.trust * each).sum() / self.trust.sum()

    def step(self, damping: float) -> Float[Tensor, " p"]:
        grams, gradients = self._by_node()
        return _solve(grams.sum(0), gradients.sum(0), damping)

    def left_out(
        self, theta: Float[Tensor, " p"], groupings: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "_ p"], ...]:
        """The parameters without each group of nodes in turn, to first order."""
        grams, gradients = self._by_node()
        gram, gradient = grams.sum(0), gradients.sum(0)
        return tuple(
            torch.stack(
                [
                    theta + _solve(gram - g, gradient - b, 0.0)
                    for g, b in zip(*_summed(grams, gradients, index), strict=True)
                ]
            )
            for index in groupings
        )

    def _by_node(self) -> tuple[Float[Tensor, "nodes p p"], Float[Tensor, "nodes p"]]:
        rows = (self.jacobian * self.weight[..., None, None]).flatten(1, 2)
        plain = self.jacobian.flatten(1, 2)
        grams = torch.einsum("nap,naq->npq", rows, plain)
        return grams, torch.einsum("nap,na->np", rows, self.errors.flatten(1))


def _solve(gram: Tensor, gradient: Tensor, damping: float) -> Float[Tensor, " p"]:
    """Damped normal equations with a unit diagonal; the shortest solution where singular.

    Raises:
        RefitError: they are beyond all numbers.
    """
    # what moves nothing is not moved
    size = torch.where(gram.diagonal() > 0, gram.diagonal().sqrt(), 1.0)
    scaled = gram / size / size[:, None] + damping * torch.eye(len(size), dtype=gram.dtype)
    if not bool(scaled.isfinite().all() and gradient.isfinite().all()):
        raise RefitError("a form whose motion depends on its constants beyond all numbers")
    solution = torch.linalg.lstsq(scaled, (gradient / size)[:, None], driver="gelsd").solution
    return solution[:, 0] / size


def _summed(grams: Tensor, gradients: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    groups = int(index.max()) + 1
    shape = grams.shape[1:]
    return (
        grams.new_zeros(groups, *shape).index_add(0, index, grams),
        gradients.new_zeros(groups, shape[0]).index_add(0, index, gradients),
    )


def _groupings(problem: Problem) -> tuple[Tensor, ...]:
    """Group numbers of the nodes: by system where there are many, else by time and by body."""
    windows = problem.windows
    systems, system = windows.system.unique(return_inverse=True)
    if len(systems) >= _ENOUGH_SYSTEMS:
        return (system.repeat_interleave(problem.bodies),)
    blocks = min(_TIME_BLOCKS, len(windows.start))
    order = windows.start.argsort(stable=True)
    block = torch.empty_like(order)
    block[order] = torch.arange(len(order)) * blocks // len(order)
    body = torch.arange(problem.bodies).repeat(len(windows.start))
    return (block.repeat_interleave(problem.bodies), body)


def _errors(
    model: CoupledPairs, theta: Tensor, problem: Problem
) -> Float[Tensor, "nodes kinds dim"]:
    _assign(model, theta)
    with torch.no_grad():
        errors = torch.cat([final_error(model, problem, part) for part in problem.chunks()])
    if problem.windows.path.noise is None or not bool(errors.isfinite().any()):
        return errors
    # a start that was corrected too far says nothing of the form: as bad as any outlier, no worse
    return errors.nan_to_num(nan=_LOST).clamp(-_LOST, _LOST)


def _jacobian(
    model: CoupledPairs, theta: Tensor, problem: Problem, errors: Tensor
) -> Float[Tensor, "nodes kinds dim p"]:
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


def final_error(
    model: Dynamics, problem: Problem, windows: Windows
) -> Float[Tensor, "nodes kinds dim"]:
    """Errors at the ends of the windows over the size of the acceleration."""
    errors = missed(model, problem.integrator, windows, problem.substeps)
    return (errors / acceleration_scale(windows))[:, -1].movedim(0, 1)


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
