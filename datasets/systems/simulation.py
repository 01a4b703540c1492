"""True trajectories of a system: drawn, followed, and drawn anew where that cannot be done."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnsim.datasets.systems.samplers import stream
from gnsim.datasets.systems.settings import SystemSettings
from gnsim.datasets.systems.system import System
from gnsim.datasets.systems.truth import attempt, lost, require_conserved
from gnsim.state import State, Trajectory

#: how often a system is drawn anew, and the share of systems beyond which the settings are to blame
_DRAWS, _RARE = 10, 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Simulated:
    """True trajectories as one batch, and how many of them are not the first that were drawn."""

    path: Trajectory
    redrawn: int

    @property
    def remark(self) -> str:
        """On what was drawn anew; empty where nothing was."""
        if not self.redrawn:
            return ""
        return (
            f"{self.redrawn} of {self.path.num_systems} trajectories drawn anew, because two "
            "bodies came too close to keep energy"
        )


def initial_state(
    system: System, settings: SystemSettings, numbers: Int[np.ndarray, " some"], draw: int = 0
) -> State:
    """The systems of these `numbers`, each from the stream of its `draw`, side by side."""
    drawn = [system.draw(settings, stream(settings.seed, int(number), draw)) for number in numbers]
    mass, charge, q, v = (
        torch.from_numpy(np.concatenate([getattr(bodies, name) for bodies in drawn]))
        for name in ("mass", "charge", "q", "v")
    )
    return State(
        q=q,
        p=v * mass[:, None],
        batch=torch.arange(len(numbers)).repeat_interleave(settings.bodies),
        attributes={"mass": mass, "charge": charge},
        bonds=None if system.bonds is None else torch.from_numpy(system.bonds(settings)),
    )


def simulated(system: System, settings: SystemSettings) -> Simulated:
    """All trajectories of a system, in float64.

    Where energy is not kept (two bodies came too close), that trajectory is drawn anew from its
    own next stream of numbers, ten times at most. Raises RuntimeError where none of these is good,
    or where most trajectories would have to be drawn anew.
    """
    path, drift = _run(system, settings, np.arange(settings.trajectories), 0)
    failed = first_failed = lost(drift)
    rare = len(failed) <= _RARE * settings.trajectories
    for draw in range(1, _DRAWS + 1):
        if not (rare and len(failed)):
            break
        again, drift[failed] = _run(system, settings, failed.numpy(), draw)
        _put(again, path, failed)
        failed = lost(drift)
    require_conserved(drift)
    result = Simulated(path, len(first_failed))
    if result.remark:
        _log.warning("%s: %s", system.name, result.remark)
    return result


def _run(
    system: System, settings: SystemSettings, numbers: Int[np.ndarray, " some"], draw: int
) -> tuple[Trajectory, Float[Tensor, " some"]]:
    start = initial_state(system, settings, numbers, draw)
    return attempt(system.dynamics(settings), start, settings.frames, settings.interval)


def _put(part: Trajectory, whole: Trajectory, systems: Int[Tensor, " some"]) -> None:
    """Write the systems of `part` over `systems` of `whole`."""
    nodes = torch.isin(whole.batch, systems)
    whole.q[:, nodes], whole.p[:, nodes] = part.q, part.p
    for name, values in part.attributes.items():
        whole.attributes[name][nodes] = values
