"""`gnsim.discover`: the whole chain from whatever holds trajectories, into a folder if asked."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload

from gnsim import discovery as chain
from gnsim.beyond import beyond_into, read_law, require_of_data
from gnsim.config import as_mapping, parse_settings
from gnsim.datasets import Dataset, load, write
from gnsim.datasets.splits import split
from gnsim.discovery import Beyond, Discovery, DiscoveryConfig, Progress, Rollout, check_settings
from gnsim.discovery.law_fits_data import check_law
from gnsim.errors import InputError
from gnsim.recipe import GIVEN, Recipe, check_parts, trained
from gnsim.runs import RunFolder
from gnsim.source_recipe import CONFIG, refuse_foreign, run_folder
from gnsim.state import Trajectory
from gnsim.symbolic.engines import EngineError
from gnsim.symbolic.law import Law
from gnsim.training.checkpoint import CheckpointFolder
from gnsim.training.fit import Fitted

_PARTS = ("train", "valid", "test")
#: what a finished run leaves; metrics.json is written last
_SUMMARY, _METRICS = "summary.txt", "metrics.json"
#: seconds in which every engine finds something, on slow machines too
_ENOUGH = 60.0
_RESULTS = ("model.ckpt", "law.json", "report.html", _SUMMARY, _METRICS)


@overload
def discover(
    source: Dataset | Trajectory | str | Path,
    settings: Mapping[str, Any] | None = ...,
    *,
    seed: int = ...,
    out: str | Path | None = ...,
    time_limit: float | None = ...,
    progress: Progress | None = ...,
    beyond: None = ...,
) -> Discovery: ...


@overload
def discover(
    source: Dataset | Trajectory | str | Path,
    settings: Mapping[str, Any] | None = ...,
    *,
    seed: int = ...,
    out: str | Path | None = ...,
    progress: Progress | None = ...,
    beyond: Law | str | Path,
) -> Beyond: ...


def discover(
    source: Dataset | Trajectory | str | Path,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    time_limit: float | None = None,
    progress: Progress | None = None,
    beyond: Law | str | Path | None = None,
) -> Discovery | Beyond:
    """Learns the interaction in trajectories, distils it into a law, and checks the law.

    Args:
        source: a data set, a trajectory (split 60 / 20 / 20 %), the name of a built-in source, or
            the path of a file.
        settings: by their dotted names, as on the command line: ``{"training.steps": 500}``.
        seed: the same seed gives the same result on one machine.
        out: a folder for the law, the report, figures and checkpoints; nothing is kept without.
            Training goes on from where it stands there; the search is made anew.
        time_limit: seconds to train and to search for equations, after which the best so far is
            what counts. Short trainings that look for what is hidden, five seconds of search, the
            last refit, verdict and rollouts come on top.
        progress: told the phase, how much of it is done, of how much, and a remark.
        beyond: an accepted law, or the file of one. Nothing is trained then: what the law leaves of
            the accelerations is weighed against its noise, and searched for pair forces of distance
            and relative velocity. Settings are those of the data.

    Raises:
        ValueError: data or settings that cannot be used.
        EngineError: no engine of symbolic regression gave any candidate.
    """
    written = [f"{name}={value}" for name, value in (settings or {}).items()]
    if beyond is not None:
        require_of_data(written, time_limit, isinstance(source, Dataset | Trajectory))
        return _look_beyond(read_law(beyond), source, written, seed, out, progress or _silent)
    options: dict[str, Any] = {"time_limit": time_limit, "progress": progress}
    if isinstance(source, Dataset | Trajectory):
        return _discover_given(_dataset(source), written, seed, out, options)
    recipe = Recipe.of(source, seed, written)
    if out is None:
        return chain.discover(recipe.dataset, recipe.config, seed=seed, **options)
    return discover_into(Path(out), recipe, **options)


def _look_beyond(
    law: Law,
    source: Dataset | Trajectory | str | Path,
    settings: list[str],
    seed: int,
    out: str | Path | None,
    progress: Progress,
) -> Beyond:
    """See `discover`."""
    if isinstance(source, Dataset | Trajectory):
        dataset = _dataset(source)
        if out is None:
            return chain.beyond(dataset, law, seed, progress)
        check_law(dataset, law)  # before a copy of the data is written
        recipe = _kept(dataset, Path(out), seed, settings)
    else:
        recipe = Recipe.of(source, seed, settings)
        if out is None:
            return chain.beyond(recipe.dataset, law, seed, progress)
    return beyond_into(Path(out), recipe, law, progress)


def discover_into(
    path: Path,
    recipe: Recipe,
    *,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Discovery:
    """The whole chain into a run folder; training goes on from where it stands there."""
    _refuse_beyond(path)
    dataset = recipe.dataset
    with run_folder(path, recipe) as folder, _saying_what_is_saved(path, recipe, time_limit):
        _tell_of_training(path, recipe, progress or _silent)
        found = chain.discover(
            dataset,
            recipe.config,
            seed=recipe.seed,
            folder=path,
            time_limit=time_limit,
            progress=progress,
        )
        command = f"gnsim discover {recipe.source} --seed {recipe.seed}"
        write_results(found, folder, command, time_limit)
    return found


def finished(path: Path, recipe: Recipe, time_limit: float | None = None) -> str:
    """What a run of `recipe` that is finished in this folder told at its end; else empty.

    One that had a time limit is finished only for the same limit.
    """
    if not all((path / name).is_file() for name in _RESULTS):
        return ""
    wanted = {
        "data_hash": recipe.dataset.content_hash,
        "seed": recipe.seed,
        "config": as_mapping(recipe.config),
    }
    try:
        made = json.loads((path / _METRICS).read_text(encoding="utf-8"))
        same = {key: made[key] for key in wanted} == wanted
        limit = made["time_limit"]
    except (ValueError, KeyError, TypeError):  # damaged, or of a version before
        return ""
    if not same or limit not in (None, time_limit):
        return ""
    return (path / _SUMMARY).read_text(encoding="utf-8").rstrip("\n")


def train_into(
    path: Path,
    recipe: Recipe,
    *,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """The network alone into a run folder, where `distill_in` and a rollout find it."""
    _refuse_beyond(path)
    dataset = recipe.dataset
    deadline = None if time_limit is None else time.monotonic() + time_limit
    tell = progress or _silent
    with run_folder(path, recipe):
        _tell_of_training(path, recipe, tell)
        return chain.train(dataset, recipe.config, recipe.seed, path, deadline, tell)


def _refuse_beyond(path: Path) -> None:
    """Raises InputError for the folder of a search beyond a law, whose law a run would replace."""
    if (path / GIVEN).exists():
        raise InputError(f"{path}: holds what lies beyond a law; name another folder")


def distill_in(
    path: Path,
    settings: Sequence[str] = (),
    *,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Discovery:
    """Search, selection, verdict, rollouts and report from the network in a run folder.

    `settings` of the search that differ from those of the run go to its ``config.yaml``.

    Raises:
        InputError: no run folder, no whole ``model.ckpt`` in it, or data other than it was
            trained on.
    """
    recipe = Recipe.read(path, settings)
    fitted = trained(path, recipe)
    deadline = None if time_limit is None else time.monotonic() + time_limit
    with RunFolder(path) as folder, _saying_what_is_saved(path, recipe, time_limit):
        recipe.write(path)
        found = chain.distill(
            fitted, recipe.dataset, recipe.config, recipe.seed, path, deadline, progress or _silent
        )
        write_results(found, folder, f"gnsim distill {path}", time_limit)
    return found


def rolled_out(
    path: Path, names: Sequence[str], steps: int | None, progress: Progress
) -> dict[str, Rollout]:
    """``law`` and ``network`` of a run folder, those of `names`, over its held-out data.

    Raises:
        InputError: no run folder, a file of it that is missing or damaged, or more `steps` than
            there are data.
    """
    recipe = Recipe.read(path)
    truth = recipe.dataset.test
    if steps is not None and steps >= len(truth):
        raise InputError(
            f"--steps: wanted at most {len(truth) - 1}, the held-out steps of "
            f"{recipe.dataset.name}, found {steps}"
        )
    truth = truth if steps is None else truth.frames(slice(steps + 1))
    law = Law.load(path / "law.json") if "law" in names else None
    model = trained(path, recipe).model if "network" in names else None
    return chain.roll_out(model, law, truth, recipe.config, progress)


def write_results(
    found: Discovery, folder: RunFolder, command: str, time_limit: float | None
) -> None:
    """``law.json``, ``report.html``, the figures, ``summary.txt`` and ``metrics.json``."""
    from gnsim.report import metrics, summary, write_report
    from gnsim.visualize import write_figures

    found.law.save(folder / "law.json")
    write_figures(found, folder / "figures")
    write_report(found, folder.path, command)
    folder.write(_SUMMARY, summary(found) + "\n")
    folder.write_json(_METRICS, {**metrics(found), "time_limit": time_limit})


def _tell_of_training(path: Path, recipe: Recipe, tell: Progress) -> None:
    """Says how much of the training was done before, by the last checkpoint that is whole."""
    latest = CheckpointFolder(path / "checkpoints").latest()
    if latest is not None:
        config, step = recipe.config.training, latest.header["step"]
        ended = step >= config.steps or latest.header["stale"] >= config.patience
        tell("training", step, config.steps, "finished before" if ended else "goes on from here")


@contextmanager
def _saying_what_is_saved(path: Path, recipe: Recipe, time_limit: float | None) -> Iterator[None]:
    """Adds to the error of a search that failed that the network is not lost, and what to do."""
    try:
        yield
    except EngineError as error:
        had, again = recipe.config.symbolic.time_limit, f"gnsim distill {path}"
        longer = max(2 * had, _ENOUGH)
        way = f"{again} symbolic.time_limit={longer:g} searches for so many seconds, not {had:g}"
        if time_limit is not None:
            way = f"{again} searches again; leave --time-limit {time_limit:g} out, or give it more"
        saved = f"the trained network is saved in {path / 'model.ckpt'}"
        raise EngineError(f"{error}; {saved}; {way}") from error


def _silent(phase: str, done: int, total: int, remark: str) -> None:
    """Nobody is told."""


def _dataset(source: Dataset | Trajectory) -> Dataset:
    if isinstance(source, Dataset):
        return source
    train, valid, test = split(source)
    return Dataset("trajectory", train, valid, test, "given as a Trajectory")


def _discover_given(
    dataset: Dataset, settings: list[str], seed: int, out: str | Path | None, options: Any
) -> Discovery:
    """From data in memory; a folder gets a copy of them, so that it can repeat itself."""
    config = parse_settings(DiscoveryConfig, settings)
    check_settings(config)
    check_parts(dataset, config)
    if out is None:
        return chain.discover(dataset, config, seed=seed, **options)
    return discover_into(Path(out), _kept(dataset, Path(out), seed, settings), **options)


def _kept(dataset: Dataset, out: Path, seed: int, settings: list[str]) -> Recipe:
    """A recipe that reads `dataset` from its copy in the folder `out`."""
    data = out / "data"
    new = not (out / CONFIG).exists()
    if new:
        refuse_foreign(out, but="data")
        with RunFolder(out):
            _write_parts(dataset, data)
    recipe = Recipe.of(data, seed, settings)
    copy = recipe.dataset
    if not new and copy.content_hash != _as_stored(dataset).content_hash:
        raise InputError(f"{data}: holds other data than were given; name another folder")
    known = replace(
        copy,
        name=dataset.name,
        reference=dataset.reference,
        law=dataset.law,
        terms=dataset.terms,
        constants=dataset.constants,
    )
    return recipe.with_dataset(known)


def _write_parts(dataset: Dataset, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for part in _PARTS:
        write(folder / f"{part}.h5", getattr(dataset, part))


def _as_stored(dataset: Dataset) -> Dataset:
    """The same data as a folder gives them back: in float64, estimated velocities estimated."""
    with TemporaryDirectory() as folder:
        _write_parts(dataset, Path(folder))
        return load(folder)
