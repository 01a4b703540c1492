"""Forces that explain what is left, among many that nearly do; dimensions and simple ratios."""

from itertools import combinations, pairwise

import pytest
import torch

from gnsim.symbolic.corrections.structure import simple_multiples
from gnsim.symbolic.corrections.subsets import Equations, Sums, grown

UNITS, BODIES, COLUMNS = 400, 3, 12
EVEN = torch.ones(BODIES, dtype=torch.float64)
NOISE = 1e-3


def equations(strengths: dict[int, float], noise: float = NOISE) -> Equations:
    """Columns of which every third is nearly a sum of its neighbours."""
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(COLUMNS, 1, UNITS, BODIES, 2, generator=generator, dtype=torch.float64)
    columns[2::3] = columns[1::3] + columns[::3] + 0.3 * columns[2::3]
    errors = noise * torch.randn(columns.shape[1:], generator=generator, dtype=torch.float64)
    # the second body is a hundred times as noisy as the others
    errors[:, :, 1] *= 100
    for k, strength in strengths.items():
        errors = errors + strength * columns[k]
    block = torch.arange(UNITS) * 10 // UNITS
    return Equations.of(
        errors, columns, block, 0, torch.ones(UNITS, BODIES, dtype=torch.bool), EVEN
    )


def test_the_right_columns_are_found_one_after_the_other() -> None:
    path = grown(equations({2: 1.0, 7: -0.5}).total, range(COLUMNS), 3)
    assert [len(solution.chosen) for solution in path] == [0, 1, 2, 3]
    assert set(path[2].chosen) == {2, 7}
    assert dict(zip(path[2].chosen, path[2].x.tolist(), strict=True)) == pytest.approx(
        {2: 1.0, 7: -0.5}, abs=3e-4
    )
    gains = [one.cost - other.cost for one, other in pairwise(path)]
    assert gains[0] > 0.1 and gains[1] > 1 and gains[2] < 0.02


def random_sums(seed: int, rank: int, always: int = 0) -> Sums:
    """Of eight columns that are sums of `rank` independent ones."""
    generator = torch.Generator().manual_seed(seed)
    few = torch.randn(BODIES, rank, UNITS, generator=generator, dtype=torch.float64)
    mixed = torch.randn(8, 8, generator=generator, dtype=torch.float64)[:, :rank] @ few
    y = mixed[:, 0] + 0.1 * torch.randn(BODIES, UNITS, generator=generator, dtype=torch.float64)
    count = torch.full((BODIES,), float(UNITS), dtype=torch.float64)
    right, square = (mixed @ y[..., None])[..., 0], y.square().sum(1)
    return Sums(mixed @ mixed.mT, right, square, count, EVEN, always)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("always", [0, 2])
@pytest.mark.parametrize("rank", [1, 2, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_side_by_side_and_alone_are_the_same_to_the_bit(
    seed: int, rank: int, always: int, begun: bool
) -> None:
    """Also where columns depend on each other, and nothing tells their strengths apart."""
    sums = random_sums(seed, rank, always)
    left = sums.fit([]).left if begun else None
    for size in (0, 1, 3):
        subsets = list(combinations(range(always, 8), size))
        found = sums.fits(subsets, left)
        assert [one.chosen for one in found] == subsets
        for together, chosen in zip(found, subsets, strict=True):
            alone = sums.fit(chosen, left)
            assert torch.equal(together.x, alone.x)
            assert torch.equal(together.left, alone.left)
            assert together.cost == alone.cost


def test_of_nothing_there_is_no_best() -> None:
    sums = random_sums(0, 8)
    assert sums.fits([]) == []
    with pytest.raises(ValueError, match="no candidate was given"):
        # the same column twice: once it is chosen, nothing is left to add
        grown(sums, [3, 3], 2)


def test_a_noisy_body_has_no_say() -> None:
    """Weighed alike, the noise of the second one would rule the strengths."""
    found = equations({2: 1.0})
    weighed = found.total.fit([2]).x[0]
    total = found.total
    alike = (total.right.sum(0)[2] / total.gram.sum(0)[2, 2]).item()
    assert abs(float(weighed) - 1) < abs(alike - 1)


def test_standard_errors_are_those_of_the_noise() -> None:
    equation = equations({2: 1.0})
    by_blocks, _ = equation.errors_of([2])
    size = float(equation.gram.sum(0)[0, 2, 2] + equation.gram.sum(0)[2, 2, 2]) ** 0.5
    assert float(by_blocks) == pytest.approx(NOISE / size, rel=0.6)


def test_what_one_body_alone_feels_is_no_force_of_pairs() -> None:
    """By sums of squares it would be: a third of a strength of one."""
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(1, 1, UNITS, BODIES, 2, generator=generator, dtype=torch.float64)
    errors = NOISE * torch.randn(columns.shape[1:], generator=generator, dtype=torch.float64)
    errors[:, :, 0] += columns[0, :, :, 0]
    block = torch.arange(UNITS) * 10 // UNITS
    total = Equations.of(
        errors, columns, block, 0, torch.ones(UNITS, BODIES, dtype=torch.bool), EVEN
    ).total
    assert abs(float(total.fit([0]).x)) < 3 * NOISE
    assert float(total.right.sum() / total.gram.sum()) > 0.3


def test_what_is_no_number_has_no_say() -> None:
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(2, 1, UNITS, BODIES, 2, generator=generator, dtype=torch.float64)
    errors = 0.5 * columns[0]
    used = torch.ones(UNITS, BODIES, dtype=torch.bool)
    errors[:, 3, 1], used[3, 1] = torch.nan, False
    block = torch.arange(UNITS) * 10 // UNITS
    found = Equations.of(errors, columns, block, 0, used, EVEN)
    assert float(found.total.fit([0]).x) == pytest.approx(0.5)
    spoiled = Equations.of(errors, columns, block, 0, torch.ones_like(used), EVEN)
    assert not bool(spoiled.total.square.isfinite().all())


def test_few_blocks_tell_no_standard_errors() -> None:
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(1, 1, UNITS, BODIES, 2, generator=generator, dtype=torch.float64)
    used = torch.ones(UNITS, BODIES, dtype=torch.bool)
    few, many = (
        Equations.of(0.5 * columns[0], columns, torch.arange(UNITS) * k // UNITS, 0, used, EVEN)
        for k in (3, 10)
    )
    assert bool(torch.isinf(few.errors_of([0])[1]).all())
    assert bool(torch.isfinite(many.errors_of([0])[1]).all())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-4.02, -3.0, 1.0, -3.99], [-4, -3, 1, -4]),
        ([2.0, 1.0], [2, 1]),
        ([0.5, 0.75], [2, 3]),
        ([1.0, 3.14159], None),
    ],
)
def test_simple_ratios_are_whole_numbers(values: list[float], expected: list[int] | None) -> None:
    found = simple_multiples(values, 0)
    assert found == expected or (found is not None and [-k for k in found] == expected)


def test_a_body_that_is_far_off_at_first_is_not_given_up() -> None:
    """The mean logarithm has a minimum for each body that is given up."""
    generator = torch.Generator().manual_seed(1)
    columns = torch.randn(2, 1, UNITS, BODIES, 2, generator=generator, dtype=torch.float64)
    columns[1, :, :, 1:] = 0.0
    errors = 1e-6 * torch.randn(columns.shape[1:], generator=generator, dtype=torch.float64)
    errors = errors + columns[0] + columns[1]
    block = torch.arange(UNITS) * 10 // UNITS
    used = torch.ones(UNITS, BODIES, dtype=torch.bool)
    total = Equations.of(errors, columns, block, 0, used, EVEN).total
    begun = torch.tensor([1e6, 1e-9, 1e-9], dtype=torch.float64)
    assert total.fit([0, 1], begun).x.tolist() == pytest.approx([1.0, 1.0], abs=1e-6)


def test_more_evidence_weighs_more() -> None:
    """Two bodies ask for different strengths: the one with more evidence has its way."""
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(1, 1, UNITS, 2, 2, generator=generator, dtype=torch.float64)
    errors = columns[0] * torch.tensor([1.0, 2.0], dtype=torch.float64)[:, None]
    block = torch.arange(UNITS) * 10 // UNITS
    used = torch.ones(UNITS, 2, dtype=torch.bool)
    for evidence, wanted in (([1.9, 0.1], 1.0), ([0.1, 1.9], 2.0)):
        weights = torch.tensor(evidence, dtype=torch.float64)
        total = Equations.of(errors, columns, block, 0, used, weights).total
        assert float(total.fit([0]).x) == pytest.approx(wanted, abs=1e-3)
