"""The numbers of a discovery, as plain as JSON wants them."""

import math
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch

import gnsim
from gnsim.bodies import body_names, couplings
from gnsim.config import as_mapping

if TYPE_CHECKING:
    from gnsim.discovery import Discovery, Rollout
    from gnsim.symbolic.law import Constant

_PACKAGES = (
    "torch",
    "torch-geometric",
    "torchdiffeq",
    "numpy",
    "scipy",
    "sympy",
    "pyoperon",
    "pysr",
)


def metrics(discovery: "Discovery") -> dict[str, Any]:
    """Everything that was measured; a number that is not finite, or not known, is None."""
    law = discovery.law
    verdict = law.verdict
    return plain(
        {
            "data": discovery.dataset.name,
            "data_hash": discovery.dataset.content_hash,
            "seed": discovery.seed,
            "verified": law.verified,
            "status": verdict.status if verdict else None,
            "reasons": verdict.reasons if verdict else (),
            "force": law.text(),
            "terms": [term.name for term in law.terms],
            "equals_true_law": discovery.equals_truth,
            "constants": constant_numbers(law.constants),
            "couplings": couplings(discovery),
            "complexity": law.complexity,
            "errors": discovery.errors,
            "coupling": discovery.model.coupling.name,
            "pilots": discovery.fitted.pilots,
            "validation_error": discovery.fitted.validation_error,
            "rollouts": {name: _rollout(r, discovery) for name, r in discovery.rollouts.items()},
            "seconds": discovery.seconds,
            "versions": versions(),
            "config": as_mapping(discovery.config),
        }
    )


def constant_numbers(constants: "Mapping[str, Constant]") -> dict[str, Any]:
    """Value, standard error and unit of each."""
    return {n: {"value": c.value, "stderr": c.stderr, "unit": c.unit} for n, c in constants.items()}


def position_errors(rollout: "Rollout", bodies: int) -> list[dict[str, float | None]]:
    """For each body of a system the largest and the final relative error, of the worst system.

    A rollout that ended early has no final error.
    """
    error = rollout.position_error.double()
    by_body = error.reshape(len(error), -1, bodies).amax(1)
    final = [None] * bodies if rollout.diverged else by_body[-1].tolist()
    return [
        {"max": largest, "final": last}
        for largest, last in zip(by_body.amax(0).tolist(), final, strict=True)
    ]


@cache
def versions() -> dict[str, str]:
    """Of gnsim, Python and the packages that the numbers depend on, where they are installed."""
    found = {"gnsim": gnsim.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numbers that are not finite become None, keys become text."""
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if hasattr(value, "items"):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return float(value) if math.isfinite(value) else None


def _rollout(rollout: "Rollout", discovery: "Discovery") -> dict[str, Any]:
    names = body_names(discovery.dataset.test)
    errors = position_errors(rollout, len(names))
    return {
        "frames": len(rollout.trajectory),
        "integrator": rollout.integrator,
        "diverged": rollout.diverged,
        "fitted_frames": rollout.fitted_frames,
        "energy_error": rollout.energy_error,
        "energy_slope": rollout.energy_slope,
        # a list, for two bodies may have one name
        "position_error": [
            {"body": name, **error} for name, error in zip(names, errors, strict=True)
        ],
    }
