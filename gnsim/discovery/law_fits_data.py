"""Whether a law that comes from elsewhere can be held against a data set."""

from dataclasses import astuple, fields

import numpy as np

from gnsim.bodies import body_names
from gnsim.datasets import Dataset
from gnsim.errors import InputError
from gnsim.symbolic.law import Law

_REMEDY = "give a law that was found in such data"


def check_law(dataset: Dataset, law: Law) -> None:
    """Raises InputError for a law of other dimensions, bodies, attributes, units, box or bonds."""
    path = dataset.train
    if law.dim != path.dim:
        raise InputError(
            f"--beyond: the law is of {law.dim} dimensions, {dataset.name} has {path.dim}; "
            f"{_REMEDY}"
        )
    known = {*path.attributes, *law.hidden}
    if missing := [name for name in law.attributes if name not in known]:
        raise InputError(
            f"--beyond: the law goes by the attribute {missing[0]!r}, {dataset.name} has "
            f"{', '.join(sorted(known)) or 'none'}; {_REMEDY}"
        )
    for field, one, other in zip(
        fields(law.units), astuple(law.units), astuple(path.units), strict=True
    ):
        if one and other and one != other:
            raise InputError(
                f"--beyond: the law's unit of {field.name} is {one}, that of {dataset.name} is "
                f"{other}; {_REMEDY}"
            )
    _check_hidden(dataset, law)
    for name, value in (("box", path.box), ("bonds", path.bonds)):
        own = law.metadata.get(name)
        there = None if value is None else value.tolist()
        if (own is None) != (there is None) or not np.array_equal(own or [], there or []):
            raise InputError(
                f"--beyond: the law was found {'with' if own else 'without'} {name}, "
                f"{dataset.name} has {'others' if own and there else 'some' if there else 'none'}; "
                f"{_REMEDY}"
            )
    try:
        law.dynamics()
    except ValueError as error:
        raise InputError(f"--beyond: {error}") from error


def _check_hidden(dataset: Dataset, law: Law) -> None:
    path = dataset.train
    names = body_names(path)
    for attribute, hidden in law.hidden.items():
        if attribute in path.attributes:
            raise InputError(
                f"--beyond: the law inferred {attribute}, and {dataset.name} gives it; {_REMEDY}"
            )
        if len(hidden.values) != len(names):
            raise InputError(
                f"--beyond: the law has {attribute} for {len(hidden.values)} bodies, "
                f"{dataset.name} has {len(names)}; {_REMEDY}"
            )
        if path.names and tuple(hidden.names) != tuple(names):
            odd = next(k for k, n in enumerate(names) if n != hidden.names[k])
            raise InputError(
                f"--beyond: body {odd} of the law is {hidden.names[odd]!r}, that of "
                f"{dataset.name} is {names[odd]!r}; {_REMEDY}"
            )
