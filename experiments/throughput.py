"""How fast the pair network trains, beside what the machine's matrix products allow.

``python experiments/throughput.py [CASE ...]`` writes results/throughput.json: for ``5``, ``64``
and ``512`` bodies the evaluations of a pair force per second, each with its gradient, in training
through the integrator with default settings; the time that the same layers take as bare matrix
products (forward, and twice that backward), as a share; and where the rest goes, from a profile of
the operations' own times. ``beside`` has a plain graph network of 300 hidden units for the
Hamiltonian, trained on exact accelerations: edges per second of both, and for as many seconds of
training the median relative error of accelerations of held-out states.

An edge is an unordered pair here, one evaluation of ours; the other network evaluates both of its
directions, and both are counted for it. One process, two threads; meant for a machine that does
nothing else. Five minutes.
"""

import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from record import measuring, record

from gnsim.datasets import load
from gnsim.datasets.systems import hamiltonian
from gnsim.dynamics import Dynamics
from gnsim.models.coupled import Structure
from gnsim.models.radial import RadialNetwork
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import fit
from gnsim.training.rates import ExactRates
from gnsim.training.step import Training
from gnsim.training.supervised import FLAT_HAMILTONIAN, SupervisedConfig, learn, untrained

THREADS, SEED, DIM = 2, 0, 2
#: bodies, and frames of their ten trajectories
SIZES = {"5": 100, "64": 12, "512": 4}
#: between frames: so short that few of many bodies meet, which the truth would be slow in
INTERVAL = 1e-3
WARM, STEPS, PROFILED = 5, 30, 10
#: published; seconds of training of both
HIDDEN, GRAPHS, BODIES, SECONDS = 300, 64, 4, 60.0
SYSTEM = "spring"
#: names of operations, whole or in part, by what they are for
KINDS = {
    "matrix products": ("addmm", "aten::mm", "bmm", "linear"),
    "activations and hyperbolic functions": (
        "silu",
        "sinh",
        "cosh",
        "tanh",
        "aten::exp",
        "aten::log",
    ),
    "gathering and adding up": ("index", "scatter", "gather", "cat", "stack", "_unique"),
    "optimiser": ("adam", "clip", "foreach", "norm"),
    "sums": ("sum", "mean"),
    "products and sums of numbers": ("mul", "add", "sub", "div", "pow", "square", "sqrt", "neg"),
    "copies": ("copy", "clone", "contiguous", "to_copy", "zero", "fill", "empty", "expand"),
}


def training(bodies: int, frames: int) -> Training:
    data = load(SYSTEM, bodies=bodies, dim=DIM, trajectories=10, frames=frames, interval=INTERVAL)
    config = TrainingConfig(coupling="none", terms="none")
    return Training(data.train, data.valid, config, Structure("none"), SEED)


@contextmanager
def counted(network: RadialNetwork) -> Any:
    """The numbers of pairs of the calls of `network`."""
    calls: list[int] = []
    force = network.force

    def counting(r: torch.Tensor, *ends: Any) -> torch.Tensor:
        if torch.is_grad_enabled():
            calls.append(len(r))
        return force(r, *ends)

    network.force = counting  # type: ignore[method-assign]
    yield calls
    del network.force


def step_of(bodies: int, frames: int) -> dict[str, Any]:
    """One step of training of systems of so many bodies."""
    run = training(bodies, frames)
    for _ in range(WARM):
        run.advance(run.config.steps)
    with counted(run.network) as calls:
        run.advance(run.config.steps)
    seconds = timed(lambda: run.advance(run.config.steps))
    bare = timed(products(run.network, calls))
    return {
        "pairs": run.pairs,
        "windows in a batch": run.batch_size,
        "evaluations in a step": sum(calls),
        "seconds a step": seconds,
        "evaluations per second": sum(calls) / seconds,
        "seconds of bare products": bare,
        "share of what products reach": bare / seconds,
        "profile": profile(run),
    }


def timed(work: Callable[[], Any]) -> float:
    """Seconds, the median of many."""
    found = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return median(found)


def products(network: RadialNetwork, calls: list[int]) -> Callable[[], None]:
    """The products of matrices that forward and backward passes of such calls need."""
    shapes = [tuple(p.shape) for p in network.body.parameters() if p.dim() == 2]
    weights = [torch.randn(shape) for shape in shapes]
    inputs = {n: [torch.randn(n, width) for _, width in shapes] for n in set(calls)}
    outputs = {n: [torch.randn(n, width) for width, _ in shapes] for n in set(calls)}

    def work() -> None:
        for n in calls:
            for weight, x, y in zip(weights, inputs[n], outputs[n], strict=True):
                x @ weight.T
                y @ weight
                y.T @ x

    return work


def profile(run: Training) -> dict[str, float]:
    """Shares of the operations' own time, by `KINDS`; and of what is spent between operations."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        begun = time.perf_counter()
        for _ in range(PROFILED):
            run.advance(run.config.steps)
        whole = 1e6 * (time.perf_counter() - begun)
    shares = dict.fromkeys((*KINDS, "other operations"), 0.0)
    for event in profiler.key_averages():
        if event.key.startswith(("aten::", "Optimizer", "torch::", "autograd::")):
            kind = next(
                (k for k, parts in KINDS.items() if any(is_of(event.key, p) for p in parts)),
                "other operations",
            )
            shares[kind] += event.self_cpu_time_total / whole
    shares["Python, autograd and between operations"] = max(0.0, 1 - sum(shares.values()))
    return {kind: round(share, 3) for kind, share in shares.items()}


def is_of(operation: str, part: str) -> bool:
    """Whether a name is the whole one of an operation, or has a part in it."""
    return operation == part if "::" in part else part in operation.lower()


def beside() -> dict[str, Any]:
    """Our training and a plain graph network's, on the same systems."""
    data = load(SYSTEM, bodies=BODIES, dim=DIM)
    truth = hamiltonian(SYSTEM, dim=DIM)
    ours = step_of(BODIES, 100)
    config = SupervisedConfig(
        model=FLAT_HAMILTONIAN, hidden=HIDDEN, graphs=GRAPHS, learning_rate=1e-3, steps=STEPS
    )
    rates = ExactRates(truth, data.train, torch.float32)
    attributes = tuple(sorted(data.train.attributes))
    learn(untrained(config, DIM, attributes, SEED), rates, config, SEED)
    begun = time.perf_counter()
    learn(untrained(config, DIM, attributes, SEED), rates, config, SEED)
    seconds = (time.perf_counter() - begun) / STEPS
    long = replace(config, steps=round(SECONDS / seconds))
    plain = untrained(long, DIM, attributes, SEED)
    begun = time.perf_counter()
    learn(plain, rates, long, SEED)
    spent = time.perf_counter() - begun
    begun = time.monotonic()
    settings = TrainingConfig(coupling="none", terms="none")
    fitted = fit(data.train, data.valid, settings, SEED, deadline=begun + SECONDS)
    edges = GRAPHS * BODIES * (BODIES - 1)
    held_out = ExactRates(truth, data.test, torch.float32)
    return {
        "edges per second": ours["evaluations per second"],
        "edges per second, plain": edges / seconds,
        "seconds a step, plain": seconds,
        "ratio": ours["evaluations per second"] * seconds / edges,
        "median relative error": accuracy(fitted.model, held_out),
        "median relative error, plain": accuracy(plain, held_out),
        "seconds of training": round(time.monotonic() - begun, 1),
        "seconds of training, plain": round(spent, 1),
    }


def accuracy(model: Dynamics, rates: ExactRates) -> float:
    state, wanted = rates.batch(1000, torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        found = model.vector_field(state)[1] / state.mass[:, None]
    return float(((found - wanted).norm(dim=1) / wanted.norm(dim=1)).median())


def measure(case: str) -> dict[str, Any]:
    torch.set_num_threads(THREADS)
    found = beside() if case == "beside" else step_of(int(case), SIZES[case])
    return {**found, "threads": THREADS}


def main(cases: list[str]) -> None:
    for case in cases:
        result = record("throughput", case, case)
        print(case, {k: v for k, v in result.items() if k not in ("commit", "versions")})


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:] or [*SIZES, "beside"])
