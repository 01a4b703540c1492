"""From a subset of forces to a correction: with as few constants as explain as much."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import sympy
import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.state import Units
from gnsim.symbolic.corrections.monomials import Monomial
from gnsim.symbolic.corrections.own_numbers import Number
from gnsim.symbolic.corrections.structure import Scale, scale_of, simple_multiples
from gnsim.symbolic.corrections.subsets import Equations, Solution
from gnsim.symbolic.law import Constant, Law
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.text import force_text

#: standard errors by which a constant must differ from zero
DETERMINED = 5.0
#: share of what a constant is worth by which the error may rise for a term whose dimensions fit
_ALIKE = 0.3
#: names of the constant that has the dimension of a velocity, and of those of single terms
_VELOCITY, _SINGLE = "c", "k"
#: terms that a shared constant is for, at least
_SHARING = 2
#: standard errors by which strengths may be off simple ratios
_AGREEING = 3.0


@dataclass(frozen=True)
class Correction:
    """Terms beside a law with their strengths, as `radial` and `transverse` force of a pair.

    `constants` are the new ones: with the dimension of a velocity where terms share it. `of` holds
    the terms of each. `cost` and `held_out` are the mean over bodies of the logarithm of the
    relative error, on the training and on the held-out windows.
    """

    of: Mapping[str, tuple[Monomial, ...]]
    radial: sympy.Expr
    transverse: sympy.Expr
    constants: dict[str, Constant]
    cost: float
    held_out: float

    @property
    def terms(self) -> tuple[Monomial, ...]:
        """Of all constants."""
        return tuple(term for terms in self.of.values() for term in terms)

    @property
    def determined(self) -> bool:
        """Whether all new constants are five standard errors from zero."""
        return not vague(self.constants)

    @property
    def text(self) -> tuple[str, str]:
        """`radial` and `transverse`, each in one line."""
        return force_text(self.radial), force_text(self.transverse)

    def beside(self, law: Law) -> Law:
        """`law` with this correction on top, its own numbers as they were."""
        return replace(
            law,
            constants={**law.constants, **self.constants},
            radial=law.radial_expr + self.radial,
            transverse=law.transverse_expr + self.transverse,
            verdict=None,
            complexity=None,
            loss=None,
        )


def vague(constants: Mapping[str, Constant]) -> list[str]:
    """Names of those that are not five standard errors from zero, or whose errors nobody knows."""
    return [
        name
        for name, c in constants.items()
        if c.stderr is None or not abs(c.value) > DETERMINED * c.stderr
    ]


@dataclass(frozen=True)
class _Part:
    """Terms that share one new constant, by the whole numbers and powers that stand before it."""

    name: str
    terms: tuple[int, ...]
    multiples: tuple[int, ...]
    scales: tuple[Scale | None, ...]


@dataclass(frozen=True)
class Statement:
    """Turns subsets of columns into corrections with as few constants as explain as much.

    The columns are those of the law's `own` numbers and of the forces `tried`, in units of their
    `size`. A constant is `worth` a change of the mean logarithm of the error.
    """

    law: Law
    own: Sequence[Number]
    tried: Sequence[Monomial]
    size: Float[Tensor, " columns"]
    train: Equations
    held_out: Equations
    worth: float

    def of(self, solution: Solution) -> Correction:
        """The correction that a subset says, with terms whose dimensions fit where these do.

        Of ratios of two numbers, 40 % are within a fiftieth of a simple one by chance: where only
        two terms share a constant, that must also cost no more than the constant is worth.
        """
        solution = self._with_fitting_dimensions(solution)
        free, parts = self._fitted(self._separate(solution.chosen)), self._shared(solution)
        shared = self._fitted(parts)
        few = max((len(part.terms) for part in parts), default=0) <= _SHARING
        saved = len(free.constants) - len(shared.constants)
        return free if few and shared.cost > free.cost + self.worth * saved else shared

    def _free_names(self, stem: str) -> Iterator[str]:
        """``k0, k1, ...`` as far as the law has no constants of these names."""
        return (n for k in count() if (n := f"{stem}{k}") not in self.law.constants)

    def _with_fitting_dimensions(self, solution: Solution) -> Solution:
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
            near = [s for s in others if s.cost <= solution.cost + _ALIKE * self.worth]
            solution = min(near, key=lambda s: s.cost, default=solution)
        return solution

    def _separate(self, chosen: Sequence[int]) -> list[_Part]:
        """A constant for each term."""
        names = zip(self._free_names(_SINGLE), chosen, strict=False)
        return [_Part(name, (k,), (1,), (None,)) for name, k in names]

    def _shared(self, solution: Solution) -> list[_Part]:
        """One constant for the terms whose dimensions allow it, where they stand in simple ratios.

        Of several powers of it, for those of the one that most terms have. One term alone says
        nothing of a velocity. The velocity is that for which the whole numbers before the terms
        have no common divisor.
        """
        scales = {k: scale_of(self.tried[k - len(self.own)], self.law) for k in solution.chosen}
        powers = [scale.e for scale in scales.values() if scale]
        e = max(sorted(set(powers)), key=powers.count, default=0)
        group = [k for k, scale in scales.items() if scale and scale.e == e]
        if len(group) < _SHARING:
            return self._separate(solution.chosen)
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
        if multiples is None or not _agree(values, doubt, multiples):
            return self._separate(solution.chosen)
        if values[0] * multiples[0] < 0:
            multiples = [-m for m in multiples]
        rest = [k for k in solution.chosen if k not in group]
        taken = _VELOCITY in self.law.constants
        name = next(self._free_names(_VELOCITY)) if taken else _VELOCITY
        together = _Part(name, tuple(group), tuple(multiples), tuple(scales[k] for k in group))
        return [together, *self._separate(rest)]

    def _fitted(self, parts: Sequence[_Part]) -> Correction:
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
        terms = {p.name: tuple(self.tried[k - always] for k in p.terms) for p in parts}
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


def _agree(values: Sequence[float], doubt: Sequence[float], multiples: Sequence[int]) -> bool:
    """Whether `values`, of relative errors `doubt`, are in the ratios of `multiples`.

    Within three standard errors, of the one that is known best too.
    """
    best = list(doubt).index(min(doubt))
    off = [
        value * multiples[best] / (values[best] * multiple) - 1
        for value, multiple in zip(values, multiples, strict=True)
    ]
    return all(
        abs(o) <= _AGREEING * (d**2 + doubt[best] ** 2) ** 0.5
        for o, d in zip(off, doubt, strict=True)
    )


def _constant(part: _Part, strength: float, error: float, units: Units) -> Constant:
    """The new constant from the strength before the terms that share it."""
    scale = part.scales[0]
    if scale is None:
        return Constant(strength, error)
    value = abs(strength) ** (-1 / scale.e)
    known = units.length and units.time
    unit = f"{units.length} / {units.time}" if known else ""
    return Constant(value, value * error / abs(strength) / scale.e, unit)
