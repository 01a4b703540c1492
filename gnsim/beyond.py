"""`gnsim.discover(..., beyond=law)`: what a law leaves over, into a folder if asked."""

from collections.abc import Sequence
from pathlib import Path

from gnsim.discovery import Progress
from gnsim.discovery.beyond import Beyond, beyond, check_law
from gnsim.errors import InputError
from gnsim.recipe import Recipe, run_folder
from gnsim.runs import RunFolder
from gnsim.symbolic.law import Law

#: what tells the folder of such a search from that of a discovery
RESULT = "beyond.json"
_LAW, _ALONE, _FIGURE = "law.json", "law_alone.json", "residual_acceleration"


def require_of_data(settings: Sequence[str], time_limit: float | None) -> None:
    """Raises InputError for what says nothing where no network is trained and none distilled."""
    for setting in settings:
        if not setting.startswith("data."):
            raise InputError(
                f"setting '{setting.partition('=')[0]}': wanted data.KEY=VALUE beside --beyond, "
                "which trains nothing; leave it out"
            )
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
    """The search into a folder of its own: ``law.json``, the figure, numbers and the summary.

    Raises:
        InputError: the folder holds another run, or law and data do not fit.
    """
    if (path / _LAW).exists() and not (path / RESULT).exists():
        raise InputError(f"{path}: holds the discovery of a law; name another folder")
    dataset = recipe.dataset
    check_law(dataset, law)
    with run_folder(path, recipe) as folder:
        found = beyond(dataset, law, recipe.seed, progress)
        write_beyond(found, folder)
    return found


def write_beyond(found: Beyond, folder: RunFolder) -> None:
    """Both laws, the figure, ``summary.txt`` and the numbers."""
    from gnsim.atomic import write_atomic
    from gnsim.report.beyond import beyond_metrics, beyond_summary
    from gnsim.visualize.residuals import residual_acceleration_figure
    from gnsim.visualize.style import rendered

    found.best.save(folder / _LAW)
    found.alone.save(folder / _ALONE)
    figure = residual_acceleration_figure(found)
    for kind in ("png", "pdf"):
        write_atomic(folder / f"{_FIGURE}.{kind}", rendered(figure, kind))
    folder.write("summary.txt", beyond_summary(found) + "\n")
    folder.write_json(RESULT, beyond_metrics(found))
