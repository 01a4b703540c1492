"""``gnsim discover --beyond``: a folder of its own, and wrong input in one line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import gnsim as gs
from gnsim.cli import run
from gnsim.datasets.systems import simulate
from gnsim.errors import ExitCode
from gnsim.integrators import DOP853
from gnsim.simulator import Simulator
from gnsim.state import Trajectory
from gnsim.symbolic.law import Constant, Hidden, Law

SPRINGS = Law("k*(r - r0)", {"k": Constant(2.0, 1e-6), "r0": Constant(1.0, 1e-6)}, 2)
CUBIC = 0.02
PAGE = Path(__file__).parents[3] / "docs" / "relativity.md"


@pytest.fixture(scope="module")
def path() -> Trajectory:
    """Springs with a cubic term of a percent, between three bodies of mass one.

    Of many systems those whose bodies stay apart: an encounter costs all windows many steps.
    """
    settings = {"trajectories": 40, "bodies": 3, "dim": 2, "frames": 21, "equal_masses": True}
    springs = simulate("spring", **settings)
    source, target = springs[0].pairs
    r = (springs.q[:, source] - springs.q[:, target]).norm(dim=-1).amin(0)
    closest = r.view(springs.num_systems, -1).amin(1)
    start = springs.systems(closest.argsort(descending=True)[:10])[0]
    law = replace(SPRINGS, radial=f"{CUBIC}*(r - 1.0)**3")
    times = 0.1 * torch.arange(21, dtype=torch.float64)
    # with 1e-12, residuals beside the true law show the error of these steps as more than noise
    moved = Simulator(law.dynamics(), DOP853(1e-14)).rollout(start, times)
    return replace(moved, attributes={})


@pytest.fixture
def files(tmp_path: Path, path: Trajectory) -> tuple[Path, Path]:
    """The data and the law as a user has them."""
    data, law = tmp_path / "mine.npz", tmp_path / "law.json"
    bodies = path.num_nodes // path.num_systems
    shape = (len(path), path.num_systems, bodies, path.dim)
    q, v = (x.reshape(shape).transpose(0, 1).numpy() for x in (path.q, path.velocity))
    np.savez(data, t=path.t.numpy(), q=q, v=v)
    SPRINGS.save(law)
    return data, law


def test_what_a_law_leaves_is_found_and_kept(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a law as the documentation writes one by hand, whose constants are 10 % off."""
    data, law = files
    out = tmp_path / "run"
    law.write_text(PAGE.read_text().split("```json")[1].split("```")[0])
    given = Law.load(law)
    assert given.expr == SPRINGS.expr and given.constants["k"].value == 1.8
    assert run(["discover", str(data), "--beyond", str(law), "--out", str(out)]) == ExitCode.DONE
    told, errors = capsys.readouterr()
    assert (
        "more than noise" in told
        and "along the line" in told
        and "correction verified: true" in told
    )
    assert max(map(len, told.splitlines())) <= 100
    names = {
        "law.json",
        "law_alone.json",
        "beyond.json",
        "summary.txt",
        "residual_acceleration.png",
    }
    assert names <= {file.name for file in out.iterdir()}
    found, numbers = Law.load(out / "law.json"), json.loads((out / "beyond.json").read_text())
    assert found.corrected and found.verified and numbers["found"] and numbers["verified"]
    (new,) = set(found.constants) - set(SPRINGS.constants)
    assert found.constants[new].value == pytest.approx(CUBIC, rel=0.02)
    assert found.constants["k"].value == pytest.approx(2.0, rel=0.02)
    assert "Traceback" not in errors
    assert Law.load(out / "law_given.json") == given
    # the same again shows what was found, and searches nothing
    assert run(["discover", str(data), "--beyond", str(law), "--out", str(out)]) == ExitCode.DONE
    shown, remark = capsys.readouterr()
    assert shown == told and remark.splitlines()[-1].endswith("finished, as follows")
    assert not (out / "law_candidate.json").exists()
    refused(["discover", str(data), "--out", str(out)], "lies beyond a law", capsys)
    refused(["rollout", str(out)], "no network was trained; gnsim rollout --of law", capsys)
    assert run(["rollout", str(out), "--of", "law", "--steps", "3"]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith("law: 3 steps")
    other = tmp_path / "other.json"
    replace(SPRINGS, constants={**SPRINGS.constants, "k": Constant(2.1, 1e-6)}).save(other)
    again = ["discover", str(data), "--beyond", str(other), "--out", str(out)]
    refused(again, "beyond another law", capsys)
    again[3] = str(out / "law.json")
    refused(again, "beyond another law", capsys)
    assert Law.load(out / "law.json") == found


def refused(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == ExitCode.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line


def test_from_python_with_nothing_to_find(path: Trajectory) -> None:
    nothing = gs.discover(path, beyond=replace(SPRINGS, radial=f"{CUBIC}*(r - 1.0)**3"))
    assert nothing.law is None and nothing.best == nothing.alone
    assert not bool(nothing.residuals.beyond_noise.any())
    with pytest.raises(ValueError, match="given already"):
        gs.discover(path, {"data.units": "AU"}, beyond=SPRINGS)
    with pytest.raises(ValueError, match="law is of 3 dimensions"):
        gs.discover(path, beyond=replace(SPRINGS, dim=3))


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["training.steps=5"], "training.steps"),
        (["--time-limit", "60"], "--time-limit"),
        (["symbolic.runs=1"], "symbolic.runs"),
    ],
)
def test_settings_that_say_nothing_are_refused(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], more, part
) -> None:
    data, law = files
    out = tmp_path / "run"
    arguments = ["discover", str(data), *more, "--beyond", str(law), "--out", str(out)]
    assert run(arguments) == ExitCode.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line and not out.exists()


@pytest.mark.parametrize("fault", ["missing", "damaged", "of charges", "of other bodies"])
def test_a_law_that_cannot_be_gone_beyond(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    data, law = files
    if fault == "missing":
        law.unlink()
    elif fault == "damaged":
        law.write_text(law.read_text()[:-20])
    elif fault == "of charges":
        replace(SPRINGS, force="k*charge_i*charge_j*(r - r0)").save(law)
    else:
        hidden = {"mass": Hidden((1.0, 2.0), (0.1, 0.1), ("a", "b"))}
        replace(SPRINGS, force="k*mass_i*mass_j*(r - r0)", hidden=hidden).save(law)
    out = tmp_path / "run"
    assert (
        run(["discover", str(data), "--beyond", str(law), "--out", str(out)]) == ExitCode.BAD_INPUT
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert "--beyond" in line or "law.json" in line
    assert not out.exists()


def test_the_folder_of_a_discovery_is_left_alone(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, law = files
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.yaml").write_text("source: spring\n")
    for name in ("law.json", "model.ckpt"):
        (out / name).write_text("{}")
        arguments = ["discover", str(data), "--beyond", str(law), "--out", str(out)]
        refused(arguments, "holds the discovery", capsys)
        assert (out / name).read_text() == "{}"
        (out / name).unlink()


def test_a_drag_is_not_called_a_force_of_pairs() -> None:
    """Friction between the bodies imitates a drag of each by itself."""
    data = gs.load("damped", bodies=3, dim=2, equal_masses=True, trajectories=8, frames=13)
    found = gs.discover(data, beyond=SPRINGS)
    assert found.searched.rival is not None and found.searched.rival.name.startswith("drag")
    assert not found.best.corrected
    if found.law is not None:
        assert any("failed: drag" in reason for reason in found.law.verdict.reasons)
