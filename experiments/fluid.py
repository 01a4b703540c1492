"""A Lennard-Jones fluid: the energy, the structure and the diffusion that learned simulators keep.

``python experiments/fluid.py [CASE ...]`` writes results/fluid.json: for ``pairs`` (the network of
pair forces of `gnsim discover`) and ``hogn-separable`` (a graph network's potential) trained on a
periodic box of OpenMM, rollouts from other starts beside the engine's own: the drift of the learned
energy, radial distribution function, mean-square displacement, box by box. What two boxes of the
engine differ by stands beside it. Needs the engine OpenMM.
"""

import sys
import time
from typing import Any

import torch
from jaxtyping import Float
from record import measuring, record
from torch import Tensor

from gnsim.datasets import SOURCES, Dataset, load
from gnsim.discovery import DiscoveryConfig
from gnsim.discovery.chain import train
from gnsim.dynamics import Hamiltonian
from gnsim.metrics import energy_drift, kinetic_scale
from gnsim.particle_metrics import mean_square_displacement, radial_distribution
from gnsim.simulators import RolloutProtocol, TrainedSimulator
from gnsim.simulators.rolling import followed
from gnsim.state import Trajectory
from gnsim.training.simulator_config import SimulatorConfig
from gnsim.training.simulator_fit import fit_simulator

NAME, MODELS = "lj-fluid", ("pairs", "hogn-separable")
FLUID = {"bodies": 128, "interval": 0.005}
TRAINED = {"trajectories": 10, "frames": 200}
STEPS, TESTED, BINS = 2_000, 2, 100
GRAPH = {"radius": 2.5, "hidden": 48, "graphs": 1, "steps": 6_000, "integrator": "leapfrog"}


def simulator(model: str, data: Dataset, seed: int) -> TrainedSimulator:
    if model == "pairs":
        config = DiscoveryConfig()
        fitted = train(data, config, seed, None, None, lambda *told: None)
        return TrainedSimulator.of_pairs(fitted, config.training, data.train)
    settings = SimulatorConfig(model=model, save_every=GRAPH["steps"], **GRAPH)
    return TrainedSimulator.of_simulator(fit_simulator(data.train, data.valid, settings, seed))


def boxes(seed: int) -> Trajectory:
    """Of the engine, from other starts than those of the training."""
    source = SOURCES[NAME]
    assert source.whole is not None
    settings = {"trajectories": TESTED, "frames": STEPS + 1, "seed": 1_000 + seed}
    return source.whole(source.settings(**FLUID, **settings))


def structure(path: Trajectory) -> Float[Tensor, " bins"]:
    return radial_distribution(path, BINS).g.mean(0)


def spread(path: Trajectory) -> Float[Tensor, " time"]:
    """Of the atoms, over time; the first half, of which there are many starts."""
    return mean_square_displacement(path).mean(1)[: STEPS // 2]


def compared(found: Trajectory, truth: Trajectory) -> dict[str, float]:
    g, known = structure(found), structure(truth)
    msd, spread_known = spread(found), spread(truth)
    late = slice(STEPS // 10, None)
    return {
        "g(r) off at most": float((g - known).abs().max()),
        "g(r) off, root mean square": float((g - known).square().mean().sqrt()),
        "displacement off, relative": float((msd[late] / spread_known[late] - 1).abs().max()),
    }


def measure(model: str, seed: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    data = load(NAME, seed=int(seed), **FLUID, **TRAINED)
    begun = time.monotonic()
    learned = simulator(model, data, int(seed))
    seconds = time.monotonic() - begun
    truth = boxes(int(seed))
    own = learned.model
    assert isinstance(own, Hamiltonian)
    begun = time.monotonic()
    found, truth = followed(learned, truth, RolloutProtocol("leapfrog"), lambda *told: None)
    rolled = time.monotonic() - begun
    drift = energy_drift(own, found, kinetic_scale(truth))
    kept = {"change": float(drift.largest.max()), "drift": float(drift.slope.abs().max())}
    own_boxes, boxes_of_engine = (
        [path.systems(torch.tensor([k])) for k in range(TESTED)] for path in (found, truth)
    )
    curves = {"engine": truth, "learned": found}
    return {
        "settings": learned.settings,
        "seconds": {"training": seconds, "rollout, a step": rolled / STEPS},
        "own energy": kept,
        "learned": [compared(*pair) for pair in zip(own_boxes, boxes_of_engine, strict=True)],
        "two boxes of the engine": compared(*boxes_of_engine),
        "g(r)": {name: structure(path).tolist() for name, path in curves.items()},
        "displacement": {name: spread(path)[::50].tolist() for name, path in curves.items()},
        "temperature": {name: float(temperature(path)) for name, path in curves.items()},
    }


def temperature(path: Trajectory) -> Tensor:
    """Mean, twice the kinetic energy over the number of coordinates that are free."""
    free = path.dim * (path.num_nodes - path.num_systems)
    return (path.mass * path.velocity.square().sum(-1)).sum(1).mean() / free


def main(cases: list[str]) -> None:
    for case in cases or [f"{model} 0" for model in MODELS]:
        result = record("fluid", case, *case.split())
        print(case, {k: result[k] for k in ("seconds", "own energy", "learned")}, flush=True)


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:])
