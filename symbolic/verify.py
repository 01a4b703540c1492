"""The verdict: what held-out trajectories, never used before, say of a law."""

from collections.abc import Mapping

import torch

from gnsim.dynamics import Dynamics
from gnsim.state import State
from gnsim.symbolic.law import Constant, Verdict
from gnsim.symbolic.refit import Problem
from gnsim.symbolic.select import NUMERICAL, error_sizes, mean_error

#: share of the acceleration that may stay unexplained, for a law and for a candidate of one
_UNEXPLAINED, _NOTHING = 0.05, 0.5
#: how much worse than on the training data, and than the network, a law may be
_GENERALISES, _AS_NETWORK = 2.0, 1.5
_DETERMINED = 5.0


class Inertia(Dynamics):
    """No force at all: what a law has to beat."""

    separable = True

    def force(self, state: State) -> torch.Tensor:
        return torch.zeros_like(state.p)

    def vector_field(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        return state.velocity, torch.zeros_like(state.p)


def verify(
    law: Dynamics,
    network: Dynamics,
    constants: Mapping[str, Constant],
    train: Problem,
    test: Problem,
) -> tuple[Verdict, dict[str, float]]:
    """The verdict on a fitted law, and the errors that it rests on.

    ``verified`` only where all hold on `test`: the law leaves at most a twentieth of the
    acceleration unexplained, does as well as on the data it was fitted to, does as well as the
    network, and each of its constants differs from zero by five standard errors.
    """
    errors = {
        "law": mean_error(error_sizes(law, test)),
        "law_on_training_data": mean_error(error_sizes(law, train)),
        "network": mean_error(error_sizes(network, test)),
        "no_force": mean_error(error_sizes(Inertia(), test)),
    }
    unexplained = errors["law"] / errors["no_force"]
    vague = [
        name
        for name, constant in constants.items()
        if constant.stderr is None or not abs(constant.value) > _DETERMINED * constant.stderr
    ]
    checks = {
        f"it leaves {unexplained:.2g} of the held-out acceleration unexplained "
        f"(at most {_UNEXPLAINED:g} wanted)": unexplained <= _UNEXPLAINED,
        f"its held-out error {errors['law']:.2g} stands against {errors['law_on_training_data']:.2g} "
        "on the training data": errors["law"]
        <= _GENERALISES * max(errors["law_on_training_data"], NUMERICAL),
        f"its held-out error {errors['law']:.2g} stands against {errors['network']:.2g} "
        "of the network": errors["law"] <= _AS_NETWORK * max(errors["network"], NUMERICAL),
        f"constants that are not {_DETERMINED:g} standard errors from zero: "
        f"{', '.join(vague) or 'none'}": not vague,
    }
    reasons = tuple(
        f"{'passed' if passed else 'failed'}: {what}" for what, passed in checks.items()
    )
    if not unexplained <= _NOTHING:
        return Verdict(False, "no law found", reasons), errors
    if all(checks.values()):
        return Verdict(True, "verified", reasons), errors
    return Verdict(False, "candidate", reasons), errors
