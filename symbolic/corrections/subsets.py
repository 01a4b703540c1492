"""Which of many forces, added to a law, explain what it leaves: normal equations by body.

Errors of each body count by their own size: the cost is the mean over bodies of the logarithm of
what is left, so that no body's units or noise need be known, and none rules; weighed by how many
independent pieces of evidence each gives. With the sizes as weights that is a weighted linear fit,
repeated until they settle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_ROUNDS, _SETTLED = 60, 1e-4
_TINY = 1e-300
#: blocks that a standard error is told by at least
_LEAST_BLOCKS = 5
#: no relative error of an acceleration is known better than this, in double precision
_ROUNDING = 1e-15


@dataclass(frozen=True)
class Sums:
    """Normal equations of errors and columns, apart for each body.

    Columns have unit size. The first `always` belong to the law itself and are in every subset.
    Bodies are weighed by their `evidence`.
    """

    gram: Float[Tensor, "bodies columns columns"]
    right: Float[Tensor, "bodies columns"]
    square: Float[Tensor, " bodies"]
    count: Float[Tensor, " bodies"]
    evidence: Float[Tensor, " bodies"]
    always: int

    def fit(self, chosen: Sequence[int], left: Tensor | None = None) -> "Solution":
        """The strengths of the law's own columns and of those `chosen`, and what they leave.

        `left`, the sum of squares that a similar subset leaves of each body, is where the weights
        begin; and then where each body would be explained best by itself. The mean logarithm has
        several minima, and where a body was far off before, its weight grows back too slowly.
        """
        return self.fits([chosen], left)[0]

    def fits(
        self, subsets: Sequence[Sequence[int]], left: Tensor | None = None
    ) -> list["Solution"]:
        """As `fit`, for many subsets of equally many columns side by side: each is tiny."""
        if not subsets:
            return []
        own = range(self.always)
        index = torch.tensor([[*own, *chosen] for chosen in subsets], dtype=torch.long)
        gram = self.gram[:, index[:, :, None], index[:, None]].transpose(0, 1).contiguous()
        right = self.right[:, index].transpose(0, 1).contiguous()
        usual = self.square + self.count * _ROUNDING**2 if left is None else left
        alone = self._left(gram, right, self._solved(gram, right))
        begins = (usual.expand(len(subsets), -1), alone)
        ways = [zip(*self._settled(gram, right, begin), strict=True) for begin in begins]
        found = []
        for chosen, *both in zip(subsets, *ways, strict=True):
            x, left = min(both, key=lambda one: self.cost(one[1]))
            found.append(Solution(tuple(chosen), x, left, self.cost(left)))
        return found

    def _settled(
        self,
        gram: Float[Tensor, "subsets bodies columns columns"],
        right: Float[Tensor, "subsets bodies columns"],
        begin: Float[Tensor, "subsets bodies"],
    ) -> tuple[Float[Tensor, "subsets columns"], Float[Tensor, "subsets bodies"]]:
        """Strengths, and what they leave, from these sizes on until they no longer change."""
        strengths, left = torch.empty_like(right[:, 0]), begin.clone()
        going = torch.arange(len(gram))
        for _ in range(_ROUNDS):
            before = left[going]
            weight = self.evidence * self.count / before.clamp_min(_TINY)
            a = (weight[..., None, None] * gram).sum(1)
            b = (weight[..., None] * right).sum(1)
            x = self._solved(a[:, None], b[:, None])
            after = self._left(gram, right, x)
            strengths[going], left[going] = x[:, 0], after
            moves = ~((after / before).log().abs() < _SETTLED).all(1)
            if not bool(moves.all()):
                going, gram, right = going[moves], gram[moves], right[moves]
            if not len(going):
                break
        return strengths, left

    @staticmethod
    def _solved(
        a: Float[Tensor, "subsets some columns columns"], b: Float[Tensor, "subsets some columns"]
    ) -> Float[Tensor, "subsets some columns"]:
        """Of several normal equations; the law's own numbers may have a scale nothing tells."""
        size = a.diagonal(dim1=2, dim2=3).sqrt().clamp_min(_TINY)
        scaled = (a / size[..., None, :] / size[..., None], (b / size)[..., None])
        # one by one: in a stack, last bits depend on where a matrix lies in memory
        each = (
            torch.linalg.lstsq(*one, rcond=1e-14, driver="gelsd").solution
            for one in zip(*scaled, strict=True)
        )
        return torch.stack(list(each))[..., 0] / size

    def left_by(self, x: Float[Tensor, " some"], chosen: Sequence[int]) -> Float[Tensor, " bodies"]:
        """The sum of squares of each body that given strengths leave."""
        index = torch.tensor([*range(self.always), *chosen], dtype=torch.long)
        return self._left(self.gram[:, index][:, :, index], self.right[:, index], x[None])

    def _left(
        self,
        gram: Float[Tensor, "*subsets bodies columns columns"],
        right: Float[Tensor, "*subsets bodies columns"],
        x: Float[Tensor, "*subsets #bodies columns"],
    ) -> Float[Tensor, "*subsets bodies"]:
        """Of strengths that all bodies share, or of some for each body."""
        x = x[..., None]
        explained = (right[..., None, :] @ x)[..., 0, 0]
        left = self.square - 2 * explained + (x.mT @ gram @ x)[..., 0, 0]
        return torch.maximum(left, 1e-15 * self.square).clamp_min(0) + self.count * _ROUNDING**2

    def cost(self, left: Float[Tensor, " bodies"]) -> float:
        """Mean over bodies of the logarithm of the error that is left."""
        logs = 0.5 * (left / self.count).log()
        return float((self.evidence * logs).sum() / self.evidence.sum())

    def of_bodies(self, kept: Int[Tensor, " some"]) -> "Sums":
        """Those of some bodies only."""
        each = (self.gram, self.right, self.square, self.count, self.evidence)
        gram, right, square, count, evidence = (values[kept] for values in each)
        return Sums(gram, right, square, count, evidence, self.always)

    def less(self, other: "Sums") -> "Sums":
        """Without those of a part of the data."""
        gram, right = self.gram - other.gram, self.right - other.right
        square, count = self.square - other.square, self.count - other.count
        return Sums(gram, right, square, count, self.evidence, self.always)


@dataclass(frozen=True)
class Equations:
    """Normal equations apart for each block of time (or systems) and body, as `Sums` has them."""

    gram: Float[Tensor, "blocks bodies columns columns"]
    right: Float[Tensor, "blocks bodies columns"]
    square: Float[Tensor, "blocks bodies"]
    count: Float[Tensor, "blocks bodies"]
    evidence: Float[Tensor, " bodies"]
    always: int

    @classmethod
    def of(
        cls,
        errors: Float[Tensor, "kinds units bodies dim"],
        columns: Float[Tensor, "columns kinds units bodies dim"],
        block: Int[Tensor, " units"],
        always: int,
        used: Bool[Tensor, "units bodies"],
        evidence: Float[Tensor, " bodies"],
    ) -> "Equations":
        """`used` says which errors count."""
        parts = []
        kinds, dim = len(errors), errors.shape[-1]
        for k in range(int(block.max()) + 1):
            some = block == k
            # not multiplied by zero: an error may be no number
            kept = used[some, :, None]
            a = torch.where(kept, columns[:, :, some], 0.0).permute(3, 0, 1, 2, 4).flatten(2)
            y = torch.where(kept, errors[:, some], 0.0).permute(2, 0, 1, 3).flatten(1)
            n = kinds * dim * used[some].sum(0).to(y)
            parts.append((a @ a.mT, (a @ y[..., None])[..., 0], y.square().sum(1), n))
        gram, right, square, count = (torch.stack(each) for each in zip(*parts, strict=True))
        return cls(gram, right, square, count, evidence, always)

    @cached_property
    def total(self) -> Sums:
        """Of all blocks."""
        parts = (self.gram.sum(0), self.right.sum(0), self.square.sum(0), self.count.sum(0))
        gram, right, square, count = parts
        return Sums(gram, right, square, count, self.evidence, self.always)

    def block(self, k: int) -> Sums:
        """Of one block."""
        each = (self.gram, self.right, self.square, self.count)
        gram, right, square, count = (values[k] for values in each)
        return Sums(gram, right, square, count, self.evidence, self.always)

    def combined(self, sums: Float[Tensor, "columns new"], always: int) -> "Equations":
        """Those of sums of columns, of which the first `always` are in every subset."""
        gram = torch.einsum("cn,kbcd,dm->kbnm", sums, self.gram, sums)
        right = torch.einsum("cn,kbc->kbn", sums, self.right)
        return Equations(gram, right, self.square, self.count, self.evidence, always)

    def restricted(self, chosen: Sequence[int]) -> "Equations":
        """Those of the law's own columns and the chosen ones alone."""
        index = torch.tensor([*range(self.always), *chosen], dtype=torch.long)
        gram, right = self.gram[:, :, index][:, :, :, index], self.right[:, :, index]
        return Equations(gram, right, self.square, self.count, self.evidence, self.always)

    def errors_of(
        self, chosen: Sequence[int]
    ) -> tuple[Float[Tensor, " some"], Float[Tensor, " some"]]:
        """Standard errors of strengths by the jackknife: by blocks, and by blocks and bodies.

        The second sees what differs from body to body, as a force that is only one body's does.
        Infinite where there are fewer than five blocks with data, which tell nothing.
        """
        few = self.restricted(chosen)
        terms = range(few.always, few.always + len(chosen))
        blocks, bodies = self.square.shape
        others = [torch.tensor([b for b in range(bodies) if b != k]) for k in range(bodies)]
        ways = (
            [few.total.less(few.block(k)) for k in range(blocks)],
            [few.total.of_bodies(kept) for kept in others],
        )
        if int((self.count.sum(1) > 0).sum()) < _LEAST_BLOCKS:
            unknown = torch.full((few.gram.shape[-1],), torch.inf, dtype=self.gram.dtype)
            return unknown, unknown
        spreads = []
        for left_out in ways:
            x = torch.stack([one.fit(terms).x for one in left_out])
            spreads.append((len(x) - 1) / len(x) * (x - x.mean(0)).square().sum(0))
        return spreads[0].sqrt(), (spreads[0] + spreads[1]).sqrt()


@dataclass(frozen=True)
class Solution:
    """A subset of columns, the strengths of the law's own and of these, and what they leave."""

    chosen: tuple[int, ...]
    x: Float[Tensor, " some"]
    left: Float[Tensor, " bodies"]
    cost: float


def grown(equations: Sums, candidates: Sequence[int], most: int) -> list[Solution]:
    """The best subset of each size up to `most` that is found by adding one column, and exchanging.

    After each addition every column is tried in the place of every chosen one, until none is
    better there: near-circular orbits make wrong columns look right while others are missing.
    """
    here = equations.fit([])
    path = [here]
    for _ in range(min(most, len(candidates))):
        here = _best(equations, here.chosen, candidates, here)
        better = True
        while better and len(here.chosen) > 1:
            better = False
            for gone in here.chosen:
                kept = [k for k in here.chosen if k != gone]
                trial = _best(equations, kept, candidates, equations.fit(kept, here.left))
                if trial.cost < here.cost - _SETTLED:
                    here, better = trial, True
                    break
        path.append(here)
    return path


def _best(
    equations: Sums, chosen: Sequence[int], candidates: Sequence[int], near: Solution
) -> Solution:
    others = [k for k in candidates if k not in chosen]
    if not others:
        raise ValueError("no candidate was given that is not chosen already")
    found = equations.fits([[*chosen, k] for k in others], near.left)
    return min(found, key=lambda s: s.cost)
