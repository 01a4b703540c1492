"""Laws on disk: JSON of a fixed schema, every value checked on the way in, nothing ever run."""

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sympy

from gnsim.atomic import write_atomic
from gnsim.models.terms import Term
from gnsim.state import Units
from gnsim.symbolic.expressions import SPEEDS, is_variable, text_of
from gnsim.symbolic.law import Constant, Hidden, Law, Verdict
from gnsim.symbolic.parser import names_in, parse

FORMAT, SCHEMA = "gnsim-law", 1
_MAX_BYTES = 4_000_000
_STATUSES = ("verified", "candidate", "no law found")
_REMEDY = "restore the file or run the discovery again"


class _FieldError(Exception):
    """A field that isn't what the schema wants: its path, what was found, what was expected."""


def save(law: Law, path: str | os.PathLike[str]) -> None:
    try:
        text = as_text(law)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: the law can't be written ({error}); its numbers must be finite and its "
            "metadata plain numbers, texts, lists and dicts"
        ) from None
    write_atomic(path, text)


def as_text(law: Law) -> str:
    """What a file of the law holds. Raises ValueError or TypeError for what JSON cannot say."""
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "force": text_of(law.expr),
        "radial": text_of(law.radial_expr),
        "transverse": text_of(law.transverse_expr),
        "dim": law.dim,
        "terms": [{"kind": term.kind, "weight": term.weight} for term in law.terms],
        "units": dataclasses.asdict(law.units),
        "constants": {name: dataclasses.asdict(c) for name, c in law.constants.items()},
        "hidden": {name: dataclasses.asdict(h) for name, h in law.hidden.items()},
        "complexity": law.complexity,
        "loss": law.loss,
        "verdict": dataclasses.asdict(law.verdict) if law.verdict else None,
        "metadata": dict(law.metadata),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def load(path: str | os.PathLike[str]) -> Law:
    try:
        return _law(_content(Path(path)))
    except _FieldError as bad:
        field, found, expected = bad.args
        raise ValueError(
            f"{path}, {field}: found {_short(found)}, expected {expected}; {_REMEDY}"
        ) from None


def _content(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: can't be read ({error.strerror}); check the path") from None
    if len(data) > _MAX_BYTES:
        raise _FieldError("file", f"more than {_MAX_BYTES} bytes", "a law of a few thousand bytes")
    try:
        content = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _FieldError("file", f"no JSON ({error})", "a JSON object") from None
    return _mapping("file", content)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a finite number")


def _law(content: Mapping[str, Any]) -> Law:
    if content.get("format") != FORMAT:
        raise _FieldError("format", content.get("format"), repr(FORMAT))
    if type(content.get("schema")) is not int or content["schema"] != SCHEMA:
        raise _FieldError("schema", content.get("schema"), f"{SCHEMA} (a newer gnsim may read it)")
    constants = _table(content, "constants", _constant)
    dim = _whole("dim", content.get("dim"), 1, 16)
    hidden = _table(content, "hidden", _hidden)
    complexity, loss, verdict = (content.get(k) for k in ("complexity", "loss", "verdict"))
    try:
        return Law(
            force=_expression("force", content.get("force"), constants, ()),
            radial=_expression("radial", content.get("radial", "0"), constants, SPEEDS),
            transverse=_expression("transverse", content.get("transverse", "0"), constants, SPEEDS),
            constants=constants,
            dim=dim,
            terms=_row("terms", content.get("terms", []), lambda f, value: _term(f, value, dim)),
            units=_units(content),
            hidden=hidden,
            complexity=None if complexity is None else _whole("complexity", complexity, 0, 10**9),
            loss=None if loss is None else _number("loss", loss),
            verdict=None if verdict is None else _verdict(verdict),
            metadata=_metadata(content.get("metadata", {}), dim),
        )
    except (ValueError, TypeError) as error:
        raise _FieldError("law", error, "a consistent law") from None


def _expression(
    field: str, value: Any, constants: Mapping[str, Constant], speeds: Sequence[str]
) -> sympy.Expr:
    text = _text(field, value)
    try:
        variables = [name for name in names_in(text) if is_variable(name)]
        return parse(text, [*variables, *speeds, *constants])
    except ValueError as error:
        names = ", ".join(("r", *speeds, "NAME_i", "NAME_j"))
        raise _FieldError(field, error, f"an expression in {names} and the constants") from None


def _term(field: str, value: Any, dim: int) -> Term:
    value = _mapping(field, value)
    kind = _text(f"{field}.kind", value.get("kind"))
    weight = _text(f"{field}.weight", value.get("weight", ""))
    try:
        return Term(kind, dim, weight)
    except ValueError as error:
        raise _FieldError(f"{field}.kind", error, "a term of this gnsim") from None


def _units(content: Mapping[str, Any]) -> Units:
    units = _mapping("units", content.get("units", {}))
    names = {f.name for f in dataclasses.fields(Units)}
    if set(units) - names:
        raise _FieldError("units", sorted(units), f"some of {sorted(names)}")
    return Units(**{name: _text(f"units.{name}", unit) for name, unit in units.items()})


def _constant(field: str, value: Any) -> Constant:
    value = _mapping(field, value)
    error = value.get("stderr")
    return Constant(
        _number(f"{field}.value", value.get("value")),
        None if error is None else _number(f"{field}.stderr", error),
        _text(f"{field}.unit", value.get("unit", "")),
    )


def _hidden(field: str, value: Any) -> Hidden:
    value = _mapping(field, value)
    return Hidden(
        _row(f"{field}.values", value.get("values"), _number),
        _row(f"{field}.stderr", value.get("stderr"), _number),
        _row(f"{field}.names", value.get("names"), _text),
        _text(f"{field}.unit", value.get("unit", "")),
    )


def _verdict(value: Any) -> Verdict:
    value = _mapping("verdict", value)
    verified, status = value.get("verified"), value.get("status")
    if not isinstance(verified, bool):
        raise _FieldError("verdict.verified", verified, "true or false")
    if status not in _STATUSES or verified != (status == "verified"):
        raise _FieldError("verdict.status", status, f"one of {_STATUSES}, in accord with verified")
    return Verdict(verified, status, _row("verdict.reasons", value.get("reasons"), _text))


def _metadata(value: Any, dim: int) -> Mapping[str, Any]:
    """Free, but for what `Law.acceleration` goes by."""
    value = _mapping("metadata", value)
    _row("metadata.attributes", value.get("attributes", []), _text)
    if "box" in value and len(_row("metadata.box", value["box"], _number)) != dim:
        raise _FieldError("metadata.box", value["box"], f"{dim} edges")
    if "bonds" in value:
        ends = _row("metadata.bonds", value["bonds"], lambda f, row: _row(f, row, _place))
        if len(ends) != 2 or len(ends[0]) != len(ends[1]):
            raise _FieldError("metadata.bonds", value["bonds"], "two rows of one length")
    return value


def _place(field: str, value: Any) -> int:
    return _whole(field, value, 0, 10**9)


def _table(
    content: Mapping[str, Any], field: str, read: Callable[[str, Any], Any]
) -> dict[str, Any]:
    table = _mapping(field, content.get(field, {}))
    return {name: read(f"{field}.{name[:40]}", value) for name, value in table.items()}


def _row(field: str, value: Any, read: Callable[[str, Any], Any]) -> tuple:
    if not isinstance(value, list):
        raise _FieldError(field, value, "a list")
    return tuple(read(f"{field}[{k}]", item) for k, item in enumerate(value))


def _mapping(field: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _FieldError(field, value, "a JSON object")
    return value


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _FieldError(field, value, "text")
    return value


def _number(field: str, value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(_as_float(value)):
        raise _FieldError(field, value, "a finite number")
    return float(value)


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _whole(field: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise _FieldError(field, value, f"a whole number from {low} to {high}")
    return value


def _short(found: object) -> str:
    text = " ".join((str(found) if isinstance(found, Exception) else repr(found)).split())
    return text if len(text) <= 200 else text[:197] + "..."
