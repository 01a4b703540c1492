"""Messages that a network has wrong by percents are right after the trajectories had their say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnsim.datasets.systems import simulate
from gnsim.datasets.systems.truth import integrate
from gnsim.integrators import Integrator, KahanLi6, Yoshida4
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.pairwise import Attributes, PairPotential, PairwiseHamiltonian
from gnsim.noise import as_noisy_as
from gnsim.state import Trajectory
from gnsim.symbolic.curves import one_curve
from gnsim.symbolic.messages import MessageTable, sample_messages
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.sharpen import Curve, sharpened
from gnsim.windows import WindowSampler

BODIES = 3
SETTINGS = {"trajectories": 24, "bodies": BODIES, "dim": 2, "frames": 25}
NONE = Structure("none")
ONE = torch.ones(1, dtype=torch.float64)


def spring(r: torch.Tensor) -> torch.Tensor:
    return 2.0 * (r - 1.0)


class OffBySome(PairPotential):
    """A spring as a network has it."""

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off = off

    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return spring(r) + self.off * torch.sin(4 * r)


def network(off: float) -> CoupledPairs:
    model = CoupledPairs(OffBySome(off), NONE, BODIES).double()
    model.x = torch.ones_like(model.x)
    return model


#: fourth order: a third of the cost, where more than the error of its steps is at stake
CHEAP = Yoshida4()


def problems(
    path: Trajectory, steps: int = 4, by: Integrator | None = None
) -> tuple[Problem, Problem]:
    by = by or KahanLi6()
    train, held_out = path.systems(torch.arange(18)), path.systems(torch.arange(18, 24))
    return (
        Problem.of(train, steps, 90, by, 1),
        Problem.of(as_noisy_as(train, held_out), steps, 30, by, 1),
    )


def springs(**more: float) -> Trajectory:
    return simulate("spring", **{**SETTINGS, **more}, equal_masses=True)


def shaken(path: Trajectory, noise: float) -> Trajectory:
    generator = torch.Generator().manual_seed(0)
    of_q, of_v = noise * torch.randn(2, *path.q.shape, generator=generator, dtype=torch.float64)
    return replace(path, q=path.q + of_q, p=path.p + path.mass[:, None] * of_v)


def sampled(model: CoupledPairs, path: Trajectory, count: int = 400) -> MessageTable:
    return sample_messages(model, WindowSampler(path, 1), count, 0)


def values(curve: Curve, r: np.ndarray) -> np.ndarray:
    return curve.columns(r) @ curve.coefficients


def off(table: MessageTable) -> float:
    """The median error of messages about springs, by the usual size of the force."""
    true = spring(torch.from_numpy(table.X[:, 0])).numpy()
    return float(np.median(np.abs(table.y - true)) / np.median(np.abs(true)))


def test_messages_of_springs_become_a_thousand_times_better() -> None:
    path, model = springs(), network(0.1)
    table = sampled(model, path)
    found = sharpened(table, model, NONE, ONE, *problems(path))
    assert found is not None
    assert off(table) > 0.02
    assert off(found) < 2e-5
    assert found.names == table.names and len(found.y) == len(found.X) > 0.9 * len(table.y)


def test_noise_lets_them_become_several_times_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer pieces, and only where the windows become likelier by it."""
    path, model = shaken(springs(frames=65, interval=0.05), 0.01), network(0.3)
    table, given = sampled(model, path), problems(path, 8, CHEAP)
    assert given[0].noisy and given[1].noisy
    found = sharpened(table, model, NONE, ONE, *given)
    assert found is not None
    assert off(table) > 0.05
    assert off(found) < off(table) / 8
    monkeypatch.setattr("gnsim.symbolic.sharpen.likelier", lambda one, other: 4.9)
    assert sharpened(table, model, NONE, ONE, *given) is None


def test_messages_stay_those_of_the_strength_that_was_given() -> None:
    """A strength that is 1.2 at the start: messages are those of that strength."""
    path, model = springs(), network(0.1)
    found = sharpened(sampled(model, path), model, NONE, 1.2 * ONE, *problems(path))
    assert found is not None
    assert off(replace(found, y=1.2 * found.y)) < 2e-5
    assert off(found) > 0.1


def test_a_network_that_is_right_is_not_made_worse() -> None:
    path, model = springs(), network(0.0)
    found = sharpened(sampled(model, path), model, NONE, ONE, *problems(path))
    assert found is None or off(found) < 1e-6


def test_messages_of_two_kinds_are_no_curve() -> None:
    """Half of them repel as much as the others attract, and no attribute says which."""
    path, model = springs(), network(0.1)
    table = sampled(model, path)
    mixed = replace(table, y=table.y * np.where(np.arange(len(table.y)) % 2, 1.0, -1.0))
    assert one_curve(table) is not None and one_curve(mixed) is None
    assert sharpened(mixed, model, NONE, ONE, *problems(path)) is None


def test_a_curve_goes_through_what_it_was_made_of() -> None:
    r = np.sort(np.random.default_rng(0).uniform(0.05, 9.0, 2000))
    table = MessageTable(("r",), r[:, None], 1 / r**2, "1")
    behind = one_curve(table)
    assert behind is not None
    curve = Curve.through(behind)
    assert np.abs(values(curve, r) * r**2 - 1).max() < 1e-2
    force = curve.pair(0.0).force(torch.from_numpy(r), {}, {}).numpy()
    assert np.allclose(force, values(curve, r), rtol=1e-12, atol=0)
    moved = curve.at(torch.full((len(curve.coefficients),), 1.5, dtype=torch.float64))
    potential = curve.pair(0.0)
    potential.constants = {name: torch.tensor(1.5).double() for name in potential.constants}
    at_others = potential.force(torch.from_numpy(r), {}, {}).numpy()
    assert np.allclose(at_others, curve.columns(r) @ moved, rtol=1e-10)


def test_beyond_its_ends_a_curve_stays_as_it_was_there() -> None:
    r = np.linspace(1.0, 2.0, 500)
    behind = one_curve(MessageTable(("r",), r[:, None], r**2, "1"))
    assert behind is not None
    curve = Curve.through(behind)
    assert values(curve, np.array([0.1, 50.0])) == pytest.approx([1.0, 4.0], rel=1e-6)


def test_a_product_of_charges_stands_before_the_curve() -> None:
    rng = np.random.default_rng(0)
    r, first, second = rng.uniform(0.5, 4.0, 900), *rng.choice([-1.0, 1.0, 2.0], (2, 900))
    X = np.stack([r, first, second], 1)
    table = MessageTable(("r", "charge_i", "charge_j"), X, -first * second / r**2, "1")
    behind = one_curve(table)
    assert behind is not None and behind.of == "charge"
    ends = ({"charge": torch.from_numpy(second)}, {"charge": torch.from_numpy(first)})
    force = Curve.through(behind).pair(0.0).force(torch.from_numpy(r), *ends).numpy()
    assert np.allclose(force, table.y, rtol=1e-3)


class OfCharges(PairPotential):
    """A spring that is a little stronger between like charges, and a network's error."""

    def __init__(self, share: float, off: float) -> None:
        super().__init__()
        self.share, self.off = share, off

    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        of_charges = 1 + self.share * source["charge"] * target["charge"]
        return (spring(r) + self.off * torch.sin(4 * r)) * of_charges


@pytest.mark.parametrize(("share", "a_curve"), [(0.03, False), (0.0, True)])
def test_messages_that_depend_on_an_attribute_a_little_are_left(
    share: float, a_curve: bool
) -> None:
    """One curve explains them to a thousandth, and would erase what charges do."""
    start = simulate("charge", **SETTINGS)[0]
    path = integrate(PairwiseHamiltonian(OfCharges(share, 0.0)), start, 25, 0.1)
    model = CoupledPairs(OfCharges(share, 0.1), NONE, BODIES).double()
    model.x = torch.ones_like(model.x)
    table = sampled(model, path)
    assert "charge_i" in table.names and one_curve(table) is not None
    found = sharpened(table, model, NONE, ONE, *problems(path))
    assert (found is not None) == a_curve


def test_messages_that_windows_do_not_determine_are_left_out() -> None:
    """Charges come as near as a hundredth of the usual distance, and no window tells how it was."""
    path = simulate("charge", trajectories=40, bodies=4, dim=2, frames=33, seed=3)
    model = CoupledPairs(Softened(), NONE, 4).double()
    model.x = torch.ones_like(model.x)
    table = sampled(model, path, 2000)
    found = sharpened(table, model, NONE, ONE, *problems(path, 8))
    assert found is not None
    columns = dict(zip(found.names, found.X.T, strict=True))
    true = -columns["charge_i"] * columns["charge_j"] / (columns["r"] + 0.01) ** 2
    assert 0.8 * len(table.y) < len(found.y) < len(table.y)
    assert np.abs(found.y / true - 1).max() < 0.1


class Softened(PairPotential):
    """Charges as a network has them, 3 % off."""

    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        true = -source["charge"] * target["charge"] / (r + 0.01) ** 2
        return true * (1 + 0.03 * torch.sin(5 * torch.log(r)))


def test_the_scale_of_hidden_charges_is_that_of_the_network() -> None:
    """Curve and charges share a scale that nothing tells; a network's largest charge is one."""
    charges = torch.tensor([1.0, 0.8, 0.6], dtype=torch.float64)
    start = simulate("spring", **SETTINGS, equal_masses=True)[0]
    truth = CoupledPairs(OffBySome(0.0), Structure("charges"), BODIES).double()
    truth.x = torch.cat([torch.ones(1, dtype=torch.float64), charges])
    given = replace(start, attributes={"mass": start.mass, "charge": charges.repeat(24)})
    path = integrate(truth.canonical(), given, 25, 0.04)
    path = replace(path, attributes={"mass": path.mass})
    model = CoupledPairs(OffBySome(0.1), Structure("charges"), BODIES).double()
    model.x = truth.x.clone()
    table = sampled(model, path)
    for times in (1.0, 1.1):
        x = torch.cat([model.x[:1], times * model.x[1:]])
        found = sharpened(table, model, Structure("charges"), x, *problems(path, by=CHEAP))
        assert found is not None
        assert off(replace(found, y=times**2 * found.y)) < 1e-3 < off(table)
