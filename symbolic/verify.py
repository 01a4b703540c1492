"""The verdict: what held-out trajectories, never used before, say of a law."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from gnsim.accelerations import deviations, known_noise
from gnsim.dynamics import Dynamics, Split
from gnsim.models.terms import Term
from gnsim.state import State
from gnsim.symbolic.law import Constant, Verdict
from gnsim.symbolic.leftover import BLIND, leftover, rest_in_words
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import Fit
from gnsim.symbolic.window_errors import (
    NUMERICAL,
    error_sizes,
    mean_error,
    signed_errors,
    step_error,
)
from gnsim.windows import acceleration_scale, missed

#: share of the acceleration that may stay unexplained, for a law and for a candidate of one
_UNEXPLAINED, _NOTHING = 0.02, 0.5
#: errors of constants that no noise made excuse errors up to this
_EXCUSED = 1e-4
#: and within windows; what an acceleration of one leaves of a line, over the time squared: a force
#: that swings once leaves half of what a constant one does
_WITHIN, _BENT = 0.03, 0.25 / 180**0.5
#: how much worse than on the training data, and than the network, a law may be
_GENERALISES, _AS_NETWORK = 2.0, 1.5
_DETERMINED = 5.0
#: how much more than what noise makes a law may leave, beside so many standard errors of chance,
#: and how much more of its variance
_AS_NOISE, _BY_LUCK, _MISFIT = 1.1, 3.0, 1.2
#: how much of the error a free correction may still gain
_CORRECTION = 0.1


class Inertia(Split):
    """No force at all: what a law has to beat."""

    def force(self, state: State) -> torch.Tensor:
        return torch.zeros_like(state.p)

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        return state.velocity, torch.zeros_like(state.p)


def verify(
    fit: Fit,
    network: Dynamics,
    constants: Mapping[str, Constant],
    train: Problem,
    test: Problem,
    rivals: Sequence[str] = (),
) -> tuple[Verdict, dict[str, float]]:
    """The verdict on a fitted law, and the errors that it rests on.

    ``verified`` only where all hold on `test`: the law leaves at most a fiftieth of the
    acceleration of any body unexplained, or what the noise of the data makes; does as well as on
    the data it was fitted to, and as the network; each of its constants differs from zero by five
    standard errors; what it leaves is nothing that a law could explain (`leftover`), and within
    windows no more, or in noise, of no more variance than the noise; and noisy data tell it from
    all `rivals`, forms with as few constants whose forces are others (`select`).
    """
    law = fit.dynamics()
    train, unsettled = (fit.suited(problem) for problem in (train, test))
    train, test = train.settled(law), unsettled.settled(law)
    floor, train_floor = _floor(fit, test), _floor(fit, train)
    sizes = {
        "law": (error_sizes(law, test), floor),
        "law_on_training_data": (error_sizes(law, train), train_floor),
        "network": (error_sizes(network, unsettled.settled(network)), floor),
        "no_force": (error_sizes(Inertia(), unsettled.settled(Inertia())), floor),
    }
    errors = {name: mean_error(size) for name, (size, _) in sizes.items()}
    # errors that the time step or the constants' own errors make tell nothing apart
    beyond = {name: mean_error(torch.maximum(size, least)) for name, (size, least) in sizes.items()}
    errors |= leftover(fit, train, test, floor)
    noise = test.noise_sizes()
    excused = noise
    if test.noisy:
        # after an encounter the time step is to blame; for a motion that blows up, the law is
        stepped = step_error(law, test)
        stepped = torch.where(stepped.isfinite(), stepped, 0.0)
        excused = torch.maximum(noise, torch.minimum(stepped, sizes["no_force"][0]))
    all_of_it = _by_body(sizes["no_force"][0], test)
    shares, of_noise = (_by_body(s, test) / all_of_it for s in (sizes["law"][0], excused))
    within = _within(law, test) / all_of_it
    of_noise = _AS_NOISE * math.exp(_BY_LUCK * test.chance()) * of_noise
    unexplained = float(shares.max())
    misfit, most = _misfit(test)
    errors |= {"unexplained_of_worst_body": unexplained, "noise": mean_error(noise)}
    errors |= {"misfit_of_worst_body": misfit}
    vague = _vague(constants, fit.structure.terms)
    checks = {
        f"it leaves {unexplained:.2g} of the held-out acceleration unexplained, for the body for "
        f"which that is most (at most {_UNEXPLAINED:g} wanted{_or_noise(of_noise)})": bool(
            (shares <= of_noise.clamp_min(_UNEXPLAINED)).all()
        ),
        f"within windows it leaves {float(within.max()):.2g} of it (at most {_WITHIN:g} "
        "wanted)": bool((within <= _WITHIN).all()),
        f"its held-out error {errors['law']:.2g} stands against "
        f"{errors['law_on_training_data']:.2g} on the training data": beyond["law"]
        <= _GENERALISES * max(beyond["law_on_training_data"], mean_error(floor)),
        f"its held-out error {errors['law']:.2g} stands against {errors['network']:.2g} "
        "of the network": beyond["law"] <= _AS_NETWORK * beyond["network"],
        f"{', '.join(vague)}: less than {_DETERMINED:g} standard errors from zero"
        if vague
        else f"all constants are at least {_DETERMINED:g} standard errors from zero": not vague,
        f"a free correction of its shape lowers the held-out error by "
        f"{max(0.0, errors['gain_by_correction']):.0%} (at most {_CORRECTION:.0%} wanted)": errors[
            "gain_by_correction"
        ]
        <= _CORRECTION,
        # where few windows tell no correlation, the size of what is left tells it from noise
        rest_in_words(errors): errors["correlation_of_rest"] <= errors["correlation_by_chance"]
        or (test.noisy and errors["correlation_by_chance"] == BLIND),
    }
    if test.noisy:
        of_frames = (
            f"what it leaves at single frames has {misfit:.2g} times the variance of the noise "
            f"(at most {most:.2g} wanted)"
        )
        checks[of_frames] = misfit <= most
        every = "the data tell it from every other form with as few constants that was tried"
        told = f"the data do not tell it from {'; '.join(rivals)}"
        checks[told if rivals else every] = not rivals
    reasons = tuple(
        f"{'passed' if passed else 'failed'}: {what}" for what, passed in checks.items()
    )
    if not errors["law"] <= _NOTHING * errors["no_force"]:
        return Verdict(False, "no law found", reasons), errors
    if all(checks.values()):
        return Verdict(True, "verified", reasons), errors
    return Verdict(False, "candidate", reasons), errors


def _within(law: Dynamics, test: Problem) -> torch.Tensor:
    """What a law leaves at the frames within the windows, at the worst of them, [bodies].

    As a mean acceleration since the start, relative as errors are. Where starts were fitted to
    positions as good as exact, the deviation of all frames, as the acceleration that would leave as
    much. In noise `_misfit` tells.
    """
    windows = test.windows
    if test.noisy:
        return torch.zeros(test.bodies, dtype=torch.float64)
    if windows.starts is None:
        found = [
            missed(law, test.integrator, part, test.substeps) / acceleration_scale(part)
            for part in test.chunks()
        ]
        sizes = torch.cat(found, 2).norm(dim=-1).nan_to_num(nan=math.inf)
        return torch.stack([_by_body(row.T, test) for row in sizes.unbind(1)]).amax(0)
    path = windows.path
    span, frames = float(path.t[-1] - path.t[0]), len(path)
    deviation, _ = deviations(known_noise(path), span)
    off = deviation * (windows.starts.misfit / frames).sqrt()
    size = off / (_BENT * span**2) / acceleration_scale(windows)[-1, :, 0]
    return _by_body(size[:, None].nan_to_num(nan=math.inf), test)


def _misfit(test: Problem) -> tuple[float, float]:
    """The variance that is left at single frames over that of the noise, and the most by chance.

    Of the body for which it is most, in its median window: reduced chi-squares, of which close
    encounters do not count. A force that swings within a window leaves no mean acceleration, but it
    does leave this. One where there is no noise.
    """
    starts = test.windows.starts
    if not test.noisy or starts is None:
        return 1.0, 1.0
    by_body = (starts.misfit / starts.freedom).view(-1, test.bodies).nan_to_num(nan=math.inf)
    if not float(starts.freedom.mean()) > 0:  # no motion was finite anywhere
        return math.inf, _MISFIT
    # of a chi-square of many degrees; the median of windows scatters by a quarter more than a mean
    chance = 1.25 * (2 / float(starts.freedom.mean()) / len(by_body)) ** 0.5
    return float(by_body.median(0).values.max()), _MISFIT + _BY_LUCK * chance


def _or_noise(shares: torch.Tensor) -> str:
    """What noise may make, in words, where it is much."""
    most = float(shares.max())
    return f", or the {most:.2g} that noise may make" if most > _UNEXPLAINED else ""


def _vague(constants: Mapping[str, Constant], terms: Sequence[Term]) -> list[str]:
    """Those not five standard errors from zero; of a vector, one component that is suffices."""
    known = {
        name
        for name, constant in constants.items()
        if constant.stderr is not None and abs(constant.value) > _DETERMINED * constant.stderr
    }
    for term in terms:
        known |= set(term.symbols) if known & set(term.symbols) else set()
    return [name for name in constants if name not in known]


def _by_body(sizes: torch.Tensor, problem: Problem) -> torch.Tensor:
    """Geometric mean of the errors of each place in a system, [bodies]."""
    logs = sizes.clamp(1e-15, 1e6).log()
    return logs.view(-1, problem.bodies, sizes.shape[1]).mean((0, 2)).exp()


def _floor(fit: Fit, problem: Problem) -> torch.Tensor:
    """What an error must exceed to mean something, [nodes, kinds].

    Three times what halving the time step changes, or what the constants' errors allow, or
    `NUMERICAL`. Constants' errors excuse up to what a law may leave where noise makes them, else
    next to nothing: there they are made of what a wrong form leaves.
    """
    most = _UNEXPLAINED if problem.noisy else _EXCUSED
    vague = _constants_error(fit, problem).clamp_max(most)
    return torch.maximum(step_error(fit.dynamics(), problem), vague).clamp_min(NUMERICAL)


def _constants_error(fit: Fit, test: Problem) -> torch.Tensor:
    """Three times what the errors of the parameters, each by itself, change; [nodes, kinds].

    By the first grouping alone, for scatter within the data, not for what a model leaves out.
    """
    here = signed_errors(fit.dynamics(), test)
    _, spread = fit.estimate(lambda p: p, groupings=slice(1))
    total = torch.zeros(here.shape[:-1], dtype=here.dtype)
    # one that no error depends on changes nothing
    for k, size in enumerate(spread.nan_to_num(posinf=0.0)):
        moved = fit.parameters.clone()
        moved[k] += size
        there = signed_errors(replace(fit, parameters=moved).dynamics(), test)
        total += (there - here).square().sum(-1)
    return 3 * total.sqrt().nan_to_num(nan=0.0)
