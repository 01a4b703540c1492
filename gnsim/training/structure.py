"""What a model is made of beside its network: the coupling of its pairs, and its terms.

Where a setting leaves it open, short trainings decide: which hidden couplings the data ask for, and
which of all possible terms held-out windows do.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from gnsim.config import did_you_mean
from gnsim.errors import InputError
from gnsim.models.coupled import COUPLINGS, Structure
from gnsim.models.terms import KINDS, Term, possible_terms
from gnsim.state import Trajectory
from gnsim.training.config import TrainingConfig
from gnsim.training.step import Training

#: a coupling with hidden numbers must bring the error below this share to be preferred
_PREFERRED = 0.5

#: Told the phase, the step, the number of steps and the last validation error.
Progress = Callable[[str, int, int, float], None]


def choose_structure(
    train: Trajectory, valid: Trajectory, config: TrainingConfig, seed: int, tell: Progress
) -> tuple[Structure, dict[str, float]]:
    """What the data ask for, by a short training of each coupling with all terms; and its errors.

    Couplings are tried only where the file gives no masses; given masses are taken as they are. The
    better of the couplings with hidden numbers must halve the error of the one without.
    """
    tried = _couplings(train, config)
    if len(tried) == 1 and config.terms != "auto":
        return Structure(tried[0], _terms(config.terms, train, tried[0])), {}
    schedule = replace(config, steps=config.pilot_steps)
    structures = [Structure(name, _terms(config.terms, train, name)) for name in tried]
    pilots = {s.coupling: _pilot(train, valid, schedule, s, seed, tell) for s in structures}
    errors = {name: run.validate() for name, run in pilots.items()}
    chosen = _preferred(errors)
    structure = pilots[chosen].model.structure
    if config.terms == "auto":
        structure = replace(structure, terms=pilots[chosen].needed_terms())
    return structure, errors if len(tried) > 1 else {}


def check_terms(setting: str) -> None:
    """Raises InputError for a setting `terms` that names no term."""
    if setting in ("auto", "none"):
        return
    for name in setting.split(","):
        kind = name.strip().partition(" of ")[0]
        if kind not in KINDS:
            known = ("auto", "none", *KINDS)
            raise InputError(f"training.terms: '{kind}' is unknown; {did_you_mean(kind, known)}")


def _couplings(train: Trajectory, config: TrainingConfig) -> tuple[str, ...]:
    if config.coupling != "auto":
        return (config.coupling,)
    return ("none",) if "mass" in train.attributes else tuple(COUPLINGS)


def _terms(setting: str, train: Trajectory, coupling: str) -> tuple[Term, ...]:
    if setting == "auto":
        return possible_terms(train, with_attributes=coupling == "none")
    names = [] if setting == "none" else [name.strip() for name in setting.split(",")]
    for name in names:
        weight = name.partition(" of ")[2]
        known = ("", *train.attributes) if coupling == "none" else ("",)
        if weight not in known or names.count(name) > 1:
            raise InputError(
                f"training.terms: '{name}': wanted each term once, by itself or, where no masses "
                f"are hidden, times one of {', '.join(train.attributes) or 'no attributes'}"
            )
    return tuple(Term.named(name, train.dim) for name in names)


def _preferred(errors: Mapping[str, float]) -> str:
    best = min(errors, key=lambda name: errors[name])
    plain = errors.get("none", math.inf)
    return best if len(errors) == 1 or errors[best] < _PREFERRED * plain else "none"


def _pilot(
    train: Trajectory,
    valid: Trajectory,
    config: TrainingConfig,
    structure: Structure,
    seed: int,
    tell: Progress,
) -> Training:
    """A short training."""
    run = Training(train, valid, config, structure, seed)
    while run.step < config.steps:
        run.advance(config.steps)
        tell(f"first look, hidden masses: {structure.coupling}", run.step, config.steps, math.nan)
    run.polish()
    return run
