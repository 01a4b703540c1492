"""The search for what an accepted law leaves over: which pair forces beside it, and how strong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import sympy
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnsim.state import State, Units
from gnsim.symbolic.corrections.columns import columns, of_monomials
from gnsim.symbolic.corrections.monomials import Monomial, monomials
from gnsim.symbolic.corrections.own_numbers import Number, changes, numbers
from gnsim.symbolic.corrections.structure import Scale, scale_of, simple_multiples
from gnsim.symbolic.corrections.subsets import Equations, Solution, grown
from gnsim.symbolic.law import Constant, Law
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.text import force_text
from gnsim.symbolic.window_errors import signed_errors

#: terms that are tried together at most
_MOST = 6
#: blocks of time, or groups of systems, for standard errors
_BLOCKS = 20
#: by how much the logarithm of the held-out error must fall for each new constant
_GAIN = 0.03
#: standard errors by which a constant must differ from zero
_DETERMINED = 5.0
#: errors this many times the median of their body, beside the law alone, have no say
_OUTLIER = 20.0
#: by how much less likely a term may be whose dimensions fit, in the same logarithm
_ALIKE = 0.01
#: name of the constant that has the dimension of a velocity, and of those of single terms
VELOCITY, _SINGLE = "c", "k"


@dataclass(frozen=True)
class Correction:
    """Terms beside a law with their strengths, as `radial` and `transverse` force of a pair.

    `constants` are the new ones: with the dimension of a velocity where the terms share it.
    `cost` and `held_out` are the mean over bodies of the logarithm of the relative error, on the
    training and on the held-out windows.
    """

    terms: tuple[Monomial, ...]
    radial: sympy.Expr
    transverse: sympy.Expr
    constants: dict[str, Constant]
    cost: float
    held_out: float

    @property
    def determined(self) -> bool:
        """Whether all new constants are five standard errors from zero."""
        return all(abs(c.value) > _DETERMINED * (c.stderr or 0.0) for c in self.constants.values())

    @property
    def text(self) -> tuple[str, str]:
        """`radial` and `transverse`, each in one line."""
        return force_text(self.radial), force_text(self.transverse)

    def beside(self, law: Law) -> Law:
        """`law` with this correction, its own numbers as they were."""
        constants = {**law.constants, **self.constants}
        return replace(
            law,
            constants=constants,
            radial=self.radial,
            transverse=self.transverse,
            verdict=None,
            complexity=None,
        )


@dataclass(frozen=True)
class Searched:
    """Errors of the law with its own numbers refitted, and the corrections that were tried.

    `chosen` is None where nothing beside the law is determined and lowers the held-out error.
    """

    alone: tuple[float, float]
    tried: tuple[Correction, ...]
    chosen: Correction | None


class _Data:
    """Errors of a law in windows of one part of the data, and what each force would change."""

    def __init__(self, law: Law, problem: Problem, forces: Callable[[State], Tensor]) -> None:
        dynamics = law.dynamics()
        problem = problem.settled(dynamics)
        bodies = problem.bodies
        errors = signed_errors(dynamics, problem).movedim(1, 0)
        self.errors = errors.view(len(errors), -1, bodies, errors.shape[-1])
        found = columns(dynamics, problem, forces)
        self.columns = found.view(len(found), *self.errors.shape)
        self.block = blocks_of(problem)

    def without(self, x: Float[Tensor, " numbers"]) -> Tensor:
        """What the law leaves when its own numbers, whose columns come first, move by `x`."""
        return self.errors - torch.einsum("c,ckubd->kubd", x, self.columns[: len(x)])

    def equations(self, size: Tensor, always: int, used: Bool[Tensor, "units bodies"]) -> Equations:
        scaled = self.columns / size.view(-1, 1, 1, 1, 1)
        return Equations.of(self.errors, scaled, self.block, always, used.to(scaled))


def search(law: Law, train: Problem, held_out: Problem, attributes: Sequence[str]) -> Searched:
    """What pair forces, functions of distance and relative velocity, a law leaves out.

    From the simplest up, a correction with more constants is chosen only where each constant is
    five standard errors from zero, by blocks of time (or systems) and by bodies, and the held-out
    error falls by 3 % for each. The law's own numbers are free beside all of them.
    """
    own, tried = numbers(law), monomials(law, attributes)
    of_terms = of_monomials(tried)

    def forces(state: State) -> Float[Tensor, "forces nodes dim"]:
        return torch.cat([changes(law, own, state), of_terms(state)])

    data, other = (_Data(law, problem, forces) for problem in (train, held_out))
    size = data.columns.square().mean((1, 2, 3, 4)).sqrt()
    size = torch.where(size > 0, size, 1.0)
    whole = torch.ones(data.errors.shape[1:3], dtype=torch.bool)
    alone = data.equations(size, len(own), whole).total.fit([])
    x = alone.x / size[: len(own)]
    used = [usual(part.without(x)) for part in (data, other)]
    equations, others = (
        part.equations(size, len(own), u) for part, u in zip((data, other), used, strict=True)
    )
    finite = [k for k in range(len(tried)) if bool((data.columns[len(own) + k] != 0).any())]
    path = grown(equations.total, [len(own) + k for k in finite], _MOST)
    statement = _Statement(law, own, tried, size, equations, others)
    nothing, *found = [statement.of(solution) for solution in path]
    chosen, best = None, nothing
    for correction in found:
        gained = best.held_out - correction.held_out
        more = len(correction.constants) - len(best.constants)
        if correction.determined and gained > _GAIN * max(1, more):
            best = chosen = correction
    return Searched((nothing.cost, nothing.held_out), tuple(found), chosen)


def usual(errors: Tensor) -> Bool[Tensor, "units bodies"]:
    """Where errors are not many times what they usually are for that body."""
    lengths = errors.square().sum((0, 3)).sqrt()
    return lengths <= _OUTLIER * lengths.median(0).values


def blocks_of(problem: Problem) -> Int[Tensor, " windows"]:
    """Blocks of systems where there are many, else of time, in which windows are alike."""
    windows = problem.windows
    systems, system = windows.system.unique(return_inverse=True)
    if len(systems) >= _BLOCKS:
        return system * _BLOCKS // len(systems)
    order = windows.start.argsort(stable=True)
    block = torch.empty_like(order)
    block[order] = torch.arange(len(order)) * min(_BLOCKS, len(order)) // len(order)
    return block


@dataclass(frozen=True)
class _Part:
    """Terms that share one new constant, by the whole numbers and powers that stand before it."""

    name: str
    terms: tuple[int, ...]
    multiples: tuple[int, ...]
    scales: tuple[Scale | None, ...]


@dataclass(frozen=True)
class _Statement:
    """Turns subsets of columns into corrections with as few constants as explain as much."""

    law: Law
    own: Sequence[Number]
    tried: Sequence[Monomial]
    size: Float[Tensor, " columns"]
    train: Equations
    held_out: Equations

    def of(self, solution: Solution) -> Correction:
        """The correction that a subset says, with terms whose dimensions fit where these do."""
        solution = self._fitting(solution)
        free = self._told(self._apart(solution))
        shared = self._told(self._shared(solution))
        saved = len(free.constants) - len(shared.constants)
        return shared if shared.cost <= free.cost + _GAIN * saved else free

    def _fitting(self, solution: Solution) -> Solution:
        """With each term exchanged for one of fitting dimensions that explains as much."""
        always = len(self.own)
        fits = [always + k for k, t in enumerate(self.tried) if scale_of(t, self.law)]
        for gone in solution.chosen:
            if gone in fits:
                continue
            kept = [k for k in solution.chosen if k != gone]
            others = [
                self.train.total.fit([*kept, k], solution.left)
                for k in fits
                if k not in solution.chosen
            ]
            near = [s for s in others if s.cost <= solution.cost + _ALIKE]
            solution = min(near, key=lambda s: s.cost, default=solution)
        return solution

    def _apart(self, solution: Solution) -> list[_Part]:
        """A constant for each term."""
        return [_Part(f"{_SINGLE}{n}", (k,), (1,), (None,)) for n, k in enumerate(solution.chosen)]

    def _shared(self, solution: Solution) -> list[_Part]:
        """One constant for the terms whose dimensions allow it, where they stand in simple ratios.

        Of several powers of it, for those of the one that most terms have.
        """
        scales = {k: scale_of(self.tried[k - len(self.own)], self.law) for k in solution.chosen}
        powers = [scale.e for scale in scales.values() if scale]
        if not powers:
            return self._apart(solution)
        e = max(sorted(set(powers)), key=powers.count)
        group = [k for k, scale in scales.items() if scale and scale.e == e]
        strengths = solution.x[len(self.own) :] / self.size[list(solution.chosen)]
        errors = self.train.errors_of(solution.chosen)[1][len(self.own) :]
        sure = (errors / solution.x[len(self.own) :].abs()).tolist()
        values, doubt = [], []
        for k in group:
            place, scale = solution.chosen.index(k), scales[k]
            strength = self.law.constants[scale.strength].value ** scale.a if scale else 1.0
            values.append(float(strengths[place]) / strength)
            doubt.append(sure[place])
        multiples = simple_multiples(values, doubt.index(min(doubt)))
        if multiples is None:
            return self._apart(solution)
        if values[0] * multiples[0] < 0:
            multiples = [-m for m in multiples]
        rest = [k for k in solution.chosen if k not in group]
        together = _Part(VELOCITY, tuple(group), tuple(multiples), tuple(scales[k] for k in group))
        return [
            together,
            *(_Part(f"{_SINGLE}{n}", (k,), (1,), (None,)) for n, k in enumerate(rest)),
        ]

    def _told(self, parts: Sequence[_Part]) -> Correction:
        """Fitted, with standard errors, as expressions."""
        always = len(self.own)
        sums = torch.zeros(len(self.size), always + len(parts), dtype=torch.float64)
        sums[:always, :always] = torch.eye(always)
        for n, part in enumerate(parts):
            for k, factor in zip(part.terms, self._factors(part), strict=True):
                sums[k, always + n] = factor * self.size[k]
        scale = sums.abs().amax(0).clamp_min(torch.finfo(sums.dtype).tiny)
        train, held_out = (e.combined(sums / scale, always) for e in (self.train, self.held_out))
        new = range(always, always + len(parts))
        solution = train.total.fit(new)
        errors = train.errors_of(new)[1] / scale
        x = solution.x / scale
        constants, radial, transverse = {}, sympy.S.Zero, sympy.S.Zero
        for n, part in enumerate(parts):
            value, error = float(x[always + n]), float(errors[always + n])
            constants[part.name] = _constant(part, value, error, self.law.units)
            along, across = self._force(part)
            radial, transverse = radial + along, transverse + across
        left = held_out.total.left_by(solution.x, new)
        terms = tuple(self.tried[k - always] for part in parts for k in part.terms)
        return Correction(
            terms, radial, transverse, constants, solution.cost, held_out.total.cost(left)
        )

    def _factors(self, part: _Part) -> list[float]:
        """The numbers that the columns of a part are added up with."""
        return [
            multiple * (self.law.constants[scale.strength].value ** scale.a if scale else 1.0)
            for multiple, scale in zip(part.multiples, part.scales, strict=True)
        ]

    def _force(self, part: _Part) -> tuple[sympy.Expr, sympy.Expr]:
        """Along and across, in the law's constants and the new one."""
        new = symbol(part.name)
        sums = [sympy.S.Zero, sympy.S.Zero]
        for k, multiple, scale in zip(part.terms, part.multiples, part.scales, strict=True):
            strength = new if scale is None else symbol(scale.strength) ** scale.a / new**scale.e
            for place, expr in enumerate(self.tried[k - len(self.own)].components):
                sums[place] += multiple * strength * expr
        return sums[0], sums[1]


def _constant(part: _Part, strength: float, error: float, units: Units) -> Constant:
    """The new constant from the strength before the terms that share it."""
    scale = part.scales[0]
    if scale is None:
        return Constant(strength, error)
    value = abs(strength) ** (-1 / scale.e)
    known = units.length and units.time
    unit = f"{units.length} / {units.time}" if known else ""
    return Constant(value, value * error / abs(strength) / scale.e, unit)
