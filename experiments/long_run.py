"""The exact spring through the code of learned models, for a million steps of leapfrog.

``python experiments/long_run.py [STEPS]`` continues from what stands in
``results/long_run.partial.pt`` and writes ``results/long_run.json``.

Two bodies on a spring without rest length move harmonically at ω = sqrt(2 k / m). Leapfrog keeps
its energy within (ω dt)² / 4, without drift, and both momenta to rounding.
"""

import json
import platform
import sys
from pathlib import Path

import torch

from gnsim.atomic import write_atomic
from gnsim.dynamics import Dynamics
from gnsim.integrators import INTEGRATORS
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.pairwise import Attributes, PairPotential, PairwiseHamiltonian
from gnsim.state import State

RESULT = Path(__file__).parent / "results" / "long_run.json"
PARTIAL = RESULT.with_suffix(".partial.pt")
STIFFNESS, DT, STEPS, CHUNK = 0.5, 0.01, 1_000_000, 50_000
OMEGA = (2 * STIFFNESS) ** 0.5
BOUNDS = {
    "energy_error": (OMEGA * DT) ** 2 / 4,
    "energy_drift": 1e-6,
    "momentum_error": 1e-11,
    "angular_momentum_error": 1e-11,
}


class Harmonic(PairPotential):
    """``dV/dr = k r``."""

    def force(self, r: torch.Tensor, source: Attributes, target: Attributes) -> torch.Tensor:
        return STIFFNESS * r


def start() -> State:
    """An eccentric orbit whose centre of mass moves."""
    q = torch.tensor([[0.5, 0.0], [-0.5, 0.1]], dtype=torch.float64)
    p = torch.tensor([[0.1, 0.4], [-0.05, -0.4]], dtype=torch.float64)
    return State(q, p, torch.zeros(2, dtype=torch.long))


def dynamics(kind: str) -> Dynamics:
    if kind == "pairwise":
        return PairwiseHamiltonian(Harmonic())
    model = CoupledPairs(Harmonic(), Structure("none"), 2).double()
    model.x = torch.ones(1, dtype=torch.float64)
    return model


def invariants(state: State) -> torch.Tensor:
    """Energy, momentum and angular momentum, from their definitions."""
    d = state.q[0] - state.q[1]
    energy = 0.5 * state.p.square().sum() + 0.5 * STIFFNESS * d.square().sum()
    angular = (state.q[:, 0] * state.p[:, 1] - state.q[:, 1] * state.p[:, 0]).sum()
    return torch.stack([energy, *state.p.sum(0), angular])


def advance(
    state: State, steps: int, kind: str, integrator: str = "leapfrog"
) -> tuple[State, torch.Tensor]:
    """The state after so many steps, and the invariants after each."""
    model, method, kept = dynamics(kind), INTEGRATORS[integrator](), []
    with torch.no_grad():
        for _ in range(steps):
            state = method.step(model, state, DT)
            kept.append(invariants(state))
    return state, torch.stack(kept)


def summary(kept: torch.Tensor) -> dict[str, float]:
    """Largest relative errors; drift is the change of the mean energy, first to last tenth."""
    first = invariants(start())
    error = (kept - first).abs().amax(0)
    tenth = max(1, len(kept) // 10)
    drift = (kept[-tenth:, 0].mean() - kept[:tenth, 0].mean()).abs() / first[0]
    return {
        "steps": len(kept),
        "energy_error": float(error[0] / first[0]),
        "energy_drift": float(drift),
        "momentum_error": float(error[1:3].max()),
        "angular_momentum_error": float(error[3] / first[3].abs()),
    }


def run(steps: int, kind: str = "pairwise", integrator: str = "leapfrog") -> dict[str, float]:
    """All of it at once: for tests."""
    return summary(advance(start(), steps, kind, integrator)[1])


def main(steps: int) -> None:
    state, kept = start(), torch.zeros(0, 4, dtype=torch.float64)
    if PARTIAL.exists():
        saved = torch.load(PARTIAL, weights_only=True)
        state, kept = state.moved(saved["q"], saved["p"]), saved["kept"]
    RESULT.parent.mkdir(exist_ok=True)
    while len(kept) < steps:
        state, more = advance(state, min(CHUNK, steps - len(kept)), "pairwise")
        kept = torch.cat([kept, more])
        torch.save({"q": state.q, "p": state.p, "kept": kept}, PARTIAL.with_suffix(".tmp"))
        PARTIAL.with_suffix(".tmp").replace(PARTIAL)
        print(f"{len(kept)} of {steps} steps", flush=True)
    found = summary(kept[:steps])
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    passed = all(found[name] <= bound for name, bound in BOUNDS.items())
    result = {**found, "dt": DT, "bounds": BOUNDS, "passed": passed, "versions": versions}
    write_atomic(RESULT, json.dumps(result, indent=2) + "\n")
    PARTIAL.unlink()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
