"""A learned Hamiltonian keeps its own energy: a million leapfrog steps of springs.

``python experiments/learned_energy.py [SEED ...]`` writes results/learned_energy.json, for the
seeds 0, 1 and 2. A separable HOGN learns springs of four bodies in the plane, through leapfrog, and
moves ten systems that it has not seen by leapfrog in double precision. Of its own H, over the
larger of |H| and the kinetic energy at the start: the drift is the change of the mean from the
first tenth of the steps to the last, of the system with the largest, and the fluctuation the root
mean square about the mean of each tenth, of all systems. The true H of the same motion stands
beside it. A hundredth of the time is run again in half the step, and by Euler's method.

Leapfrog keeps the H of a smooth separable Hamiltonian, learned or not, to second order in the step
for exponentially long (Hairer, Lubich, Wanner, Geometric Numerical Integration, 2006, IX.8). The
energy of springs with a rest length has a cusp where two bodies meet, and leapfrog does not keep
it, as the case of the true law shows; a network of smooth layers has none.

Half an hour a seed, one thread.
"""

import sys
from copy import deepcopy
from typing import Any

import torch
from record import measuring, record
from torch import Tensor

from gnsim.datasets import load
from gnsim.datasets.systems import hamiltonian
from gnsim.dynamics import Dynamics, Hamiltonian
from gnsim.integrators import Euler, Integrator, Leapfrog
from gnsim.invariants import angular_momentum, kinetic_energy, momentum
from gnsim.models.hogn import SeparableHOGN
from gnsim.state import State
from gnsim.training.simulator import SimulatorConfig
from gnsim.training.simulator_fit import fit_simulator

BODIES, DIM, SYSTEMS = 4, 2, 10
#: a part of the steps is run again; parts of each run have a mean
STEP, STEPS, SEEN_EVERY, AGAIN, PARTS = 0.01, 1_000_000, 10, 100, 10
SEEDS = ("0", "1", "2")


def measure(number: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    seed, given = int(number), {"dim": DIM, "bodies": BODIES, "interval": 0.05}
    data = load("spring", seed=seed, **given)
    config = SimulatorConfig(model="hogn-separable", integrator="leapfrog", hidden=32)
    fitted = fit_simulator(data.train, data.valid, config, seed)
    learned, true = deepcopy(fitted.model).double(), hamiltonian("spring", dim=DIM)
    if not isinstance(learned, SeparableHOGN):
        raise TypeError(f"wanted a separable HOGN, found a {type(learned).__name__}")
    start = data.test.systems(torch.arange(SYSTEMS))[0]
    laws: dict[str, Hamiltonian] = {"its own H": learned, "the true H": true}
    again = STEPS // AGAIN
    found = {
        "leapfrog": followed(learned, start, Leapfrog(), STEP, STEPS, laws),
        "leapfrog, again": followed(learned, start, Leapfrog(), STEP, again, laws),
        "leapfrog, half the step": followed(learned, start, Leapfrog(), STEP / 2, 2 * again, laws),
        "Euler": followed(learned, start, Euler(), STEP, again, laws),
        "the true law": followed(true, start, Leapfrog(), STEP, again, {"the true H": true}),
    }
    one, half = (
        found[name]["its own H"]["fluctuation"]
        for name in ("leapfrog, again", "leapfrog, half the step")
    )
    return {"validation error": fitted.validation_error, **found, "fluctuation falls": one / half}


def followed(
    dynamics: Dynamics,
    state: State,
    method: Integrator,
    dt: float,
    steps: int,
    laws: dict[str, Hamiltonian],
) -> dict[str, Any]:
    """What becomes of energies and momenta."""
    every = round(SEEN_EVERY * STEP / dt)
    energies: dict[str, list[Tensor]] = {name: [] for name in laws}
    kept: list[Tensor] = []
    with torch.no_grad():
        first = next(iter(laws.values())).energy(state).abs()
        scale = torch.maximum(first, kinetic_energy(state))
        for step in range(steps):
            if step % every == 0:
                for name, law in laws.items():
                    energies[name].append(law.energy(state) / scale)
                kept.append(torch.cat([momentum(state), angular_momentum(state)], 1))
            state = method.step(dynamics, state, dt)
    moved = torch.stack(kept)
    return {
        "step": dt,
        "steps": steps,
        "finite": bool(state.q.isfinite().all()),
        "momentum changes by": float((moved - moved[0])[..., :DIM].abs().max()),
        "angular momentum changes by": float((moved - moved[0])[..., DIM:].abs().max()),
        **{name: kept_energy(torch.stack(values)) for name, values in energies.items()},
    }


def kept_energy(values: Tensor) -> dict[str, float]:
    """Of energies [times, systems]."""
    parts = torch.tensor_split(values, PARTS)
    about = torch.cat([part - part.mean(0) for part in parts])
    return {
        "drift": float((parts[-1].mean(0) - parts[0].mean(0)).abs().max()),
        "fluctuation": float(about.square().mean().sqrt()),
        "largest error": float((values - values[0]).abs().max()),
    }


def main(seeds: list[str]) -> None:
    for seed in seeds:
        result = record("learned_energy", f"seed {seed}", seed)
        falls = f"fluctuation falls {result['fluctuation falls']:.3g}-fold"
        print(seed, result["leapfrog"]["its own H"], falls)


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or list(SEEDS))
