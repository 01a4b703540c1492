"""Which terms a training can have."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from gnsim.datasets import Dataset, load
from gnsim.errors import InputError
from gnsim.models.coupled import Structure
from gnsim.models.terms import Term
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import check_training
from gnsim.training.structure import choose_structure

SIZES = {"trajectories": 12, "bodies": 3, "dim": 2, "frames": 20, "interval": 0.1}


def small(**other: object) -> TrainingConfig:
    settings = {"hidden": 8, "steps": 30, "pilot_steps": 60, "validate_every": 10}
    return TrainingConfig(**{**settings, "pairs_per_batch": 60, **other})


@pytest.fixture(scope="module")
def damped() -> Dataset:
    return load("damped", **SIZES)


def silent(*told: object) -> None:
    pass


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("viscosity", "'viscosity' is unknown"),
        ("friction of mass", "multiplied by no attribute; write 'friction'"),
        ("magnetic of spin", "times one of"),
        ("drag, drag", "each term once"),
    ],
)
def test_terms_that_data_cannot_have_are_refused(damped: Dataset, terms: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_training(small(terms=terms))
        choose_structure(damped.train, damped.valid, small(terms=terms), 0, silent)


class Pilot:
    """A short training of which the errors are known beforehand."""

    def __init__(self, error: float, structure: Structure, needed: tuple[Term, ...]) -> None:
        self.error, self.model, self.needed = error, SimpleNamespace(structure=structure), needed

    def unexplained(self) -> float:
        return self.error

    def needed_terms(self) -> tuple[Term, ...]:
        return self.needed


@pytest.mark.parametrize(
    ("without", "longer", "noisy", "kept"),
    [
        (0.5, 0.1, False, ("drag",)),
        (0.15, 0.1, False, ()),
        (0.21, 0.1, False, ("drag",)),
        (0.01, 0.1, False, ()),
        # in noise, the longer training with the term may be the worse one
        (0.21, 0.3, True, ("drag",)),
        (0.21, 0.3, False, ()),
    ],
)
def test_a_term_must_still_help_after_a_longer_training(
    damped: Dataset,
    without: float,
    longer: float,
    noisy: bool,
    kept: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def pilot(train, valid, config, structure, seed, tell) -> Pilot:
        seen.append((config.steps, tuple(term.name for term in structure.terms)))
        drag = tuple(term for term in structure.terms if term.name == "drag")
        with_drag = longer if len(seen) > 1 else 0.1
        return Pilot(with_drag if drag else without, structure, drag)

    monkeypatch.setattr("gnsim.training.structure._pilot", pilot)
    path = damped.train
    if noisy:
        path = replace(path, noise=torch.full((path.num_nodes, 2), 0.1, dtype=torch.float64))
    chosen, _ = choose_structure(path, damped.valid, small(), 0, silent)
    assert tuple(term.name for term in chosen.terms) == kept
    assert [terms for _, terms in seen[1:]] == [("drag",), ()]
    assert all(steps > seen[0][0] for steps, _ in seen[1:])
