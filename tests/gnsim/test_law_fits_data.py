"""A law from elsewhere is held against data that it can speak of, else refused in one line."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from gnsim.datasets import Dataset, load
from gnsim.discovery.law_fits_data import check_law
from gnsim.errors import InputError
from gnsim.state import Units
from gnsim.symbolic.law import Constant, Hidden, Law

LAW = Law("k*(r - 1.0)", {"k": Constant(2.0, 0.1)}, 2)
MASSES = Hidden((1.0, 2.0, 1.0), (0.1, 0.1, 0.1), ("a", "b", "c"))
FORCE = "k*mass_i*mass_j*(r - 1.0)"


@cache
def springs() -> Dataset:
    return load("spring", trajectories=5, bodies=3, dim=2, frames=5)


def parts(dataset: Dataset, **changes: object) -> Dataset:
    each = {n: replace(getattr(dataset, n), **changes) for n in ("train", "valid", "test")}
    return replace(dataset, **each)


def without_masses() -> Dataset:
    bare = {n: {} for n in ("attributes",)}
    return parts(springs(), **bare)


def test_what_fits_goes_through() -> None:
    check_law(springs(), LAW)
    check_law(without_masses(), replace(LAW, force=FORCE, hidden={"mass": MASSES}))


@pytest.mark.parametrize(
    ("law", "changes", "part"),
    [
        (replace(LAW, dim=3), {}, "3 dimensions"),
        (replace(LAW, force="k*spin_i*spin_j*r"), {}, "attribute 'spin'"),
        (replace(LAW, units=Units("km", "s")), {"units": Units("AU", "day")}, "length is km"),
        (replace(LAW, metadata={"box": [1.0, 1.0]}), {}, "with box"),
        (LAW, {"box": torch.ones(2, dtype=torch.float64)}, "without box"),
        (LAW, {"bonds": torch.tensor([[0, 1], [1, 2]])}, "without bonds"),
        (replace(LAW, force="k*mass_i*r"), {}, "third law"),
        (replace(LAW, force=FORCE, hidden={"mass": MASSES}), {}, "gives it"),
    ],
    ids=["dim", "attribute", "units", "box", "no box", "bonds", "asymmetric", "masses"],
)
def test_what_does_not_is_refused(law: Law, changes: dict, part: str) -> None:
    with pytest.raises(InputError, match=part):
        check_law(parts(springs(), **changes), law)


@pytest.mark.parametrize(
    ("hidden", "part"),
    [
        (Hidden((1.0, 2.0), (0.1, 0.1), ("a", "b")), "for 2 bodies"),
        (replace(MASSES, names=("a", "c", "b")), "body 1 of the law is 'c'"),
    ],
)
def test_hidden_numbers_are_of_the_same_bodies(hidden: Hidden, part: str) -> None:
    names = ("a", "b", "c") * 5
    train = springs().train
    named = parts(without_masses())
    named = replace(named, train=replace(named.train, names=names[: train.num_nodes]))
    with pytest.raises(InputError, match=part):
        check_law(named, replace(LAW, force=FORCE, hidden={"mass": hidden}))
