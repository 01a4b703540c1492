"""Water and sand: learned from a few hundred particles, rolled out beside the engine's own motion.

``python experiments/materials.py [CASE ...]`` writes results/materials.json: for ``water-drop`` and
``sand-column`` the graph-network simulator (arXiv:2002.09405) is trained on trajectories of 400
particles (what was done is kept in runs/ and gone on with), and rolled out for 500 steps from other
starts, of as many particles and of ten times as many. Beside its errors stand those of constant
velocity and of no motion. ``--film CASE`` draws truth and prediction side by side into
docs/images. Needs the engine taichi.
"""

import json
import sys
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from matplotlib import animation, pyplot
from record import commit, measuring, record
from torch import Tensor

from gnsim.datasets import SOURCES, load
from gnsim.particle_metrics import (
    beyond_walls,
    kinetic_energy_mse,
    kinetic_energy_of_positions,
    position_mse,
    sinkhorn_distance,
)
from gnsim.simulators import RolloutProtocol, TrainedSimulator
from gnsim.simulators.rolling import followed
from gnsim.state import Trajectory
from gnsim.training.simulator_config import SimulatorConfig
from gnsim.training.simulator_fit import FittedSimulator, fit_simulator

ROOT = Path(__file__).parents[1]
CASES = ("water-drop 0", "sand-column 0")
STEPS, TESTED, AT = 500, 3, (5, 20, 100, 500)
PARTICLES, MANY = 400, 4_000
TRAINED = {"trajectories": 40, "frames": 500, "particles": PARTICLES}
SETTINGS = {"radius": 0.025, "hidden": 64, "passes": 5, "graphs": 2, "noise": 0.05}
TRAINING = {"steps": 30_000, "learning_rate": 3e-3, "save_every": 500}
#: of clouds, at so many frames
CLOUDS = range(50, STEPS + 1, 50)
FILMED, DOTS = 5, 2


def trained(name: str, seed: int) -> tuple[FittedSimulator, dict[str, Any]]:
    """The simulator, and of its training the commit and the hours, by the usual time of a step."""
    data = load(name, seed=seed, **TRAINED)
    config = SimulatorConfig(model="gns", **SETTINGS, **TRAINING)
    folder = ROOT / "runs" / "materials" / f"{name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    told: list[tuple[int, float]] = []

    def relay(step: int, steps: int, error: float) -> None:
        told.append((step, time.monotonic()))
        print(name, seed, step, f"{error:.4f}", flush=True)

    digest = data.content_hash
    fitted = fit_simulator(data.train, data.valid, config, seed, folder, digest, relay)
    origin = folder / "origin.json"
    if pace := [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(told)]:
        hours = round(config.steps * median(pace) / 3_600, 2)
        origin.write_text(json.dumps({"commit": commit(), "hours": hours}))
    return fitted, json.loads(origin.read_text())


def paths(name: str, particles: int, count: int, seed: int) -> Trajectory:
    """Trajectories of the engine, of a seed that no training has."""
    source = SOURCES[name]
    assert source.whole is not None
    frames = STEPS + SimulatorConfig(model="gns").history + 1
    settings = {"particles": particles, "trajectories": count, "frames": frames}
    return source.whole(source.settings(seed=1_000 + seed, **settings))


def errors(found: Trajectory, truth: Trajectory) -> dict[str, Any]:
    """Of a rollout, means over trajectories; energies over the largest."""
    squares = position_mse(found, truth).mean(1)
    clouds = [float(sinkhorn_distance(found[k], truth[k]).mean()) for k in CLOUDS]
    largest = kinetic_energy_of_positions(truth).amax(0)
    energy = (kinetic_energy_mse(found, truth).sqrt() / largest).mean()
    beyond = beyond_walls(found)
    numbers = {
        "position MSE of the first 20": squares[1:21].mean(),
        "position MSE of all": squares[1:].mean(),
        "Sinkhorn distance": torch.tensor(clouds).mean(),
        "kinetic energy off": energy,
        "beyond a wall": beyond.max(),
    }
    return {
        "position MSE": {str(k): finite(squares[k]) for k in AT},
        **{name: finite(number) for name, number in numbers.items()},
        "finite": bool(found.q.isfinite().all()),
    }


def finite(number: Tensor) -> float | None:
    """JSON has no infinity, and no NaN."""
    return float(number) if bool(number.isfinite()) else None


def tested(simulator: TrainedSimulator, path: Trajectory) -> dict[str, Any]:
    begun = time.monotonic()
    found, truth = followed(simulator, path, RolloutProtocol(steps=STEPS), lambda *told: None)
    seconds = (time.monotonic() - begun) / STEPS / path.num_systems
    start, v = truth.q[:1], truth.velocity[:1]
    others = {
        "constant velocity": replace(truth, q=start + v * (truth.t - truth.t[0])[:, None, None]),
        "no motion": replace(truth, q=start.expand_as(truth.q)),
    }
    known = {name: errors(other, truth) for name, other in others.items()}
    return {**errors(found, truth), "seconds a step": seconds, "beside": known}


def measure(name: str, seed: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    fitted, origin = trained(name, int(seed))
    simulator = TrainedSimulator.of_simulator(fitted)
    tests = {PARTICLES: TESTED, MANY: 1}
    return {
        "settings": asdict(fitted.config),
        "validation error": fitted.validation_error,
        "training": origin,
        "particles": {
            str(n): tested(simulator, paths(name, n, count, int(seed)))
            for n, count in tests.items()
        },
    }


def film(name: str, seed: str) -> None:
    """Truth and prediction of one start, every so many frames."""
    fitted, _ = trained(name, int(seed))
    simulator = TrainedSimulator.of_simulator(fitted)
    path = paths(name, PARTICLES, 1, int(seed))
    found, truth = followed(simulator, path, RolloutProtocol(steps=STEPS), lambda *told: None)
    figure, panels = pyplot.subplots(1, 2, figsize=(5, 2.8), layout="constrained", dpi=72)
    across, up = truth.walls.T.tolist()
    dots = []
    for axes, title in zip(panels, ("taichi", "gnsim"), strict=True):
        axes.set(title=title, xlim=across, ylim=up, aspect="equal")
        axes.set(xticks=[], yticks=[])
        dots.append(axes.scatter([], [], DOTS))

    def draw(frame: int) -> list[Any]:
        for part, path in zip(dots, (truth, found), strict=True):
            part.set_offsets(path.q[frame].numpy())
        return dots

    frames = range(0, len(truth), FILMED)
    made = animation.FuncAnimation(figure, draw, frames, blit=True)
    made.save(ROOT / "docs" / "images" / f"{name}.gif", animation.PillowWriter(fps=20))


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--film"]:
        film(*" ".join(arguments[1:]).split())
        return
    for case in arguments or CASES:
        result = record("materials", case, *case.split())
        print(case, {k: v for k, v in result.items() if k not in ("commit", "versions")})


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:])
