"""An evaluation as text, CSV, JSON and a figure."""

import csv
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gnsim.config import as_mapping
from gnsim.datasets import Dataset
from gnsim.errors import InputError
from gnsim.report.scores import versions
from gnsim.runs import RunFolder
from gnsim.simulators.evaluation import Evaluation
from gnsim.simulators.tested_on import tested_part
from gnsim.source_recipe import SourceRecipe
from gnsim.visualize.evaluation import evaluation_figure
from gnsim.visualize.style import rendered

#: digits of a hash in the name of a file
_SHORT = 8

_FOLDER = "evaluation"
_COLUMNS = ("mean", "median", "p99")


def table(found: Evaluation) -> str:
    """The rows in columns, for a terminal."""
    lines = [f"{'':34}{'mean':>11}{'median':>11}{'99 in 100':>11}"]
    for row in found.rows:
        numbers = "".join(f"{getattr(row, name):>11.3g}" for name in _COLUMNS)
        lines.append(f"{row.name:34}{numbers}  {row.unit}".rstrip())
    return "\n".join(lines)


def require_place(folder: Path) -> None:
    """Raises InputError where there can be no folder of evaluations in `folder`."""
    place = folder / _FOLDER
    if place.exists() and not place.is_dir():
        raise InputError(
            f"{place}: wanted a folder for the tables, found a file; move it elsewhere"
        )


def write_evaluation(
    found: Evaluation, folder: RunFolder, data: SourceRecipe, own: bool = True
) -> Path:
    """``evaluation/NAME`` as .csv, .json, .png and .pdf; the first of these.

    The name tells the integrator, the factor of the step, and of `data` that are not the `own` ones
    of the run what they are, with the beginning of their hash.
    """
    (folder / _FOLDER).mkdir(exist_ok=True)
    name = f"{_FOLDER}/{_name(found, None if own else data.dataset)}"
    figure = evaluation_figure(found, data.dataset.name)
    for kind in ("png", "pdf"):
        folder.write(f"{name}.{kind}", rendered(figure, kind))
    content = {
        "settings": _finite(found.settings),
        "rows": [_finite(r._asdict()) for r in found.rows],
    }
    folder.write_json(f"{name}.json", {**content, "data": _told(data, own), **_origin()})
    return folder.write(f"{name}.csv", _csv(found))


def _told(data: SourceRecipe, own: bool) -> dict[str, Any]:
    """All by which the data can be had again, and known again."""
    return {
        "own": own,
        "tested": tested_part(data, own),
        "source": data.source,
        "settings": _finite(as_mapping(data.data)),
        "content_hash": data.dataset.content_hash,
    }


def _origin() -> dict[str, Any]:
    return {"versions": versions()}


def _name(found: Evaluation, other: Dataset | None) -> str:
    """Of letters, digits, dots and dashes, whatever a file was called."""
    settings = found.settings
    parts = [settings["tested_integrator"], f"dt{settings['factor']:g}"]
    parts += [f"{settings['states_compared']}states"]
    if other is not None:
        parts += [other.name, "-".join(f"{count}" for count in settings["bodies"]) + "bodies"]
        parts += [other.content_hash[:_SHORT]]
    return re.sub(r"[^A-Za-z0-9.-]", "_", "-".join(parts))


def _finite(named: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: None in its place."""
    lost = {k for k, v in named.items() if isinstance(v, float) and not math.isfinite(v)}
    return {k: None if k in lost else v for k, v in named.items()}


def _csv(found: Evaluation) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("measure", "unit", *_COLUMNS))
    writer.writerows((row.name, row.unit, row.mean, row.median, row.p99) for row in found.rows)
    return stream.getvalue()
