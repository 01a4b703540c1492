"""What a model is made of beside its network: the coupling of its pairs, and its terms.

Where a setting leaves it open, short trainings decide: which hidden couplings the data ask for, and
which of all possible terms held-out windows do.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from gnsim.config import did_you_mean
from gnsim.errors import InputError, NonFiniteError
from gnsim.models.coupled import COUPLINGS, Structure
from gnsim.models.terms import KINDS, Term, possible_terms
from gnsim.noise import measured_noise
from gnsim.state import Trajectory
from gnsim.training.config import TrainingConfig
from gnsim.training.step import Training

#: hidden numbers, or terms, must bring the error below this share to be preferred
_PREFERRED = 0.5
#: steps of the training that decides about terms, over those of a first one
_LONGER = 3
#: charges are looked for where the error is above this, among so many bodies: two have but one
#: product, and each pair of them has a number at first
_UNEXPLAINED, _LEAST_CHARGED, _MOST_CHARGED = 0.3, 3, 30

#: Told the phase, the step, the number of steps and the last validation error.
Progress = Callable[[str, int, int, float], None]


def choose_structure(
    train: Trajectory, valid: Trajectory, config: TrainingConfig, seed: int, tell: Progress
) -> tuple[Structure, dict[str, float]]:
    """What the data ask for, by a short training of each coupling with all terms; and its errors.

    Hidden masses are tried only where the file gives none; given masses are taken as they are.
    Hidden charges are tried where all else leaves most unexplained and the file gives none. The
    best of the couplings with hidden numbers must halve the error of the one without, and terms
    that of pairs alone after a longer training.
    """
    tried = _couplings(train, config)
    charged = config.coupling == "auto" and _may_have_charges(train)
    if len(tried) == 1 and config.terms != "auto" and not charged:
        return Structure(tried[0], _terms(config.terms, train, tried[0])), {}
    schedule = replace(config, steps=config.pilot_steps)
    pilots, errors = {}, {}

    def try_out(name: str) -> None:
        structure = Structure(name, _terms(config.terms, train, name))
        pilots[name] = _pilot(train, valid, schedule, structure, seed, tell)
        errors[name] = pilots[name].unexplained()

    for name in tried:
        try_out(name)
    if charged and min(errors.values()) > _UNEXPLAINED:
        # where there are none, two that multiply each other can run away
        with suppress(NonFiniteError):
            try_out("charges")
    chosen = _preferred(errors)
    structure = pilots[chosen].model.structure
    if config.terms != "auto":
        return structure, errors if len(errors) > 1 else {}
    terms = pilots[chosen].needed_terms()
    if terms:
        # what an unfinished network cannot do yet, a term may seem to: Newton's Sun, a trap
        longer = replace(config, steps=_LONGER * config.pilot_steps)
        full = _pilot(train, valid, longer, replace(structure, terms=terms), seed, tell)
        without = math.inf
        with suppress(NonFiniteError):
            bare = replace(structure, terms=())
            without = _pilot(train, valid, longer, bare, seed, tell).unexplained()
        with_them = full.unexplained()
        if measured_noise(train) is not None:  # a longer training need not be the better one
            with_them = min(errors[chosen], with_them)
        terms = full.needed_terms() if with_them < _PREFERRED * without else ()
    return replace(structure, terms=terms), errors if len(errors) > 1 else {}


def _may_have_charges(train: Trajectory) -> bool:
    bodies = train.num_nodes // train.num_systems
    if train.bonds is not None:  # a pair without a bond says nothing of its charges
        return False
    return "charge" not in train.attributes and _LEAST_CHARGED <= bodies <= _MOST_CHARGED


def check_structure(train: Trajectory, config: TrainingConfig) -> None:
    """Raises InputError for couplings or terms that these data cannot have."""
    for name in _couplings(train, config):
        _terms(config.terms, train, name)


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
    if config.coupling == "charges" and not _may_have_charges(train):
        there = [*train.attributes, *(["bonds"] if train.bonds is not None else [])]
        raise InputError(
            f"training.coupling: hidden charges: wanted data without a charge or bonds, of "
            f"{_LEAST_CHARGED} to {_MOST_CHARGED} bodies, found "
            f"{train.num_nodes // train.num_systems} bodies with "
            f"{', '.join(there) or 'no attributes'}; use training.coupling=auto"
        )
    if config.coupling != "auto":
        return (config.coupling,)
    return ("none",) if "mass" in train.attributes else ("none", "response", "source")


def _terms(setting: str, train: Trajectory, coupling: str) -> tuple[Term, ...]:
    check_terms(setting)
    hidden = COUPLINGS[coupling].hides_masses
    if setting == "auto":
        return possible_terms(train, hidden)
    names = [] if setting == "none" else [name.strip() for name in setting.split(",")]
    for name in names:
        kind, _, weight = name.partition(" of ")
        if KINDS[kind].of_pairs and weight:
            raise InputError(
                f"training.terms: '{name}': {kind} acts between the bodies of a pair, the same on "
                f"both, and is multiplied by no attribute; write '{kind}'"
            )
        if KINDS[kind].of_pairs and hidden:
            raise InputError(
                f"training.terms: '{name}': {kind} between bodies wants masses, and these data "
                "have none; give 'mass', or training.coupling=none if all are equal"
            )
        known = ("",) if hidden else ("", *train.attributes)
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
        tell(f"first look, hidden: {structure.coupling}", run.step, config.steps, math.nan)
    run.polish()
    return run
