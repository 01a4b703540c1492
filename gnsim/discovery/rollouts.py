"""Network and law run beside the truth, from one state."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from gnsim.discovery.settings import DiscoveryConfig, RolloutConfig, integrator_named
from gnsim.dynamics import Dynamics
from gnsim.integrators import DOP853, Integrator
from gnsim.metrics import energy_drift, relative_position_error
from gnsim.models.coupled import CoupledPairs
from gnsim.models.pairwise import PairwiseHamiltonian
from gnsim.models.vector_pairs import Corrected, Moving
from gnsim.noise import STILL, measured_noise, quiet_steps
from gnsim.shooting import fitted_start
from gnsim.simulator import DivergedError, Simulator
from gnsim.starts import fitted_starts
from gnsim.state import State, Trajectory
from gnsim.symbolic.law import Law

#: a single trajectory of so many frames has a first tenth to fit the start of a rollout to
_LONG = 100
_ENERGY_FRAMES = 400
#: a rollout whose energy changes by more of itself is taken again with steps of its own choice
_KEPT_ENERGY = 1e-6
#: the rollout that nothing of the held-out trajectory but its first frame went into
MEASURED_START = "law from measured start"

#: Told what is being done, how much of it is done, of how much, and a remark.
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Rollout:
    """A rollout beside the truth: how far off it is, and how well it keeps its own energy.

    `position_error` [time, nodes] is relative to the distance from the heaviest body (from the
    centre of each system where bodies are alike); `diverged` says why it ended early. The start is
    fitted to the first `fitted_frames` of the truth, for the law where there is one and else for
    the network, and is the measured state where they are 0. Energy errors are NaN where forces
    depend on velocities: nothing is kept there. `integrator` is the one it was taken by.
    """

    trajectory: Trajectory
    position_error: torch.Tensor
    energy_error: float
    energy_slope: float
    integrator: str
    diverged: str = ""
    fitted_frames: int = 0


def roll_out(
    model: CoupledPairs | None,
    law: Law | None,
    truth: Trajectory,
    config: DiscoveryConfig,
    tell: Progress,
) -> dict[str, Rollout]:
    """Network and law (what is given of them) over the held-out times, both from one state.

    Where there are many trajectories, that is the measured one, or the likeliest where data are
    noisy: an error of the start is none of the law. A single long one is started from
    the state that the law (else the network) follows its first tenth with: the measured velocities
    are those of all that is in nature, and would let a law drift that leaves a little of it out.
    The network has the law's start, which favours the law: a fit of its own takes a minute. What
    the fit is worth shows beside the law's rollout from the measured state (`MEASURED_START`).
    """
    told: dict[str, Moving] = {}
    if law is not None:
        told["law"] = law.dynamics()
    if model is not None:
        told["network"] = model.double().canonical()
    first = next(iter(told.values()))
    truth = with_hidden(truth, first)
    start, fitted_frames = truth[0], 0
    by = _integrator(first, config.rollout)
    found = measured_noise(truth)
    if truth.num_systems > 1 and found is not None:
        fitted_frames = min(len(truth), quiet_steps(truth, STILL) + 1)
        arc = replace(truth, noise=found).frames(slice(fitted_frames))
        with torch.no_grad():
            starts = fitted_starts(first, by, arc, config.rollout.substeps)
        start = start.moved(starts.phase[0], starts.phase[1] * start.mass[:, None])
    elif truth.num_systems == 1 and len(truth) >= _LONG:
        arc = truth.frames(slice(len(truth) // 10))
        tell("fitting the start of the rollout", 0, 1, "")
        with suppress(DivergedError):
            start = fitted_start(first, by, arc, config.rollout.substeps)
            fitted_frames = len(arc)
        tell("fitting the start of the rollout", 1, 1, "")
    rollouts = {
        name: replace(
            roll_out_one(dynamics, start, truth, config.rollout, f"rolling out the {name}", tell),
            fitted_frames=fitted_frames,
        )
        for name, dynamics in told.items()
    }
    if law is not None and fitted_frames:
        phase = f"rolling out the {MEASURED_START}"
        rollouts[MEASURED_START] = roll_out_one(
            told["law"], truth[0], truth, config.rollout, phase, tell
        )
    return rollouts


def with_hidden(truth: Trajectory, dynamics: Dynamics) -> Trajectory:
    """The truth with the attributes that were inferred: the heaviest body is its centre."""
    attributes = dynamics.attach(truth[0]).attributes
    told = {**attributes, **truth.attributes}
    mass = told.get("mass", truth.mass)
    return replace(truth, attributes=told, p=truth.velocity * mass[:, None])


def _integrator(dynamics: Moving, config: RolloutConfig) -> Integrator:
    """The one chosen; for what has no kicks and drifts, one that needs none."""
    return DOP853() if isinstance(dynamics, Corrected) else integrator_named(config.integrator)


def roll_out_one(
    dynamics: Moving,
    start: State,
    truth: Trajectory,
    config: RolloutConfig,
    phase: str,
    tell: Progress,
) -> Rollout:
    """One rollout from `start` along the times of `truth`, measured.

    A Hamiltonian keeps its own energy, so where the rollout does not, a close encounter was too
    quick for the step: it is then taken again with steps as small as they must be. So it is at once
    where energy is not kept anyway, for that tells nothing.
    """
    chosen, adaptive = (integrator_named(config.integrator), config.substeps), (DOP853(), 1)
    keeps_energy = isinstance(dynamics, PairwiseHamiltonian)
    found: list[Rollout] = []
    for integrator, substeps in (chosen, adaptive) if keeps_energy else (adaptive,):
        found.append(_rolled_out(dynamics, start, truth, integrator, substeps, phase, tell))
        if not found[-1].diverged and found[-1].energy_error < _KEPT_ENERGY:
            break
    return max(reversed(found), key=lambda rollout: len(rollout.trajectory))


def _rolled_out(
    dynamics: Moving,
    start: State,
    truth: Trajectory,
    integrator: Integrator,
    substeps: int,
    phase: str,
    tell: Progress,
) -> Rollout:
    """One rollout, as far as it goes."""
    simulator = Simulator(dynamics, integrator, substeps)
    diverged = ""
    try:
        path = simulator.rollout(
            start,
            truth.t,
            names=truth.names,
            progress=lambda done, total: tell(phase, done, total, ""),
        )
    except DivergedError as stopped:
        path, diverged = stopped.trajectory, str(stopped)
    stride = max(1, len(path) // _ENERGY_FRAMES)
    largest = slope = torch.tensor(math.nan)
    if isinstance(dynamics, PairwiseHamiltonian):
        with torch.no_grad():
            largest, slope = energy_drift(dynamics, path.frames(slice(None, None, stride)))
    error = relative_position_error(path, truth.frames(slice(len(path))))
    drift = (float(largest.max()), float(slope.abs().max()))
    return Rollout(path, error, *drift, type(integrator).__name__, diverged)
