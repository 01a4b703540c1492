"""Springs learned from eight bodies, moving up to 4,096: errors, time and memory by size.

``python experiments/zero_shot.py [SEED ...]`` writes results/zero_shot.json, for the seeds 0, 1 and
2. A pair network learns from chains of eight bodies, and moves chains and square lattices, of which
neighbours are joined; another learns from eight bodies of which all are joined, and moves up to 64.
Of each size there are as many systems as have 4,096 bodies together, or 512 where all are joined.
Starts are those of the systems ``string`` and ``spring``; sites of lattices lie one rest length
apart, and bodies are moved and kicked from there as those of chains are.

The error of a body is what its position is off by, as a root mean square over times, and over
bodies, beside that of the median body and how far bodies move. The truth is the true law,
integrated by a method of eighth order. The case ``time`` has the seconds of a step on lattices
with up to 130,560 edges.

Two minutes to learn, seconds to minutes to move; one thread.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from record import commit, measuring, record
from torch import Tensor

from gnsim.datasets import load
from gnsim.datasets.systems import hamiltonian, simulate
from gnsim.dynamics import Hamiltonian
from gnsim.integrators import KahanLi8, Yoshida4
from gnsim.simulator import Simulator
from gnsim.state import State
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import Fitted, fit

RUNS = Path(__file__).parent / "runs" / "zero_shot"
LEARNED_FROM = {"chain": "string", "lattice": "string", "all pairs": "spring"}
SIZES = {
    "chain": (8, 16, 64, 512, 4096),
    "lattice": (8, 16, 64, 512, 4096),
    "all pairs": (8, 16, 64),
}
DIM, LEARNED_BODIES, REST, JITTER = 2, 8, 0.5, 0.2
BODIES_IN_ALL = {"chain": 4096, "lattice": 4096, "all pairs": 512}
#: seeds of starts, apart from those that are learned from
ANOTHER = 1_000
#: units of time, frames, and steps between them
SPAN, FRAMES, SUBSTEPS = 5.0, 101, 10
#: rows and columns of lattices that are timed, and how often how many steps are
TIMED, STEPS, REPEATS = ((8, 8), (16, 32), (64, 64), (128, 128), (256, 256)), 20, 7
SEEDS = ("0", "1", "2")


def learned(source: str, seed: int) -> Fitted:
    """The network, kept for other cases of this commit."""
    file = RUNS / commit() / f"{source}-{seed}.ckpt"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        data = load(source, bodies=LEARNED_BODIES, dim=DIM, seed=seed)
        config = TrainingConfig(coupling="none", terms="none", substeps=2)
        fit(data.train, data.valid, config, seed).save(file)
    return Fitted.load(file)


def start(shape: str, bodies: int, seed: int) -> State:
    """As many systems of so many bodies as have `BODIES_IN_ALL` together."""
    state = simulate(
        LEARNED_FROM[shape],
        trajectories=BODIES_IN_ALL[shape] // bodies,
        bodies=bodies,
        dim=DIM,
        frames=2,
        interval=1e-3,
        seed=ANOTHER + seed,
    )[0]
    if shape != "lattice":
        return state
    rows = next(n for n in range(int(bodies**0.5), 0, -1) if bodies % n == 0)
    return on_lattice(state, rows, bodies // rows, seed)


def on_lattice(state: State, rows: int, columns: int, seed: int) -> State:
    """The bodies of each system on a lattice, moved at random and joined to their neighbours."""
    place = torch.arange(rows * columns).view(rows, columns)
    across = torch.stack([place[:, 1:].flatten(), place[:, :-1].flatten()])
    along = torch.stack([place[1:].flatten(), place[:-1].flatten()])
    sites = REST * torch.stack([place // columns, place % columns], -1).flatten(0, 1)
    generator = torch.Generator().manual_seed(ANOTHER + seed)
    moved = torch.randn(state.q.shape, generator=generator, dtype=state.q.dtype)
    q = sites.repeat(state.num_systems, 1) + JITTER * REST * moved
    return replace(state, q=q, bonds=torch.cat([across, along], 1))


def measure(shape: str, *of: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    return timed() if shape == "time" else errors(shape, *map(int, of))


def errors(shape: str, bodies: int, seed: int) -> dict[str, Any]:
    source = LEARNED_FROM[shape]
    fitted = learned(source, seed)
    begin, times = start(shape, bodies, seed), torch.linspace(0, SPAN, FRAMES, dtype=torch.float64)
    truth = Simulator(hamiltonian(source, dim=DIM), KahanLi8(), SUBSTEPS).rollout(begin, times)
    simulator = Simulator(model(fitted), Yoshida4(), SUBSTEPS)
    begun = time.monotonic()
    path = simulator.rollout(begin, times)
    seconds = time.monotonic() - begun
    off = path.q[1:] - truth.q[1:]

    def size(vectors: Tensor) -> float:
        return float(vectors.square().sum(-1).mean().sqrt())

    return {
        "systems": begin.num_systems,
        "edges": begin.pairs.shape[1],
        "error": size(off),
        "median body": float(off.square().sum(-1).mean(0).sqrt().median()),
        "way": size(truth.q[1:] - truth.q[0]),
        "seconds a step": seconds / (SUBSTEPS * (FRAMES - 1)),
        "validation error": fitted.validation_error,
    }


def model(fitted: Fitted) -> Hamiltonian:
    """The network as a separable Hamiltonian, in double precision."""
    found = fitted.model.double().canonical()
    if not isinstance(found, Hamiltonian):
        raise TypeError(f"wanted a Hamiltonian, found a {type(found).__name__}")
    return found


def timed() -> dict[str, Any]:
    """Seconds of a step of the learned chain on lattices of many sizes."""
    simulated, found = model(learned("string", 0)), {}
    for rows, columns in TIMED:
        bodies = rows * columns
        like = start("chain", 8, 0)
        some = torch.arange(bodies) % like.num_nodes
        state = replace(
            like,
            q=like.q[some],
            p=like.p[some],
            batch=torch.zeros(bodies, dtype=torch.long),
            attributes={name: values[some] for name, values in like.attributes.items()},
        )
        state = on_lattice(state, rows, columns, 0)
        seconds = [a_step(simulated, state) for _ in range(REPEATS)]
        found[f"{state.pairs.shape[1]} edges"] = median(seconds)
    return {"seconds a step": found, "threads": torch.get_num_threads()}


def a_step(dynamics: Hamiltonian, state: State) -> float:
    method, dt = Yoshida4(), SPAN / (FRAMES - 1) / SUBSTEPS
    begun = time.monotonic()
    with torch.no_grad():
        for _ in range(STEPS):
            state = method.step(dynamics, state, dt)
    return (time.monotonic() - begun) / STEPS


def main(seeds: list[str]) -> None:
    for seed in seeds:
        for shape, sizes in SIZES.items():
            for bodies in sizes:
                case = f"{shape}, {bodies} bodies, seed {seed}"
                result = record("zero_shot", case, shape, str(bodies), seed)
                print(case, *(f"{k} {result[k]:.3g}" for k in ("error", "way", "seconds a step")))
    print(record("zero_shot", "time", "time")["seconds a step"])


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or list(SEEDS))
