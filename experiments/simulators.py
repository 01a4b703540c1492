"""Learned simulators across integrators and time steps: the tables of docs/simulator_results.md.

``python experiments/simulators.py [PART ...]`` writes results/simulators.json, a case for each
model, integrator and time step that it was trained with, system and seed:

- ``main``: all models at one time step, three seeds, and the network of pairs of `gnsim discover`;
- ``steps``: the models with the time step drawn from one to four frames, one seed;
- ``integrators``: OGN and HOGN trained with each integrator that goes with them, one seed;
- ``more``: where OGN was not clearly better than DeltaGN, both with four times the trajectories and
  steps of training; and OGN with four substeps in each step, where steps were up to four frames.

Each is rolled out by every integrator that goes with it, in steps of a quarter to four times the
one it was trained with: the error of positions over their spread per unit of time, in the first
unit; and for 1,000 of its own steps with its own integrator, all that `gnsim evaluate` measures.
Systems are of five bodies in the plane: springs without rest length between bodies of many masses,
and gravity of the plane (a force of 1 / r, softened, from which nothing escapes) between equal
ones; also of four and of ten bodies, which no model was trained for.

One to eight minutes a case, on one thread.
"""

import math
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from record import measuring, record

from gnsim.datasets import Dataset, load
from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.integrators import INTEGRATORS
from gnsim.models.scales import Scales, Shape
from gnsim.simulators import Evaluation, RolloutProtocol, TrainedSimulator, evaluate
from gnsim.simulators.trained import PAIRS
from gnsim.state import Trajectory
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import fit
from gnsim.training.simulator_config import SimulatorConfig
from gnsim.training.simulator_fit import fit_simulator
from gnsim.training.window_errors import StepsOfFrames, window_errors

MODELS = ("mlp", "delta", "ogn", "hogn", "hogn-separable")
#: the integrators of the paper: Runge-Kutta and symplectic ones, of orders 1, 2 and 4
RUNGE_KUTTA = ("euler", "rk2", "rk4")
SYMPLECTIC = ("symplectic_euler", "leapfrog", "yoshida4")
TESTED = {
    "mlp": RUNGE_KUTTA,
    "delta": ("jumps",),
    "ogn": RUNGE_KUTTA,
    "hogn": (*RUNGE_KUTTA, "implicit_midpoint"),
    "hogn-separable": (*RUNGE_KUTTA, *SYMPLECTIC),
    PAIRS: (*RUNGE_KUTTA, *SYMPLECTIC),
}
OWN = {"delta": "jumps", "hogn-separable": "leapfrog", PAIRS: "yoshida4"}
SYSTEMS: dict[str, dict[str, Any]] = {
    "spring": {"rest_length": 0.0, "interval": 0.05},
    "r1": {"softening": 0.3, "interval": 0.05, "equal_masses": True},
}
DIM, BODIES, TRAINED_ON, TESTED_ON, HELD_OUT_WINDOWS = 2, 5, 100, 50, 200
#: steps over the one of the training, its frames; steps that energy is watched for, unit of time
FACTORS, LONG, UNIT = (0.25, 0.5, 1.0, 2.0, 4.0), 1000, 1.0
OTHER_BODIES, SEEDS = (4, 10), ("0", "1", "2")
#: seeds of what is tested on, apart from those that are learned from
ANOTHER = 1_000

PARTS = ("main", "steps", "integrators", "more")
#: how training differs from the usual: times the data and the steps, substeps; and its name
USUAL, MORE_DATA, SUBSTEPS = "usual", "more data", "substeps"
DIFFERS = {
    USUAL: (1, 1, ""),
    MORE_DATA: (4, 1, " of 4 times the data"),
    SUBSTEPS: (1, 4, " in 4 substeps"),
}
UNCLEAR = (("r1", "1", SEEDS), ("spring", "4", SEEDS[:1]))

Case = tuple[str, str, str, str, str, str]


def measure(
    model: str, integrator: str, longest: str, how: str, system: str, number: str
) -> dict[str, Any]:
    torch.set_num_threads(1)
    seed, given = int(number), {**SYSTEMS[system], "dim": DIM}
    times, substeps, _ = DIFFERS[how]
    data = load(system, bodies=BODIES, trajectories=times * TRAINED_ON, seed=seed, **given)
    begun = time.monotonic()
    if model == PAIRS:
        trained, error = pairs(data, integrator, seed)
    else:
        config = SimulatorConfig(model=model, integrator=integrator, longest=int(longest))
        config = replace(config, steps=times * config.steps, substeps=substeps)
        fitted = fit_simulator(data.train, data.valid, config, seed)
        trained, error = TrainedSimulator.of_simulator(fitted), fitted.validation_error
    seconds = time.monotonic() - begun
    testing = Testing(trained, system, seed)
    return {
        "config": trained.settings,
        "seconds of training": round(seconds, 1),
        "held-out windows": error,
        "error per unit of time": testing.short(),
        "a thousand steps": testing.long(),
        "as long, in the longest step": testing.long(int(longest)) if longest != "1" else {},
        "other bodies": testing.other_bodies(),
    }


def pairs(data: Dataset, integrator: str, seed: int) -> tuple[TrainedSimulator, float]:
    """The network of pairs, and its error on held-out windows as it is measured for the others."""
    config = TrainingConfig(coupling="none", terms="none", integrator=integrator)
    fitted = fit(data.train, data.valid, config, seed)
    trained = TrainedSimulator.of_pairs(fitted, config, data.train)
    scales = Scales(Shape(DIM, BODIES, ())).double()
    scales.fit(data.train, data.train.interval)
    (windows,) = StepsOfFrames(data.valid, 1, range(1, 2)).spread(HELD_OUT_WINDOWS)
    by = INTEGRATORS[integrator]()
    with torch.no_grad():
        errors = window_errors(trained.model, scales, by, windows, config.substeps)
    return trained, float(errors.square().mean().sqrt())


@dataclass(frozen=True)
class Testing:
    """What a trained simulator is tested by, on trajectories that nothing was chosen by."""

    trained: TrainedSimulator
    system: str
    seed: int

    def short(self) -> dict[str, dict[str, float | None]]:
        """By integrator and factor: the error in the first unit of time, per unit."""
        truth = self.truth(BODIES, round(UNIT / self.trained.step) + 1)
        return {
            integrator: {f"{factor:g}": self.error(truth, integrator, factor) for factor in FACTORS}
            for integrator in TESTED[self.trained.name]
        }

    def other_bodies(self) -> dict[str, float | None]:
        """The same for systems of other sizes, by its own integrator in its own steps."""
        if self.trained.name == "mlp":
            return {}
        frames = round(UNIT / self.trained.step) + 1
        return {str(n): self.error(self.truth(n, frames)) for n in OTHER_BODIES}

    def error(
        self, truth: Trajectory, integrator: str | None = None, factor: float = 1.0
    ) -> float | None:
        """Of positions, over their spread, the median of all systems."""
        steps = round(UNIT / self.trained.step / max(factor, 1.0))
        curves = self.evaluation(truth, RolloutProtocol(integrator, factor, steps)).curves
        return finite(float(curves["position"][-1].nan_to_num(nan=torch.inf).median()) / UNIT)

    def long(self, factor: int = 1) -> dict[str, Any]:
        """All measures over a thousand steps, or the same time, by its own integrator."""
        protocol = RolloutProtocol(None, factor, LONG // factor)
        rows = self.evaluation(self.truth(BODIES, LONG + 1), protocol).rows
        return {row.name: {"median": finite(row.median), "p99": finite(row.p99)} for row in rows}

    def truth(self, bodies: int, frames: int) -> Trajectory:
        given = {**SYSTEMS[self.system], "dim": DIM, "seed": ANOTHER + self.seed}
        return simulate(self.system, trajectories=TESTED_ON, bodies=bodies, frames=frames, **given)

    def evaluation(self, truth: Trajectory, protocol: RolloutProtocol) -> Evaluation:
        given = {k: v for k, v in SYSTEMS[self.system].items() if k != "interval"}
        true = hamiltonian(self.system, dim=DIM, **given)
        return evaluate(self.trained, truth, protocol, true, lambda *told: None)


def finite(value: float) -> float | None:
    """None where a motion was lost, which JSON has no number for."""
    return value if math.isfinite(value) else None


def cases(part: str) -> list[Case]:
    """Model, integrator, longest step, how it differs, system and seed of each case."""
    if part == "integrators":
        return [
            (model, integrator, "1", USUAL, "spring", SEEDS[0])
            for model in ("ogn", "hogn", "hogn-separable")
            for integrator in TESTED[model]
        ]
    if part == "more":
        return [
            (model, OWN.get(model, "rk4"), longest, how, system, seed)
            for system, longest, seeds in UNCLEAR
            for seed in seeds
            for how in (MORE_DATA, SUBSTEPS)
            for model in unclear_models(how, longest)
        ]
    longest, models, seeds = {
        "main": ("1", (*MODELS, PAIRS), SEEDS),
        "steps": ("4", MODELS, SEEDS[:1]),
    }[part]
    return [
        (model, OWN.get(model, "rk4"), longest, USUAL, system, seed)
        for seed in seeds
        for system in SYSTEMS
        for model in models
    ]


def unclear_models(how: str, longest: str) -> tuple[str, ...]:
    """Substeps are for long steps, and DeltaGN has none."""
    if how == SUBSTEPS:
        return () if longest == "1" else ("ogn",)
    return "delta", "ogn"


def named(case: Case) -> str:
    model, integrator, longest, how, system, seed = case
    steps = "one step" if longest == "1" else f"steps of 1 to {longest} frames"
    return f"{system}, {model}, {integrator}, {steps}{DIFFERS[how][-1]}, seed {seed}"


def main(parts: list[str]) -> None:
    for part in parts:
        for case in cases(part):
            result = record("simulators", named(case), *case)
            print(named(case), f"{result['held-out windows']:.3g}", flush=True)


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or list(PARTS))
