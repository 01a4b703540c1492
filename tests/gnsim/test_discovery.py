"""The whole chain on small data: a law where there is one, none in noise, the same bits again."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import gnsim.discovery
from gnsim.datasets import Dataset, load
from gnsim.discovery import DiscoveryConfig, RolloutConfig, SymbolicConfig, discover
from gnsim.state import Trajectory
from gnsim.symbolic.engines.base import Availability
from gnsim.symbolic.front import Candidate, gathered
from gnsim.symbolic.parser import parse
from gnsim.training.config import TrainingConfig

Patch = pytest.MonkeyPatch
QUICK = DiscoveryConfig(
    training=TrainingConfig(
        hidden=8, steps=40, pilot_steps=5, validate_every=20, pairs_per_batch=200
    ),
    symbolic=SymbolicConfig(
        engine="operon",
        runs=1,
        time_limit=12.0,
        samples=200,
        window=2,
        windows=30,
        selection_windows=20,
        verdict_windows=30,
    ),
    rollout=RolloutConfig(integrator="leapfrog"),
)


@cache
def springs() -> Dataset:
    return load("spring", trajectories=15, bodies=3, dim=2, frames=13, equal_masses=True)


def noise(like: Trajectory, seed: int) -> Trajectory:
    generator = torch.Generator().manual_seed(seed)
    q, p = (torch.randn(like.q.shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return replace(like, q=q, p=p)


def nothing() -> Dataset:
    whole = springs()
    train, valid, test = (
        noise(part, k) for k, part in enumerate((whole.train, whole.valid, whole.test))
    )
    return Dataset("noise", train, valid, test, "random numbers")


class Offered:
    """Stands in for an engine, whose time would rule the outcome: the same few equations always."""

    equations = ("1.7", "2.3*r", "1.9*r - 2.2", "0.7/r**2", "1.1*r**2 - 0.4*r")

    def available(self) -> Availability:
        return Availability(True, "a stand-in")

    def search(self, X: np.ndarray, y: np.ndarray, names: tuple, **settings: object) -> list:
        offered = [Candidate(parse(text, ("r",)), 0, 0.0, "operon") for text in self.equations]
        return gathered(offered, names, X, y)


def test_a_seed_gives_the_same_law_to_the_bit(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(gnsim.discovery.equations, "engine", lambda name: Offered())
    for name in ("first", "again"):
        law = discover(springs(), QUICK, seed=0).law
        law.save(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    assert law.equals("k*(r - r0)"), str(law)
    assert not law.equals("k*r")
    assert law.values["r0"] == pytest.approx(1.0, rel=0.01)
    assert law.values["k"] == pytest.approx(2.0, rel=0.01)


def test_noise_has_no_law(monkeypatch: Patch) -> None:
    monkeypatch.setattr(gnsim.discovery.equations, "engine", lambda name: Offered())
    law = discover(nothing(), QUICK, seed=0).law
    assert not law.verified
    assert law.verdict is not None
    assert law.verdict.status == "no law found"
