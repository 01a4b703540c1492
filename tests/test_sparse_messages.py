"""The experiment on sparse messages: its data, its true forces and its table."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from gnsim.datasets.systems import hamiltonian

FOLDER = Path(__file__).parents[1] / "experiments"


@pytest.fixture(scope="module")
def experiment() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        import sparse_messages

        return sparse_messages
    finally:
        sys.path.remove(str(FOLDER))


def test_a_case_is_measured_and_leaves_no_checkpoint(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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
    row = experiment.rows({"charge 3D, bottleneck": found}, experiment.CONFIGS)[-1]
    assert row.startswith("| charge 3D | bottleneck |")
    for published in ("(0.98)", "(0.986)", "yes (yes)"):
        assert published in row


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
