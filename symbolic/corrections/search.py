"""The search for what an accepted law leaves over: which pair forces beside it, and how strong."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.terms import KINDS, Term
from gnsim.state import State
from gnsim.symbolic.corrections.columns import of_monomials, of_terms
from gnsim.symbolic.corrections.linearised import Linearised, evidence_of, usual
from gnsim.symbolic.corrections.monomials import Monomial, monomials
from gnsim.symbolic.corrections.own_numbers import changes, numbers
from gnsim.symbolic.corrections.statement import Correction, Statement
from gnsim.symbolic.corrections.subsets import Equations, Sums, grown
from gnsim.symbolic.law import Law
from gnsim.symbolic.problem import Problem

#: terms that are tried together at most
_MOST = 6
#: by how much the logarithms of the held-out errors of all bodies together must fall for each new
#: constant; in noise, by how much that of the likelihood of all held-out errors must rise
_GAIN, _LIKELIER = 0.3, 5.0
#: share of its error that is left of a body that a correction explains, at most; and below which a
#: correction claims nothing
_EXPLAINED, _CLAIMED = 0.5, 0.01
#: share of the mean evidence below which a body says nothing for or against a correction
TELLING = 0.3


@dataclass(frozen=True)
class Further:
    """A force beside a correction, the place of a body that the correction explains, and the share
    of what is left of it on held-out windows that would still be left beside that force."""

    term: Monomial
    body: int
    share: float


@dataclass(frozen=True)
class Searched:
    """Errors of the law with its own numbers refitted, and the corrections that were tried.

    Errors are means over bodies of the logarithm of what is left, on the training and on the
    held-out windows. `chosen` is None where nothing beside the law is determined and lowers the
    held-out error. `rivals` are the held-out errors beside a force on each body by itself, which no
    correction can say: where one of them explains as much, a pair force may be its imitation.
    `columns` are those of the forces that act, in the normal equations of both parts.
    """

    alone: tuple[float, float]
    tried: tuple[Correction, ...]
    chosen: Correction | None
    rivals: Mapping[Term, float]
    columns: Mapping[Monomial, int]
    train: Sums
    held_out: Sums

    @property
    def rival(self) -> Term | None:
        """A force on each body by itself that explains no less than the correction."""
        best = min(self.rivals, key=self.rivals.__getitem__, default=None)
        least = self.alone[1] if self.chosen is None else self.chosen.held_out
        return None if best is None or self.rivals[best] > least - self._telling else best

    def further(self, terms: Collection[Monomial]) -> Further | None:
        """The force that would lower most what a correction of these terms leaves of a body.

        Of bodies of whose errors the terms explain half at least, and not all but a hundredth: of
        others who knows, and forces below a hundredth of a correction are none of its business. Nor
        of those that give little evidence, which a further force may imitate.
        """
        chosen = [self.columns[term] for term in terms]
        nothing = self.held_out.left_by(self.train.fit([]).x, [])
        here = self.train.fit(chosen)
        left = self.held_out.left_by(here.x, chosen)
        explained = (left < _EXPLAINED**2 * nothing) & (left > _CLAIMED**2 * nothing)
        explained &= self.train.evidence >= TELLING
        others = [term for term in self.columns if term not in terms]
        if not others or not bool(explained.any()):
            return None
        each = [[*chosen, self.columns[term]] for term in others]
        fits = self.train.fits(each, here.left)
        beside = [self.held_out.left_by(one.x, one.chosen) for one in fits]
        share = torch.where(explained, (torch.stack(beside) / left).sqrt(), torch.inf)
        term, body = divmod(int(share.argmin()), len(left))
        return Further(others[term], body, float(share[term, body]))

    @property
    def _telling(self) -> float:
        """Without a correction, a rival must explain as much as would be worth a constant."""
        return 0.0 if self.chosen is not None else _GAIN


def search(law: Law, train: Problem, held_out: Problem, attributes: Sequence[str]) -> Searched:
    """What pair forces, functions of distance and relative velocity, a law leaves out.

    From the simplest up, a correction with more constants is chosen only where each constant is
    five standard errors from zero, by blocks of time (or systems) and by bodies, and held-out
    errors fall enough for each. The law's own numbers are free beside all of them.

    Raises:
        IntegrationError: the law cannot be followed through a window.
    """
    own, tried, single = numbers(law), monomials(law, attributes), single_bodies(law, attributes)
    of_pairs, of_bodies = of_monomials(tried, law), of_terms(single)

    def forces(state: State) -> Float[Tensor, "forces nodes dim"]:
        return torch.cat([changes(law, own, state), of_pairs(state), of_bodies(state)])

    data, other = (Linearised(law, problem, forces) for problem in (train, held_out))
    size, always, evidence = data.sizes, len(own), evidence_of(train)
    whole = torch.ones(data.errors.shape[1:3], dtype=torch.bool)
    first = data.equations(size, always, whole & usual(data.errors), evidence)
    x = first.total.fit([]).x / size[:always]
    used = [usual(part.without(x)) for part in (data, other)]
    equations, others = (
        part.equations(size, always, u, evidence)
        for part, u in zip((data, other), used, strict=True)
    )
    acting = (data.columns != 0).flatten(1).any(1).tolist()
    candidates = {term: always + k for k, term in enumerate(tried) if acting[always + k]}
    worth = worth_of_a_constant(held_out)
    statement = Statement(law, own, tried, size, equations, others, worth)
    subsets = grown(equations.total, list(candidates.values()), _MOST)
    nothing, *found = map(statement.of, subsets)
    chosen = _chosen(nothing, found, worth)
    columns_of = _places(single, always + len(tried))
    rivals = {term: _held_out(equations, others, where) for term, where in columns_of.items()}
    errors = (nothing.cost, nothing.held_out)
    sums = (equations.total, others.total)
    return Searched(errors, tuple(found), chosen, rivals, candidates, *sums)


def worth_of_a_constant(held_out: Problem) -> float:
    """By how much the mean logarithm of the held-out error must fall for it."""
    if not held_out.noisy:
        return _GAIN / held_out.bodies
    return _LIKELIER / (len(held_out.windows.start) * held_out.bodies * held_out.windows.path.dim)


def single_bodies(law: Law, attributes: Sequence[str]) -> list[Term]:
    """Forces on each body by itself that `law` has not, by themselves and times an attribute."""
    known = {term.name for term in law.terms}
    weights = ["", *sorted({*attributes, *law.hidden})]
    kinds = [k for k in KINDS.values() if not k.of_pairs and law.dim in k.dims]
    all_terms = [Term(kind.name, law.dim, weight) for kind in kinds for weight in weights]
    return [term for term in all_terms if term.name not in known]


def _chosen(nothing: Correction, found: Sequence[Correction], worth: float) -> Correction | None:
    """The last that is determined, and gains what its constants are worth."""
    chosen, best = None, nothing
    for correction in found:
        more = max(1, len(correction.constants) - len(best.constants))
        if correction.determined and best.held_out - correction.held_out > worth * more:
            best = chosen = correction
    return chosen


def _places(terms: Sequence[Term], first: int) -> dict[Term, list[int]]:
    """The columns of the coefficients of each term, which stand one after the other."""
    found = {}
    for term in terms:
        found[term] = list(range(first, first + len(term.symbols)))
        first += len(term.symbols)
    return found


def _held_out(equations: Equations, others: Equations, chosen: Sequence[int]) -> float:
    """The held-out error beside these columns."""
    total = others.total
    return total.cost(total.left_by(equations.total.fit(chosen).x, chosen))
