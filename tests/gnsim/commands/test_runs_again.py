"""Commands on a folder that has a run: what is done again, what is shown, and in which words."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import gnsim.discovery
from gnsim.cli import run
from gnsim.datasets import Dataset
from gnsim.discovery import Discovery, DiscoveryConfig
from gnsim.errors import ExitCode
from gnsim.symbolic.engines import EngineError
from gnsim.training.fit import Fitted

SETTINGS = [
    *("training.steps=40", "training.hidden=4", "training.validate_every=20"),
    *("training.pairs_per_batch=100", "training.coupling=none", "training.terms=none"),
    "symbolic.engine=operon",
]
SPRINGS = ["trajectories=8", "bodies=2", "dim=2", "frames=8", "equal_masses=true"]


class Search:
    """Stands in for all that follows training: gives one discovery again, or runs out of time."""

    def __init__(self, found: Discovery) -> None:
        self.found, self.count, self.late = found, 0, False

    def __call__(
        self, fitted: Fitted, data: Dataset, config: DiscoveryConfig, seed: int, *_: object
    ) -> Discovery:
        self.count += 1
        if self.late:
            raise EngineError("engine operon ran out of time")
        return replace(self.found, fitted=fitted, dataset=data, config=config, seed=seed)


@pytest.fixture
def search(discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> Search:
    return installed(Search(discovery), monkeypatch)


def installed(search: Search, patch: pytest.MonkeyPatch) -> Search:
    """Figures, which take most of the time, are not drawn either."""
    patch.setattr(gnsim.discovery, "distill", search)
    patch.setattr(gnsim.discovery.chain, "distill", search)
    patch.setattr("gnsim.report.page.draw", lambda found: {})
    patch.setattr("gnsim.visualize.write_figures", lambda found, folder: [])
    return search


@pytest.fixture(scope="module")
def made(discovery: Discovery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and the finished run of them."""
    folder = tmp_path_factory.mktemp("made")
    assert run(["data", "make", "spring", *SPRINGS, "--out", str(folder / "s.npz")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        installed(Search(discovery), patch)
        assert run(discover(folder)) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    config = copy / "run" / "config.yaml"
    config.write_text(config.read_text().replace(str(made), str(copy)))
    return copy


def discover(folder: Path, *more: str) -> list[str]:
    data, out = str(folder / "s.npz"), str(folder / "run")
    return ["discover", data, "--out", out, *SETTINGS, *more]


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_finished_run_is_shown_and_not_done_again(folder, search, capsys):
    before = content(folder)
    assert run(discover(folder)) == 0
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert f"holds this run, finished, as follows; gnsim distill {folder / 'run'}" in err
    assert "F(r) = " in out and "verified: " in out
    assert out.endswith(f"\n\neverything is in {folder / 'run'}\n")
    assert search.count == 0
    assert content(folder) == before


@pytest.mark.parametrize("lost", ["law.json", "summary.txt"])
def test_a_run_that_lacks_a_result_is_not_finished(folder, search, lost, capsys):
    (folder / "run" / lost).unlink()
    assert run(discover(folder)) == 0
    assert search.count == 1
    assert (folder / "run" / lost).is_file()
    assert "training: 40 of 40, finished before" in capsys.readouterr().err


def test_what_a_time_limit_cut_short_is_finished_for_the_same_limit_only(folder, search):
    metrics = folder / "run" / "metrics.json"
    metrics.write_text(json.dumps({**json.loads(metrics.read_text()), "time_limit": 70.0}))
    assert run(discover(folder, "--time-limit", "70")) == 0
    assert search.count == 0
    assert run(discover(folder)) == 0
    assert search.count == 1


def test_other_data_are_not_taken_for_a_finished_run(folder, search, capsys):
    other = ["data", "make", "spring", *SPRINGS, "seed=5", "--out", str(folder / "s.npz")]
    (folder / "s.npz").unlink()
    assert run(other) == 0
    assert run(discover(folder)) == ExitCode.BAD_INPUT
    assert "made with another data" in capsys.readouterr().err


def test_other_settings_of_the_search_are_for_distill(folder, search, capsys):
    assert run(discover(folder, "symbolic.runs=3")) == ExitCode.BAD_INPUT
    again = ["distill", str(folder / "run"), "symbolic.runs=3"]
    assert f"gnsim {' '.join(again[:2])} symbolic.runs=VALUE" in capsys.readouterr().err
    assert run(again) == 0
    assert search.count == 1
    assert run(discover(folder, "symbolic.runs=3")) == 0  # which is finished now
    assert search.count == 1
    capsys.readouterr()
    assert run(discover(folder, "symbolic.runs=3", "training.steps=41")) == ExitCode.BAD_INPUT
    assert "distill" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "discover"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(folder, search, command, capsys):
    (folder / "run" / "law.json").unlink()
    last = folder / "run" / "checkpoints" / "step-000000040.ckpt"
    whole = last.read_bytes()
    last.write_bytes(whole[:3000] + b"\0\0\0\0" + whole[3004:])
    assert run([command, *discover(folder)[1:]]) == 0
    err = capsys.readouterr().err
    assert err.count(f"gnsim: warning: {last}: wanted a whole gnsim checkpoint") == 1
    assert "training: 20 of 40, goes on from here" in err
    assert last.read_bytes() == whole


def test_a_search_without_time_says_what_to_do(folder, search, capsys):
    search.late = True
    again = ["distill", str(folder / "run"), "symbolic.time_limit=3"]
    assert run(again) == ExitCode.OUT_OF_RESOURCES
    assert f"gnsim distill {again[1]} symbolic.time_limit=60" in capsys.readouterr().err
    assert run([*again, "--time-limit", "2"]) == ExitCode.OUT_OF_RESOURCES
    assert "leave --time-limit 2 out, or give it more" in capsys.readouterr().err
