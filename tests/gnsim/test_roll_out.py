"""Rollouts of what was found: from which start, about which centre, and both are told."""

from dataclasses import replace

import pytest
import torch

from gnsim.datasets.systems import simulate
from gnsim.discovery import MEASURED_START, DiscoveryConfig, RolloutConfig, roll_out
from gnsim.metrics import relative_position_error
from gnsim.report import metrics
from gnsim.report.text import summary
from gnsim.symbolic.law import Constant, Hidden, Law
from gnsim.visualize import FIGURES

SETTINGS = {"bodies": 3, "dim": 2, "equal_masses": True, "interval": 0.05}
CONFIG = DiscoveryConfig(rollout=RolloutConfig(integrator="leapfrog"))


def quiet(*_: object) -> None:
    """Progress that nobody watches."""


def spring(masses: tuple[float, ...] = ()) -> Law:
    hidden = {"mass": Hidden(masses, (0.0,) * len(masses), tuple("abc"))} if masses else {}
    return Law("2.0*(r - c)", {"c": Constant(1.0, None)}, 2, hidden=hidden)


def truth(frames: int, trajectories: int = 1):
    path = simulate("spring", trajectories=trajectories, frames=frames, **SETTINGS)
    return replace(path, attributes={}, p=path.velocity)


def test_a_long_rollout_tells_of_its_fitted_start_and_has_the_measured_one_beside_it() -> None:
    path = truth(120)
    found = roll_out(None, spring(), path, CONFIG, quiet)
    assert {name: r.fitted_frames for name, r in found.items()} == {"law": 12, MEASURED_START: 0}
    assert float(found[MEASURED_START].position_error[0].max()) == 0
    assert float(found["law"].position_error[0].max()) > 0


@pytest.mark.parametrize(("frames", "trajectories"), [(30, 1), (100, 2)])
def test_others_start_from_the_measured_state(frames: int, trajectories: int) -> None:
    found = roll_out(None, spring(), truth(frames, trajectories), CONFIG, quiet)
    assert list(found) == ["law"]
    assert found["law"].fitted_frames == 0


def test_a_rollout_of_noisy_data_is_not_off_by_the_noise_of_its_start() -> None:
    clean, noisy = (
        simulate("spring", trajectories=8, frames=41, noise=noise, **SETTINGS)
        for noise in (0.0, 0.02)
    )
    found = roll_out(None, spring(), replace(noisy, attributes={}), CONFIG, quiet)
    assert found["law"].fitted_frames > 0
    fitted, measured = (
        float((found[name].trajectory.q - clean.q).square().mean().sqrt())
        for name in ("law", MEASURED_START)
    )
    assert fitted < 0.7 * measured


@pytest.mark.parametrize(("substeps", "taken"), [(1, "DOP853"), (100, "Leapfrog")])
def test_a_rollout_tells_by_what_it_was_integrated(substeps: int, taken: str) -> None:
    """The one that was asked for, where energy is kept with it."""
    config = DiscoveryConfig(rollout=RolloutConfig("leapfrog", substeps))
    assert roll_out(None, spring(), truth(8), config, quiet)["law"].integrator == taken


def test_the_centre_is_the_body_whose_inferred_mass_is_largest() -> None:
    path = truth(30)
    rollout = roll_out(None, spring((0.5, 0.25, 1.0)), path, CONFIG, quiet)["law"]
    about = [relative_position_error(rollout.trajectory, path, centre) for centre in (2, 0)]
    assert torch.equal(rollout.position_error, about[0])
    assert not torch.allclose(rollout.position_error, about[1])


def test_a_third_rollout_is_told_and_drawn_by_nothing_that_compares_two(discovery) -> None:
    law = discovery.rollouts["law"]
    both = {name: replace(r, fitted_frames=12) for name, r in discovery.rollouts.items()}
    three = replace(discovery, rollouts={**both, MEASURED_START: law})
    text = summary(three)
    assert "unfitted, max" in text
    assert "fitted to the first 12 of 24 frames" in text
    assert f"integrated: law by {law.integrator}, network by" in text
    assert metrics(three)["rollouts"][MEASURED_START]["fitted_frames"] == 0
    for name in ("rollout", "error_law"):
        assert FIGURES[name](three) is not None
