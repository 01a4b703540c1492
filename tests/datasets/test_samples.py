"""Ready-made samples: what they hold, that their engines make them, and who needs an engine."""

import tomllib
from importlib import util
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from gnsim.cli import run
from gnsim.datasets import SOURCES, check, load
from gnsim.datasets.engines import EXTRAS
from gnsim.datasets.samples import POSITIONS, SAMPLES, sample
from gnsim.datasets.samples.make import compressed, made
from gnsim.doctor import examine

ROOT = Path(__file__).parents[2]
#: of positions: rounding to single precision, and what chaos makes of another machine's
SAME = 1e-4
ENGINE_OF = {"balls": "pymunk", "water-drop": "taichi", "sand-column": "taichi"}
ENGINE_OF["lj-fluid"] = "openmm"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_small_and_whole(name):
    file = ROOT / f"datasets/samples/{name}.npz"
    assert file.stat().st_size < 400_000
    report = check(file)
    assert report.ok, report
    path, settings = sample(name), SOURCES[name].settings(**SAMPLES[name])
    assert path.num_systems == settings.trajectories and len(path) == settings.frames
    assert path.interval == pytest.approx(settings.interval)
    assert path.velocity_given is (name not in POSITIONS)
    assert (path.box is None) is (name != "lj-fluid") is not (path.walls is None)
    data = load(f"{name}-sample", seed=1)
    parts = [part.num_systems for part in (data.train, data.valid, data.test)]
    assert sum(parts) == settings.trajectories and min(parts) >= 1
    with pytest.raises(ValueError, match="seed: wanted a whole number"):
        load(f"{name}-sample", seed=-1)


@pytest.mark.parametrize("name", SAMPLES)
def test_its_engine_makes_it_anew(name, tmp_path):
    engine = ENGINE_OF[name]
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    first = made(name, trajectories=1)
    there = sample(name).systems(first.batch[:1])
    assert (first.q - there.q).abs().max() < SAME
    assert (made(name, trajectories=1, seed=1).q - there.q).abs().max() > 100 * SAME
    (tmp_path / "one.npz").write_bytes(compressed(first))
    assert check(tmp_path / "one.npz").ok


def test_only_samples_can_be_made():
    with pytest.raises(ValueError, match="unknown sample 'bals': did you mean 'balls'"):
        made("bals")


@pytest.mark.parametrize(("name", "engine"), ENGINE_OF.items())
def test_without_its_engine_a_source_says_what_to_do(name, engine, monkeypatch, tmp_path, capsys):
    found = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda m, *rest: None if m == engine else found(m, *rest)
    )
    assert run(["data", "make", name, "--out", str(tmp_path / "x.npz")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{name}: needs the engine {engine}, which is not installed" in said
    assert f"gnsim[{EXTRAS[engine]}]" in said and f"{name}-sample, which needs none" in said
    assert f"{name}-sample" in SOURCES


def test_every_engine_has_an_extra_and_a_line_of_the_doctor():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    looked_at = {check.name.lower() for check in examine()}
    for engine, extra in EXTRAS.items():
        assert engine in {Requirement(line).name for line in extras[extra]}
        assert f"engine {engine}" in looked_at
