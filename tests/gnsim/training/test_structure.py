"""Which terms a training can have."""

import pytest

from gnsim.datasets import Dataset, load
from gnsim.errors import InputError
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
        ("friction", "'friction' is unknown"),
        ("magnetic of spin", "times one of"),
        ("drag, drag", "each term once"),
    ],
)
def test_terms_that_data_cannot_have_are_refused(damped: Dataset, terms: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_training(small(terms=terms))
        choose_structure(damped.train, damped.valid, small(terms=terms), 0, silent)
