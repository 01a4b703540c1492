"""The experiment on sparse messages: its data, its true forces and its table."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from gnsim.datasets.systems import hamiltonian

FOLDER = Path(__file__).parents[1] / "experiments"


@pytest.fixture(scope="module")
def scripts() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def experiment(scripts: None) -> ModuleType:
    return importlib.import_module("sparse_messages")


@pytest.fixture(scope="module")
def published(scripts: None) -> ModuleType:
    return importlib.import_module("published_messages")


def measured(**other: Any) -> dict[str, Any]:
    """A case as good as any."""
    all_of_it = {"r2": 1.0, "robust": 1.0, "published": 1.0}
    return {
        "strongest": all_of_it,
        "rotated": all_of_it,
        "per_mass": {**all_of_it, "robust": 0.1},
        "live": 2,
        "test_loss": 0.01,
        "config": {"steps": 60_000},
        "law": {"found": True},
        "law_per_mass": {"found": False},
    } | other


def test_a_case_is_measured_and_leaves_no_checkpoint(
    experiment: ModuleType, published: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(experiment, "RUNS", tmp_path)
    for name, small in {"TRAIN": 8, "TEST": 8, "FRAMES": 5, "TEST_STATES": 20}.items():
        monkeypatch.setattr(experiment, name, small)
    monkeypatch.setattr(experiment, "law", lambda *about: {"law": {"found": True}})
    found = experiment.measure("charge", "3", "bottleneck", "3")
    assert found["config"]["steps"] == 3 and found["seed"] == experiment.SEED
    assert found["live"] <= 3 and len(found["variances"]) == 3
    assert found["test_loss"] > 0
    assert not list(tmp_path.iterdir())
    row = published.rows({"charge 3D, bottleneck": found}, experiment.CONFIGS)[-1]
    assert row.startswith("| charge 3D | bottleneck |")
    for known in ("(0.98)", "(0.986)", "yes (yes)"):
        assert known in row


def test_states_begin_as_published_and_move(experiment: ModuleType) -> None:
    path = experiment.states("r2", 2, 100, 0)
    assert len(path) == experiment.FRAMES and path.dim == 2
    assert path.q[0].std() == pytest.approx(1.0, abs=0.1)
    assert path.t[-1] == pytest.approx(0.99)
    assert (path.q[-1] - path.q[0]).norm(dim=1).median() > 0.5


def test_the_true_force_is_also_known_without_its_softening(experiment: ModuleType) -> None:
    names = ("dx", "dy", "r", "mass_i", "mass_j", "charge_i", "charge_j")
    X = np.array([[0.3, 0.4, 0.5, 2.0, 3.0, 1.0, -1.0]])
    softened, bare = experiment.forces("r2", 2, X, names)
    assert bare == pytest.approx(6 / 0.25 * np.array([[0.6, 0.8]]))
    assert softened == pytest.approx(6 / 0.51**2 * np.array([[0.6, 0.8]]))
    (spring,) = experiment.forces("spring", 2, X, names)
    r = torch.tensor([0.5], dtype=torch.float64)
    assert spring[0, 0] == pytest.approx(float(hamiltonian("spring").pair.force(r, {}, {})) * 0.6)


def test_the_page_is_made_from_the_results(scripts: None) -> None:
    page = importlib.import_module("message_page")
    assert page.PAGE.read_text() == page.page(page.load("sparse_messages"))


POOR = {"r2": 0.5, "robust": 0.5, "published": 0.5}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({}, ""),
        ({"test_loss": 0.5}, "loss: 0.06 of the published steps"),
        ({"strongest": POOR}, "the force lies between the axes"),
        ({"strongest": POOR, "rotated": POOR, "live": 9}, "not sparse yet: 9 live"),
        (
            {"strongest": POOR, "rotated": POOR, "per_mass": {**POOR, "robust": 0.99}},
            "messages are accelerations",
        ),
        ({"law": {"found": False}}, "messages hold the force, and the equation is not its form"),
    ],
)
def test_where_ours_is_worse_the_measurements_say_why(
    published: ModuleType, other: dict[str, Any], reason: str
) -> None:
    said = published.why_worse(measured(**other), "spring", 2, "l1")
    assert said.startswith(reason) and bool(said) == bool(reason)


def test_counts_are_of_what_was_published(published: ModuleType) -> None:
    """No R² and no law were published of the damped system, and a loss was."""
    cases = {
        "spring 2D, l1": measured(),
        "r1 2D, l1": measured(law={"found": False}, law_per_mass={"found": True}),
        "charge 2D, l1": measured(law={"found": False}, strongest=POOR),
        "damped 2D, l1": measured(test_loss=9.0),
    }
    (row,) = (row for row in published.counts(cases) if row.startswith("| l1 "))
    assert row == "| l1 | 1, 1 over mass, of 3 (2) | 3 of 3 | 3 of 4 |"
