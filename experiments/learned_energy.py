"""A learned Hamiltonian keeps its own energy: a million leapfrog steps of springs.

``python experiments/learned_energy.py [SEED ...]`` writes results/learned_energy.json, for the
seeds 0, 1 and 2. The network of pairs, a separable Hamiltonian, learns chains of six equal bodies
joined by springs in the plane, and moves ten systems that it has not seen by leapfrog in double
precision. Of its own H, over the larger of |H| and the kinetic energy at the start: the drift is
the change of the mean from the first tenth of the steps to the last, of the system with the
largest, and the fluctuation the root mean square about the mean of each tenth, of all systems. The
true H of the same motion stands beside it. A tenth of the time is run again in half the step, and
by Euler's method.

Leapfrog keeps the H of a smooth separable Hamiltonian, learned or not, to second order in the step
for exponentially long (Hairer, Lubich, Wanner, Geometric Numerical Integration, 2006, IX.8).
Springs of a chain do not shrink to nothing. Where all pairs are joined, bodies meet, and the energy
has a cusp there: ``cusp`` is that case, by the true law, for a tenth of the time.

Fifteen minutes a seed, one thread; half as long again beside other work.
"""

import sys
from typing import Any

import torch
from record import measuring, record
from torch import Tensor

from gnsim.datasets import load
from gnsim.datasets.systems import hamiltonian
from gnsim.dynamics import Dynamics, Hamiltonian
from gnsim.integrators import Euler, Integrator, Leapfrog
from gnsim.invariants import angular_momentum, kinetic_energy, momentum
from gnsim.state import State
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import fit

DIM, SYSTEMS = 2, 10
#: a part of the steps is run again; parts of each run have a mean
STEP, STEPS, SEEN_EVERY, AGAIN, PARTS = 0.005, 1_000_000, 20, 10, 10
SEEDS = ("0", "1", "2")


def measure(case: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    return cusp() if case == "cusp" else learned(int(case))


def learned(seed: int) -> dict[str, Any]:
    data = load("string", dim=DIM, seed=seed, equal_masses=True)
    config = TrainingConfig(coupling="none", terms="none")
    fitted = fit(data.train, data.valid, config, seed)
    model, true = fitted.model.double().canonical(), hamiltonian("string", dim=DIM)
    if not isinstance(model, Hamiltonian):
        raise TypeError(f"wanted a Hamiltonian, found a {type(model).__name__}")
    start = data.test.systems(torch.arange(SYSTEMS))[0]
    laws, again = {"its own H": model, "the true H": true}, STEPS // AGAIN
    found = {
        "leapfrog": followed(model, start, Leapfrog(), STEP, STEPS, laws),
        "leapfrog, again": followed(model, start, Leapfrog(), STEP, again, laws),
        "leapfrog, half the step": followed(model, start, Leapfrog(), STEP / 2, 2 * again, laws),
        "Euler": followed(model, start, Euler(), STEP, again, laws),
    }
    one, half = (
        found[name]["its own H"]["fluctuation"]
        for name in ("leapfrog, again", "leapfrog, half the step")
    )
    return {"validation error": fitted.validation_error, **found, "fluctuation falls": one / half}


def cusp() -> dict[str, Any]:
    start = load("spring", dim=DIM).test.systems(torch.arange(SYSTEMS))[0]
    true = hamiltonian("spring", dim=DIM)
    return followed(true, start, Leapfrog(), STEP, STEPS // AGAIN, {"the true H": true})


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


def main(cases: list[str]) -> None:
    for case in cases:
        name = case if case == "cusp" else f"seed {case}"
        result = record("learned_energy", name, case)
        own = result.get("leapfrog", {}).get("its own H", result.get("the true H"))
        print(name, own, result.get("fluctuation falls"))


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or [*SEEDS, "cusp"])
