"""What a law leaves over, and whether a law could explain it."""

from collections.abc import Mapping

import sympy
import torch

from gnsim.accelerations import shared_noise
from gnsim.graph import displacement, distance
from gnsim.normal_equations import RefitError
from gnsim.symbolic.forms import Form
from gnsim.symbolic.parser import symbol
from gnsim.symbolic.problem import Problem
from gnsim.symbolic.refit import Fit, adjust
from gnsim.symbolic.window_errors import error_sizes, mean_error, signed_errors

#: how correlated the rest may be, what makes it a rest
_CORRELATION, _FEW = 0.2, 0.2
_RADIAL_TERMS = 6
#: it enters the force linearly, and motion nearly so
_CORRECTION_ROUNDS = 4
#: standard errors that a correlation may have by chance; a larger bound than this tells nothing
_BY_CHANCE, _TELLING = 4.0, 0.5
BLIND, NOTHING_LEFT = -1.0, 1.0
#: windows so far apart are compared
_LAGS = 3
#: a verified law claims nothing of forces below this share of a body's acceleration
CLAIMED = 1e-5


def leftover(fit: Fit, train: Problem, test: Problem, floor: torch.Tensor) -> dict[str, float]:
    """Whether a law could explain what this one leaves.

    ``gain_by_correction``: by how much of itself the held-out error falls when the force may be
    multiplied by a free smooth function of r and of the attributes, fitted on `train`: a form that
    only imitates the true one loses here. ``correlation_of_rest``: of the errors of successive
    windows of a body, beyond what the frame between them makes: noise is new in each, a force that
    is missing acts on. Both count errors only beyond `floor`, [nodes, kinds], and the second only
    beyond the share of the acceleration that a verified law speaks of.
    """
    own = torch.maximum(error_sizes(fit.dynamics(), test), floor)
    try:
        freed_form = _with_correction(fit, train)
        corrected = adjust(freed_form, fit.structure, train, fit.x, _CORRECTION_ROUNDS)
        freed_law = corrected.dynamics()
        freed = torch.maximum(error_sizes(freed_law, test.settled(freed_law)), floor)
    except RefitError:
        freed = own
    correlation, chance = _correlation(fit, test, floor.clamp_min(CLAIMED))
    return {
        "gain_by_correction": 1 - mean_error(freed) / mean_error(own),
        "correlation_of_rest": correlation,
        "correlation_by_chance": chance,
    }


def rest_in_words(errors: Mapping[str, float]) -> str:
    """What the correlation that `leftover` found says."""
    if errors["correlation_by_chance"] == NOTHING_LEFT:
        return (
            f"what it leaves is below {CLAIMED:g} of the acceleration, or below what the time "
            "step and the constants' errors make"
        )
    if errors["correlation_by_chance"] == BLIND:
        return (
            f"what it leaves is more than {CLAIMED:g} of the acceleration, and there are too few "
            "held-out windows to tell by their correlation whether it is noise"
        )
    return (
        f"what it leaves, where more than {CLAIMED:g} of the acceleration, has the correlation "
        f"{errors['correlation_of_rest']:.2f} from window to window (at most "
        f"{errors['correlation_by_chance']:.2f} wanted)"
    )


def _correlation(fit: Fit, test: Problem, floor: torch.Tensor) -> tuple[float, float]:
    """Of the directions of the errors of windows one to three apart; the most that chance explains.

    Of either sign: a force that swings in time turns errors round from window to window. For all
    bodies together and for each by itself, the worst of them; only where a fifth of the
    errors are above the floor, for fewer are close encounters and say nothing of the rest. The
    bound is `BLIND` where there are errors and too few windows to tell what they are.
    """
    signed = signed_errors(fit.dynamics(), test)
    size = signed.norm(dim=-1)
    above = size > floor
    direction = torch.where(above[..., None], signed / size[..., None], 0.0)
    windows = test.windows
    order = torch.argsort(windows.system * (windows.start.max() + 1) + windows.start, stable=True)
    above, direction = (x.view(-1, test.bodies, *x.shape[1:])[order] for x in (above, direction))
    system = windows.system[order]

    by_chance = shared_noise(windows.path) if test.noisy else torch.zeros(test.bodies)
    apart = windows.start[order].diff()[system.diff() == 0]
    adjacent = bool((apart == len(windows.path) - 1).any())

    def of(bodies: slice) -> tuple[float, float] | None:
        """None where hardly any error is above the floor."""
        if float(above[:, bodies].double().mean()) < _FEW:
            return None
        found = [lagged(bodies, lag) for lag in range(1, min(_LAGS, len(above) - 1) + 1)]
        telling = [one for one in found if one[1] != BLIND]
        return max(telling, key=lambda one: one[0] - one[1], default=(0.0, BLIND))

    def lagged(bodies: slice, lag: int) -> tuple[float, float]:
        same = (system[lag:] == system[:-lag])[:, None, None]
        both = (same & above[lag:] & above[:-lag])[:, bodies]
        # positions and velocities of one body at one time are one piece of evidence
        bound = _BY_CHANCE / max(1, int(both.any(-1).sum())) ** 0.5
        if bound > _TELLING:
            return 0.0, BLIND
        found = float((direction[lag:] * direction[:-lag]).sum(-1)[:, bodies][both].mean())
        # the noise of the frame between two windows is in both
        shared = float(by_chance[bodies].mean()) if lag == 1 and adjacent else 0.0
        excess = max(found - max(shared, 0.0), min(shared, 0.0) - found)
        return excess, max(_CORRELATION, bound)

    together = of(slice(None))
    each = [found for k in range(test.bodies) if (found := of(slice(k, k + 1)))]
    if together is not None and together[1] != BLIND:
        each = [together, *(found for found in each if found[1] != BLIND)]
    return max(each, key=lambda found: found[0] - found[1], default=(0.0, NOTHING_LEFT))


def _with_correction(fit: Fit, train: Problem) -> Form:
    """The fitted form times one plus a free sum of smooth functions."""
    start = train.windows.path[0]
    r = torch.log(distance(displacement(start.q, start.pairs, start.box)))
    middle, spread = float(r.median()), float(r.std().clamp_min(1e-3))
    u = (sympy.log(symbol("r")) - middle) / spread
    terms = [sympy.tanh(u) ** k for k in range(1, _RADIAL_TERMS + 1)]
    for name, values in start.attributes.items():
        if bool((values != values[0]).any()):
            size = float(values.std())
            pair = (symbol(f"{name}_i") / size, symbol(f"{name}_j") / size)
            terms += [sympy.tanh(pair[0] + pair[1]), sympy.tanh(pair[0] * pair[1])]
    names = [f"free_{k}" for k in range(len(terms))]
    factor = 1 + sum(symbol(n) * t for n, t in zip(names, terms, strict=True))
    fitted = dict(zip(fit.form.constants, fit.parameters.tolist(), strict=False))
    return Form(fit.form.shape * factor, {**fitted, **dict.fromkeys(names, 0.0)}, fit.form.strength)
