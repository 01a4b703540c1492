"""How well rollouts of the law and of the network keep their own energy."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from gnsim.dynamics import Hamiltonian
from gnsim.metrics import energy_change
from gnsim.state import Trajectory
from gnsim.visualize.style import LAW, MINUS, NETWORK, canvas, elapsed, label_axes, styled

if TYPE_CHECKING:
    from gnsim.discovery import Discovery

_FRAMES = 400


@styled
def energy_figure(discovery: "Discovery") -> Figure | None:
    """Relative energy error of both rollouts over time; of the worst of many systems.

    None where both ended at once, and where forces depend on velocities: no energy is kept there.
    """
    dynamics = {"law": discovery.law.dynamics(), "network": discovery.model.canonical()}
    hamiltonians = {n: d for n, d in dynamics.items() if isinstance(d, Hamiltonian)}
    if not hamiltonians or all(
        len(rollout.trajectory) < 2 for rollout in discovery.rollouts.values()
    ):
        return None
    systems = discovery.dataset.test.num_systems
    of = f", the largest of {systems} systems" if systems > 1 else ""
    figure, axes = canvas(f"Energy error of the rollouts{of}")
    label = "time"
    colours = {"law": LAW, "network": NETWORK}
    for name, hamiltonian in hamiltonians.items():
        path = thinned(discovery.rollouts[name].trajectory)
        if len(path) < 2:
            continue
        t, label = elapsed(path)
        error = energy_change(hamiltonian, path).abs().amax(1).numpy()
        axes.plot(t[1:], np.where(error > 0, error, np.nan)[1:], color=colours[name], label=name)
    axes.set_yscale("log")
    axes.legend()
    label_axes(axes, label, f"|H(t) {MINUS} H(0)| over max(|H(0)|, kinetic energy)")
    return figure


def thinned(path: Trajectory) -> Trajectory:
    """At most some 400 frames, the first and every so many after it."""
    return path.frames(slice(None, None, max(1, -(-len(path) // _FRAMES))))
