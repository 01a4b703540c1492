"""What a law leaves over: weighed against rounding, found where it is planted, else not."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from gnsim.datasets.systems import simulate
from gnsim.integrators import DOP853, RK4, KahanLi8
from gnsim.simulator import Simulator
from gnsim.state import Trajectory
from gnsim.symbolic.corrections.columns import columns, of_monomials
from gnsim.symbolic.corrections.joint import errors_of, pruned, refit_together
from gnsim.symbolic.corrections.monomials import monomials
from gnsim.symbolic.corrections.residuals import residuals
from gnsim.symbolic.corrections.search import search, worth_of_a_constant
from gnsim.symbolic.law import Constant, Law
from gnsim.symbolic.parser import parse, symbol
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.window_errors import signed_errors

SPRINGS = Law(
    "k*(r - r0)",
    {"k": Constant(2.0, 1e-6), "r0": Constant(1.0, 1e-6)},
    2,
)
CUBIC = 0.02
#: errors far below those that tell corrections of a percent
EXACTLY = DOP853(1e-10)


@cache
def moved(radial: str, transverse: str = "0", systems: int = 24) -> Trajectory:
    """Three equal bodies on springs, with what else acts between them."""
    settings = {"trajectories": systems, "bodies": 3, "dim": 2, "frames": 2, "equal_masses": True}
    start = simulate("spring", **settings)[0]
    law = replace(SPRINGS, radial=radial, transverse=transverse)
    times = 0.1 * torch.arange(41, dtype=torch.float64)
    path = Simulator(law.dynamics(), DOP853(1e-12)).rollout(start, times)
    return replace(path, attributes={})


def parts(path: Trajectory, steps: int = 2, integrator: object = None) -> tuple[Problem, Problem]:
    by = integrator or KahanLi8()
    train, held_out = path.systems(torch.arange(16)), path.systems(torch.arange(16, 24))
    return Problem.of(train, steps, 80, by, 1), Problem.of(held_out, steps, 40, by, 1)


def test_a_weak_cubic_term_is_found_beside_springs() -> None:
    train, held_out = parts(moved(f"{CUBIC}*(r - 1.0)**3"))
    off = replace(SPRINGS, constants={**SPRINGS.constants, "k": Constant(2.03, 1e-3)})
    alone = refit_together(off, train).law
    found = search(alone, train, held_out, ())
    assert found.chosen is not None and found.rival is None
    (new,) = found.chosen.constants
    shape = found.chosen.radial.subs({symbol(new): 1.0, symbol("r"): 3.0, symbol("r0"): 1.0})
    assert float(shape) == pytest.approx(8.0, rel=0.02)
    # to first order, and with windows as long as these, to a few percent
    assert found.chosen.constants[new].value == pytest.approx(CUBIC, rel=0.05)


def test_nothing_is_found_beside_springs_alone() -> None:
    assert search(SPRINGS, *parts(moved("0")), ()).chosen is None


def test_a_force_of_both_speeds_is_found_in_the_frame_of_the_pair() -> None:
    train, held_out = parts(moved("0.0005*v_r**2/r", "-0.002*v_r*v_t/r"))
    found = search(SPRINGS, train, held_out, ())
    chosen = found.chosen
    assert chosen is not None
    along, across = sorted(chosen.terms, key=lambda term: not term.along)
    whole, missing = found.further(chosen.terms), found.further([across])
    assert whole is None or whole.share > 0.3
    assert missing is not None and missing.term == along and missing.share < 0.3
    values = {name: c.value for name, c in chosen.constants.items()}
    values |= {"r": 2.0, "v_r": 0.5, "v_t": 3.0}
    at = {symbol(name): value for name, value in values.items()}
    along, across = (float(e.subs(at)) for e in (chosen.radial, chosen.transverse))
    assert (along, across) == pytest.approx((0.0005 * 0.25 / 2, -0.002 * 1.5 / 2), rel=0.1)


def test_a_second_correction_is_added_to_the_first() -> None:
    first = replace(
        SPRINGS,
        radial="k0*(r - 1.0)**3",
        constants={**SPRINGS.constants, "k0": Constant(CUBIC, 1e-4)},
    )
    path = moved(f"{CUBIC}*(r - 1.0)**3 + 0.004*v_r**2/r")
    chosen = search(first, *parts(path, integrator=EXACTLY), ()).chosen
    assert chosen is not None and "k0" not in chosen.constants
    both = chosen.beside(first)
    values = {symbol(n): v for n, v in both.values.items()}
    at = {symbol("r"): 3.0, symbol("v_r"): 2.0, symbol("v_t"): 1.0}
    force = float(both.radial_expr.subs(values).subs(at))
    assert force == pytest.approx(CUBIC * 8 + 0.004 * 4 / 3, rel=0.02)
    assert float(chosen.radial.subs(values).subs(at)) == pytest.approx(0.004 * 4 / 3, rel=0.1)


def test_terms_for_what_is_not_linear_go_again() -> None:
    """Of a correction that makes a fifth of the force, the search says more than there is."""
    strong = 10 * CUBIC
    train, held_out = parts(moved(f"{strong}*(r - 1.0)**3"), integrator=EXACTLY)
    extra = {**SPRINGS.constants, "k0": Constant(strong, 1e-3), "k1": Constant(1e-3, 1e-4)}
    law = replace(SPRINGS, radial="k0*(r - 1.0)**3 + k1*v_r**2/r", constants=extra)
    both = refit_together(law, train)
    worth = worth_of_a_constant(held_out)
    kept = pruned(both, ["k0", "k1"], train, held_out, worth).law
    assert set(kept.constants) == {"k", "r0", "k0"}
    assert kept.constants["k0"].value == pytest.approx(strong, rel=1e-3)
    # what a constant is worth decides: nothing goes where it would have to gain by going
    assert pruned(both, ["k1"], train, held_out, -100.0).law == both.law


def test_a_law_without_constants_has_corrections_too() -> None:
    bare = Law("2.0*(r - 1.0)", {}, 2)
    train, held_out = parts(moved(f"{CUBIC}*(r - 1.0)**3"), integrator=EXACTLY)
    chosen = search(bare, train, held_out, ()).chosen
    assert chosen is not None
    at = {symbol(n): c.value for n, c in chosen.constants.items()} | {symbol("r"): 3.0}
    at |= {symbol("v_r"): 0.0, symbol("v_t"): 0.0}
    assert float(chosen.radial.subs(at)) == pytest.approx(8 * CUBIC, rel=0.05)
    assert refit_together(bare, train).law == bare


@pytest.mark.parametrize("given", [True, False], ids=["velocities", "positions alone"])
def test_corrections_are_fitted_in_noise_too(given: bool) -> None:
    """Forces that depend on velocities have no kicks and drifts to take slopes with."""
    path = moved(f"{20 * CUBIC}*(r - 1.0)**3").systems(torch.arange(8))
    generator = torch.Generator().manual_seed(0)
    size = 1e-3 * torch.ones(path.num_nodes, 2, dtype=torch.float64)
    q, p = (
        x + 1e-3 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        for x in (path.q, path.p)
    )
    noisy = replace(path, q=q, p=p, noise=size, velocity_given=given)
    train = Problem.of(noisy, 8, 28, RK4(), 2)
    start = {**SPRINGS.constants, "k0": Constant(0.3, None)}
    law = replace(SPRINGS, radial="k0*(r - 1.0)**3", constants=start)
    found = refit_together(law, train).law.constants
    assert abs(found["k0"].value - 20 * CUBIC) < 4 * found["k0"].stderr < 0.2
    assert found["k"].value == pytest.approx(2.0, abs=4 * found["k"].stderr)


def off(one: torch.Tensor, other: torch.Tensor) -> float:
    """The usual difference: after close encounters nothing is linear."""
    return float(((one - other).norm(dim=-1) / other.norm(dim=-1)).median())


def test_columns_are_what_errors_change_by() -> None:
    """Of a force so small that its effect is linear."""
    tiny = 1e-6
    train, _ = parts(moved("0"), steps=1)
    tried = [m for m in monomials(SPRINGS, ()) if str(m) in ("v_r**2/r along", "v_r*v_t/r across")]
    assert len(tried) == 2
    by_columns = columns(SPRINGS.dynamics(), train, of_monomials(tried, SPRINGS))
    for one, column in zip(tried, by_columns, strict=True):
        along, across = one.components
        law = replace(SPRINGS, radial=tiny * along, transverse=tiny * across)
        exact = replace(train, integrator=DOP853(1e-13))
        both = [signed_errors(each.dynamics(), exact) for each in (SPRINGS, law)]
        change = (both[0] - both[1]).movedim(1, 0) / tiny
        assert off(column, change) < 0.02
        assert off(1.1 * column, change) > 0.05


@pytest.mark.parametrize(("radial", "more"), [("0", False), (f"{CUBIC}*(r - 1.0)**3", True)])
def test_residuals_are_weighed_against_noise(radial: str, more: bool) -> None:
    path = moved(radial)
    rest = residuals(SPRINGS, path, 2, DOP853(1e-13))
    assert bool(rest.beyond_noise.all()) == more
    assert bool(rest.beyond_noise.any()) == more
    assert rest.size.shape == rest.noise.shape == (len(rest.t), 3)


def test_noise_of_the_data_is_seen_as_noise() -> None:
    path = moved("0")
    generator = torch.Generator().manual_seed(0)
    noise = 1e-6 * torch.randn(path.q.shape, generator=generator, dtype=torch.float64)
    rest = residuals(SPRINGS, replace(path, p=path.p + noise), 2, DOP853(1e-13))
    assert bool((rest.left > 100 * residuals(SPRINGS, path, 2, DOP853(1e-13)).left).all())
    assert not bool(rest.beyond_noise.any())


def test_short_data_cannot_tell_noise() -> None:
    path = moved(f"{CUBIC}*(r - 1.0)**3").frames(slice(0, 9))
    rest = residuals(SPRINGS, path, 2, DOP853(1e-13))
    assert bool(rest.noise.isnan().all()) and not bool(rest.beyond_noise.any())


def test_a_force_below_the_noise_is_told_by_its_memory() -> None:
    """Windows one after the other feel the same force, and noise is new in each."""
    path = moved("0.002*(r - 1.0)**3")
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(path.q.shape, generator=generator, dtype=torch.float64)
    noisy = replace(path, p=path.p + 4e-4 * drawn)
    rest = residuals(SPRINGS, noisy, 2, DOP853(1e-13))
    alone = residuals(SPRINGS, replace(moved("0"), p=moved("0").p + 4e-4 * drawn), 2, DOP853(1e-13))
    assert bool((rest.left < 2 * rest.noise_of_bodies).all())
    assert bool(rest.beyond_noise.any()) and not bool(alone.beyond_noise.any())


def test_law_and_correction_are_fitted_together() -> None:
    """Alone, springs take a part of the cubic term into their own constants."""
    train, _ = parts(moved(f"{CUBIC}*(r - 1.0)**3"), integrator=EXACTLY)
    alone = refit_together(SPRINGS, train).law
    form = parse("c3*(r - 1.0)**3", ("r", "c3"))
    start = {**SPRINGS.constants, "c3": Constant(0.01, None)}
    both = refit_together(replace(SPRINGS, radial=form, constants=start), train)
    assert abs(alone.constants["k"].value - 2) > 1e-3
    assert both.law.constants["k"].value == pytest.approx(2.0, rel=1e-5)
    assert both.law.constants["c3"].value == pytest.approx(CUBIC, rel=1e-3)
    assert errors_of(both.law, train).abs().median() < 1e-4 * errors_of(alone, train).abs().median()
