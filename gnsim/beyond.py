"""`gnsim.discover(..., beyond=law)`: what a law leaves over, into a folder if asked."""

import json
from collections.abc import Sequence
from pathlib import Path

from gnsim.discovery import Progress
from gnsim.discovery.beyond import Beyond, beyond
from gnsim.discovery.law_fits_data import check_law
from gnsim.errors import InputError
from gnsim.recipe import GIVEN, Recipe
from gnsim.runs import RunFolder
from gnsim.source_recipe import run_folder
from gnsim.symbolic.law import Law
from gnsim.symbolic.law_file import as_text

_LAW, _ALONE, _CANDIDATE = "law.json", "law_alone.json", "law_candidate.json"
_RESULT, _SUMMARY, _FIGURE = "beyond.json", "summary.txt", "residual_acceleration"
_OF_DISCOVERY = (_LAW, "model.ckpt", "checkpoints")


def require_of_data(settings: Sequence[str], time_limit: float | None, in_memory: bool) -> None:
    """Raises InputError for what says nothing where no network is trained and none distilled."""
    for setting in settings:
        name = setting.partition("=")[0]
        if not name.startswith("data."):
            raise InputError(
                f"setting '{name}': wanted data.KEY=VALUE beside --beyond, which trains nothing; "
                "leave it out"
            )
        if in_memory:
            raise InputError(f"setting '{name}': the data are given already; leave it out")
    if time_limit is not None:
        raise InputError("--time-limit: wanted none beside --beyond, which trains nothing")


def read_law(law: Law | str | Path) -> Law:
    """A law, or the one in a file. Raises InputError for a file that holds none."""
    if isinstance(law, Law):
        return law
    try:
        return Law.load(law)
    except ValueError as error:
        raise InputError(f"--beyond: {error}") from error


def beyond_into(path: Path, recipe: Recipe, law: Law, progress: Progress) -> Beyond:
    """The search into a folder of its own: both laws, the figure, numbers and the summary.

    Raises:
        InputError: the folder holds another run or a search beyond another law, or law and data do
            not fit.
    """
    known = path / GIVEN
    if not known.exists() and any((path / name).exists() for name in _OF_DISCOVERY):
        raise InputError(f"{path}: holds the discovery of a law; name another folder")
    dataset = recipe.dataset
    check_law(dataset, law)
    if known.exists() and known.read_text(encoding="utf-8") != as_text(law):
        raise InputError(f"{path}: holds what lies beyond another law; name another folder")
    with run_folder(path, recipe) as folder:
        if not known.exists():
            law.save(known)
        found = beyond(dataset, law, recipe.seed, progress)
        write_beyond(found, folder)
    return found


def finished_beyond(path: Path, recipe: Recipe, law: Law) -> str:
    """What the same search, finished in this folder, told at its end; else empty."""
    files = [path / name for name in (GIVEN, _RESULT, _SUMMARY, _LAW)]
    if not all(file.is_file() for file in files):
        return ""
    given, result, summary = (file.read_text(encoding="utf-8") for file in files[:3])
    try:
        made = json.loads(result)
        same = (made["data_hash"], made["seed"]) == (recipe.dataset.content_hash, recipe.seed)
    except (ValueError, KeyError, TypeError):  # damaged, or of a version before
        return ""
    return summary.rstrip("\n") if same and given == as_text(law) else ""


def write_beyond(found: Beyond, folder: RunFolder) -> None:
    """The figure, ``summary.txt``, the numbers and the laws.

    ``law.json`` has the correction where held-out data bore it out; else it is
    ``law_candidate.json`` that has it.
    """
    from gnsim.atomic import write_atomic
    from gnsim.report.beyond import beyond_metrics, beyond_summary
    from gnsim.visualize.residuals import residual_acceleration_figure
    from gnsim.visualize.style import rendered

    figure = residual_acceleration_figure(found)
    for kind in ("png", "pdf"):
        write_atomic(folder / f"{_FIGURE}.{kind}", rendered(figure, kind))
    folder.write(_SUMMARY, beyond_summary(found) + "\n")
    folder.write_json(_RESULT, beyond_metrics(found))
    found.alone.save(folder / _ALONE)
    if found.law is not None and not found.law.verified:
        found.law.save(folder / _CANDIDATE)
    found.best.save(folder / _LAW)
