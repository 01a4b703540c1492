"""Typed settings from keyword arguments, with a helpful word about those that do not exist."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from gnsim.config import did_you_mean
from gnsim.datasets.findings import printable

Settings = TypeVar("Settings")


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is none of `known`: with the nearest ones, or with all of them."""
    return ValueError(f"unknown {kind} '{printable(name)}': {did_you_mean(name, known)}")


def settings_from(kind: type[Settings], source: str, values: Mapping[str, Any]) -> Settings:
    """An instance of the settings dataclass `kind` of `source`.

    Raises ValueError for a setting that `kind` does not have, with the nearest that it has.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise unknown(f"setting of {source}", name, known)
    return kind(**values)


def require(holds: bool, name: str, wanted: str, found: object) -> None:
    """Raise ValueError about the setting `name` unless `holds`."""
    if not holds:
        raise ValueError(f"{name}: wanted {wanted}, found {printable(repr(found))}")


def whole(value: object, name: str, least: int) -> None:
    """Raise ValueError unless `value` is an integer of at least `least`."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    require(good, name, f"a whole number of at least {least}", value)


def positive(value: object, name: str) -> None:
    """Raise ValueError unless `value` is a finite number above zero."""
    good = isinstance(value, int | float) and 0 < value < float("inf")
    require(good, name, "a finite number above zero", value)


def not_negative(value: object, name: str) -> None:
    """Raise ValueError unless `value` is a finite number of at least zero."""
    good = isinstance(value, int | float) and 0 <= value < float("inf")
    require(good, name, "a finite number of at least 0", value)


def flag(value: object, name: str) -> None:
    """Raise ValueError unless `value` is True or False."""
    require(isinstance(value, bool), name, "True or False", value)
