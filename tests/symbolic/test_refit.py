"""Refit: constants and hidden masses come back from wrong starts, with honest errors and units."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from gnsim.datasets.systems import simulate
from gnsim.integrators import KahanLi6, Leapfrog, Yoshida4
from gnsim.models.coupled import Structure
from gnsim.normal_equations import Normal, RefitError, _solve
from gnsim.state import Trajectory, Units
from gnsim.symbolic.assemble import parts_of
from gnsim.symbolic.forms import form_of
from gnsim.symbolic.minimise import dynamics_of, errors_of, jacobian_of
from gnsim.symbolic.parser import parse
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import Fit, adjust_to_the_step, refit
from gnsim.symbolic.select import vague

FOUND = 1e-3
STIFFNESS, REST = 2.0, 1.0


@cache
def springs(trajectories: int = 10, frames: int = 9) -> Trajectory:
    return simulate("spring", trajectories=trajectories, bodies=3, dim=2, frames=frames)


@cache
def gravity() -> Trajectory:
    return simulate("r2", trajectories=1, bodies=3, dim=2, frames=81, interval=0.05, softening=0.5)


def fitted(text: str, coupling: str, path: Trajectory, **start: torch.Tensor) -> Fit:
    problem = Problem.of(path, 4, 40, KahanLi6(), 1)
    names = ("r", "mass_i", "mass_j")
    return refit(form_of(parse(text, names)), Structure(coupling), problem, **start)


@pytest.mark.parametrize("text", ["3.1*r - 5.0", "1.0*r + 0.5"])
def test_a_spring_from_a_wrong_start(text: str) -> None:
    rest, stiffness = fitted(text, "none", springs()).parameters.tolist()
    sign = 1 if text.endswith("0.5") else -1  # a constant keeps the sign it was written with
    assert sign * rest == pytest.approx(-REST, rel=FOUND)
    assert stiffness == pytest.approx(STIFFNESS, rel=FOUND)


def test_a_wrong_form_does_not_become_the_truth() -> None:
    fit = fitted("3.1*r", "none", springs())
    assert abs(float(fit.parameters[-1]) / STIFFNESS - 1) > 0.01


@pytest.mark.parametrize(
    "text", ["2.0*mass_i*mass_j/(r + 0.3)**2", "0.7*mass_i*mass_j/(r + 0.6)**1.8"]
)
def test_gravity_and_its_exponent_from_a_wrong_start(text: str) -> None:
    fit = fitted(text, "none", gravity())
    *constants, strength = fit.parameters.tolist()
    assert constants == pytest.approx([0.5, -2.0][: len(constants)], rel=FOUND)
    assert strength == pytest.approx(1.0, rel=FOUND)


def test_constants_have_not_the_error_of_the_integrator() -> None:
    problem = Problem.of(springs(), 4, 40, Leapfrog(), 1)
    form, none = form_of(parse("1.9*r - 2.2", ("r",))), Structure("none")
    start = torch.tensor([1.9], dtype=torch.float64)
    off = [
        (fit(form, none, problem, start).parameters - torch.tensor([REST, STIFFNESS])).abs()
        for fit in (refit, adjust_to_the_step)
    ]
    assert bool((off[0] > 1e-4).all())
    assert bool((off[1] < 0.1 * off[0]).all())  # two halvings of a method of order two: a 16th


@pytest.mark.parametrize("off", [0.6, 1.5])
def test_hidden_masses_of_gravity(off: float) -> None:
    whole = gravity()
    bare = replace(whole, attributes={}, p=whole.velocity)
    start = off * whole.mass.roll(1)
    fit = fitted("1.0/(r + 0.4)**2", "source", bare, start=start)
    assert fit.parameters[1:].tolist() == pytest.approx(whole.mass.tolist(), rel=FOUND)
    assert float(fit.parameters[0]) == pytest.approx(0.5, rel=FOUND)


def test_hidden_masses_of_springs() -> None:
    settings = {"trajectories": 1, "bodies": 3, "dim": 2, "frames": 61, "interval": 0.05}
    whole = simulate("spring", **settings)
    bare = replace(whole, attributes={}, p=whole.velocity)
    fit = fitted("1.3*r - 1.0", "response", bare)
    expected = (STIFFNESS / whole.mass).tolist()
    assert fit.parameters[1:].tolist() == pytest.approx(expected, rel=FOUND)


def noisy(seed: int, noise: float = 0.02) -> Trajectory:
    return shaken(springs(frames=17), noise, seed)


def shaken(whole: Trajectory, noise: float, seed: int) -> Trajectory:
    """With as much noise in velocities as in positions."""
    generator = torch.Generator().manual_seed(seed)
    of_q, of_v = noise * torch.randn(2, *whole.p.shape, generator=generator, dtype=torch.float64)
    return replace(whole, q=whole.q + of_q, p=whole.p + whole.mass[:, None] * of_v)


@cache
def scatter() -> torch.Tensor:
    """How many standard errors the constants are off the truth, on 24 noisy data sets."""
    form = form_of(parse("2.0*r - 2.0", ("r",)))
    truth = torch.tensor([REST, STIFFNESS], dtype=torch.float64)
    off = []
    for seed in range(24):
        problem = Problem.of(noisy(seed), 4, 20, Yoshida4(), 1)
        values, errors = refit(form, Structure("none"), problem).estimate(lambda p: p)
        off.append((values - truth).abs() / errors)
    return torch.stack(off)


def coverage(errors: float) -> float:
    """How often an interval of so many standard errors holds the true constants."""
    return float((scatter() < errors).double().mean())


def test_standard_errors_cover_as_they_should() -> None:
    assert 0.5 <= coverage(1) <= 0.85


def test_a_quarter_of_them_would_not() -> None:
    assert coverage(1 / 4) < 0.5


def test_a_start_far_off_in_little_noise_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every measurement is off by thousands of its errors there, and still tells where to go."""
    path = replace(shaken(springs(frames=17), 1e-6, 0), noise=torch.full((30, 2), 1e-6).double())
    problem = Problem.of(path, 12, 20, KahanLi6(), 1)
    assert problem.noisy
    form = form_of(parse("4.0*r - 2.0", ("r",)))

    def off() -> float:
        found = refit(form, Structure("none"), problem).parameters
        return float((found / torch.tensor([REST, STIFFNESS], dtype=torch.float64) - 1).abs().max())

    assert off() < FOUND
    monkeypatch.setattr(Problem, "loudness", lambda problem: 1.0)
    assert off() > 0.1


def test_windows_that_are_lost_have_no_say_in_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """One system in ten has springs of twice the stiffness."""
    whole = springs(frames=17)
    settings = {"trajectories": 10, "bodies": 3, "dim": 2, "frames": 17}
    stiff = simulate("spring", **settings, stiffness=2 * STIFFNESS)
    first = whole.batch[:, None] == 0
    mixed = replace(whole, q=whole.q.where(~first, stiff.q), p=whole.p.where(~first, stiff.p))
    problem = Problem.of(shaken(mixed, 0.003, 0), 8, 20, Yoshida4(), 1)

    def off() -> float:
        form = form_of(parse("2.0*r - 2.0", ("r",)))
        found = refit(form, Structure("none"), problem).parameters
        return float((found / torch.tensor([REST, STIFFNESS], dtype=torch.float64) - 1).abs().max())

    assert off() < 0.01
    monkeypatch.setattr("gnsim.symbolic.minimise._LOST_WINDOW", 1e6)
    assert off() > 0.03


def test_windows_after_close_encounters_pull_no_constant_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the time step leaves of the truth there is no reason to trust another softening."""
    path = simulate("charge", trajectories=30, bodies=4, dim=2, frames=33, seed=3)
    problem = Problem.of(path, 8, 120, KahanLi6(), 1)
    names = ("r", "charge_i", "charge_j")
    form = form_of(parse("-1.02*charge_i*charge_j/(r + 0.02)**2", names))

    def off() -> float:
        softening, strength = refit(form, Structure("none"), problem).parameters.tolist()
        return max(abs(softening - 0.01), abs(strength + 1))

    assert off() < 5e-7
    monkeypatch.setattr("gnsim.normal_equations._LEAST_OUTLIER", 1e-3)
    assert off() > 1e-6


def test_less_noise_gives_smaller_errors_in_proportion() -> None:
    form = form_of(parse("2.0*r - 2.0", ("r",)))
    problems = [Problem.of(noisy(1, n), 4, 20, KahanLi6(), 1) for n in (5e-2, 1e-2)]
    loud, quiet = (refit(form, Structure("none"), p).estimate(lambda x: x)[1] for p in problems)
    assert (loud / quiet).tolist() == pytest.approx([5.0, 5.0], rel=0.2)


def test_units_of_length_and_time_scale_the_constants_exactly() -> None:
    path, length, time = noisy(0), 1.5e11, 86400.0
    scaled = replace(path, t=path.t * time, q=path.q * length, p=path.p * length / time)
    found = fitted("1.7*r - 2.5", "none", path)
    far = fitted(f"{1.7 / time**2}*r - {2.5 * length / time**2}", "none", scaled)
    units = torch.tensor([length, time**-2], dtype=torch.float64)
    ratio = far.parameters / found.parameters / units
    assert ratio.tolist() == pytest.approx([1.0, 1.0], rel=1e-6)
    errors = far.estimate(lambda p: p)[1] / found.estimate(lambda p: p)[1] / units
    assert errors.tolist() == pytest.approx([1.0, 1.0], rel=1e-3)


def constants_off(path: Trajectory, fit_starts: bool) -> float:
    """The largest relative error of the constants of springs."""
    problem = Problem.of(path, 4, 40, KahanLi6(), 4)
    if not fit_starts:
        windows = problem.windows
        problem = replace(problem, windows=replace(windows, path=replace(windows.path, noise=None)))
    found = refit(form_of(parse("2.2*r - 2.5", ("r",))), Structure("none"), problem).parameters
    return float((found / torch.tensor([REST, STIFFNESS]) - 1).abs().max())


def test_without_velocities_the_starts_of_windows_are_fitted() -> None:
    """Velocities that were estimated at the ends of a file are off, and constants with them."""
    path = simulate("spring", trajectories=10, bodies=3, dim=2, frames=9, velocities=False)
    assert not path.velocity_given
    assert constants_off(path, fit_starts=True) < 3e-6
    assert constants_off(path, fit_starts=False) > 3e-5


def test_a_motion_that_is_not_finite_is_refused() -> None:
    with pytest.raises(RefitError, match="not finite"):
        fitted("1.0*log(r - 50.0)", "none", springs())


def test_slopes_beyond_all_numbers_have_no_say() -> None:
    errors = torch.ones(6, 1, 2, dtype=torch.float64)
    jacobian = torch.ones(6, 1, 2, 1, dtype=torch.float64)
    plain = Normal(errors[:4], jacobian[:4], torch.eye(1, dtype=torch.float64), 3.0).step(0.0)
    jacobian[4], jacobian[5] = 1e200, torch.inf
    there = Normal(errors, jacobian, torch.eye(1, dtype=torch.float64), 3.0)
    # nor at the next point, to which the same slopes are carried
    assert torch.equal(Normal(errors, there.slopes, there.directions, 3.0).trust, there.trust)
    assert torch.equal(
        Normal(errors, jacobian, torch.eye(1, dtype=torch.float64), 3.0).step(0.0), plain
    )


def test_slopes_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(RefitError, match="beyond all numbers"):
        _solve(torch.tensor([[torch.inf]]).double(), torch.ones(1).double(), 0.0)


def test_a_fit_repeats_to_the_bit() -> None:
    first, again = (fitted("3.1*r - 5.0", "none", springs()) for _ in range(2))
    assert torch.equal(first.parameters, again.parameters)


def charged(noise: float = 0.0, seed: int = 0) -> Trajectory:
    """One system of charges of both signs, which the data do not give."""
    settings = {"trajectories": 1, "bodies": 4, "dim": 2, "frames": 81, "interval": 0.05}
    whole = simulate("charge", **settings, softening=0.5, seed=5)
    seen = shaken(whole, noise, seed) if noise else whole
    return replace(seen, attributes={"mass": whole.mass})


def products(parameters: torch.Tensor) -> torch.Tensor:
    """Strength times both charges of each pair: what motion tells."""
    q = parameters[2:]
    row, column = torch.triu_indices(4, 4, offset=1)
    return parameters[1] * q[row] * q[column]


CHARGED = torch.tensor([-0.8, 1.1, -0.9, -1.2, -1.0], dtype=torch.float64)


def test_hidden_charges_with_errors_that_their_scatter_bears_out() -> None:
    charge = simulate("charge", trajectories=1, frames=2, dim=2, seed=5).attributes["charge"]
    row, column = torch.triu_indices(4, 4, offset=1)
    truth = -charge[row] * charge[column]
    fits = [
        fitted("1.0/(r + 0.4)**2", "charges", charged(1e-3, seed), start=CHARGED)
        for seed in range(6)
    ]
    values = torch.stack([products(fit.parameters) for fit in fits])
    errors = torch.stack([fit.estimate(products)[1] for fit in fits])
    torch.testing.assert_close(values.mean(0), truth, rtol=0.02, atol=0.02)
    ratio = values.std(0) / errors.mean(0)
    assert 0.2 < float(ratio.median()) < 3
    strengths = torch.stack([fit.parameters[1] for fit in fits])
    torch.testing.assert_close(strengths, CHARGED[0].expand(6), rtol=1e-12, atol=0)


def test_slopes_at_constants_of_zero_are_those_of_small_ones() -> None:
    problem = Problem.of(springs(), 4, 40, KahanLi6(), 1)
    form = form_of(parse("2.0*(r - 1.0)", ("r",)))
    shape = form.shape * (1 + parse("free_0*log(r)", ("r", "free_0")))
    slopes = []
    for zero in (0.0, 1e-3):
        freed = replace(form, shape=shape, constants={**form.constants, "free_0": zero})
        model = dynamics_of(freed, Structure("none"), problem.bodies)
        theta = torch.tensor([1.0, zero, 2.0], dtype=torch.float64)
        errors = errors_of(model, theta, problem)
        slopes.append(jacobian_of(model, theta, problem, errors)[..., 1])
    torch.testing.assert_close(slopes[0], slopes[1], rtol=3e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("term", "constants"),
    [("3e6/(3e9 + r)**2", 2), ("4e-13/r", 1), ("3e-12*r**2", 1), ("3e-11/(3 + r)**2", 2)],
)
def test_constants_that_hardly_any_error_depends_on_are_not_known(
    term: str, constants: int
) -> None:
    fit = fitted(f"2.0*(r - 1.0) + {term}", "none", springs())
    known = replace(fit, idle=())
    assert [len(vague(one)) for one in (fit, known)] == [constants, 0]
    parts = parts_of(fit, ("a", "b", "c"), Units())
    assert sum(c.stderr is None for c in parts.constants.values()) == constants
