"""How fast messages are passed, beside the plain form of it and what products of matrices allow.

``python experiments/message_passing.py [CASE ...]`` writes results/message_passing.json.

- ``2000`` and ``20000`` particles with about ten edges each, width 128, ten steps: seconds of a
  forward pass and of one with its gradients, of the plain form (everything side by side, a full
  first layer, sums by scattering), of ours with the same weights, and of ours in bfloat16; how far
  the numbers are apart; and the time that the products of ours take by the fastest library here.
- ``rollout N``: seconds a step and memory of a rollout of GNS for N particles in a periodic box.
- ``learning S``: GNS on ready-made water, seed S, in single precision and in bfloat16: errors of
  held-out clips as training goes on.

One thread. Forms are timed in turn, so that what else the machine does meets all of them.
"""

import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
from record import measuring, peak_memory, record
from torch import Tensor
from torch.nn.functional import linear

from gnsim.datasets import load
from gnsim.integrators import Jumps
from gnsim.models.edge_update import product
from gnsim.models.encode_process_decode import EncodeProcessDecode, by_target
from gnsim.models.gns import GNS
from gnsim.models.scales import Shape
from gnsim.neighbours import radius_pairs
from gnsim.state import State
from gnsim.training.simulator_config import SimulatorConfig
from gnsim.training.simulator_fit import fit_simulator

WIDTH, PASSES, NEIGHBOURS, SEED = 128, 10, 10.6, 0
FEATURES = 30, 3
TURNS, STEPS = 9, 20
SIZES = ("2000", "20000")
ROLLOUTS = ("2000", "10000", "100000")
LEARNING = {"radius": 0.025, "graphs": 2, "hidden": 64, "passes": 5, "steps": 4_000}

Graph = tuple[Tensor, Tensor, Tensor]


def graph(particles: int) -> Graph:
    """Features of nodes and edges, and the edges, of particles anywhere in a square."""
    random = torch.Generator().manual_seed(SEED)
    q = torch.rand(particles, 2, generator=random, dtype=torch.float64)
    radius = (NEIGHBOURS / (torch.pi * particles)) ** 0.5
    batch = torch.zeros(particles, dtype=torch.long)
    edges = by_target(radius_pairs(q, batch, radius), particles)
    counts = (particles, edges.shape[1])
    of_node, of_edge = (
        torch.randn(n, k, generator=random) for n, k in zip(counts, FEATURES, strict=True)
    )
    return of_node, of_edge, edges


def plain(network: EncodeProcessDecode) -> Callable[..., Tensor]:
    """The form that others have, with the weights of `network`."""
    first = [
        torch.cat([s.of_edge.weight, s.of_source.weight, s.of_target.weight], 1).detach()
        for s in network.process
    ]
    second = [
        torch.cat([s.of_node.weight, s.of_arrived.weight], 1).detach() for s in network.process
    ]
    for weight in (*first, *second):
        weight.requires_grad_()

    def forward(of_node: Tensor, of_edge: Tensor, edges: Tensor) -> Tensor:
        source, target = edges
        h, e = network.node(of_node), network.edge(of_edge)
        for step, of_e, of_h in zip(network.process, first, second, strict=True):
            beside = torch.cat([e, h[source], h[target]], 1)
            change = step.edge(linear(beside, of_e, step.of_target.bias))
            index = target[:, None].expand(-1, WIDTH)
            arrived = torch.zeros_like(h).scatter_add(0, index, change)
            h = h + step.node(linear(torch.cat([h, arrived], 1), of_h, step.of_node.bias))
            e = e + change
        return network.decode(h)

    return forward


def forms(network: EncodeProcessDecode) -> Mapping[str, Callable[..., Tensor]]:
    def in_bfloat16(*given: Tensor) -> Tensor:
        network.products = torch.bfloat16
        try:
            return ours(*given)
        finally:
            network.products = None

    def ours(*given: Tensor) -> Tensor:
        return network(*given)[0]

    return {"plain": plain(network), "ours": ours, "bfloat16": in_bfloat16}


def of_size(particles: int) -> dict[str, Any]:
    given = graph(particles)
    network = EncodeProcessDecode(
        *FEATURES, (2, 0), WIDTH, PASSES, torch.Generator().manual_seed(1)
    )
    known = forms(network)
    seconds = {name: {"forward": [], "training step": []} for name in known}
    outputs = {}
    for _ in range(TURNS):
        for name, form in known.items():
            begun = time.perf_counter()
            with torch.inference_mode():
                outputs[name] = form(*given)
            between = time.perf_counter()
            form(*given).square().mean().backward()
            seconds[name]["forward"].append(between - begun)
            seconds[name]["training step"].append(time.perf_counter() - between)
            network.zero_grad()
    times = {n: {k: median(x) for k, x in of.items()} for n, of in seconds.items()}
    edges = given[2].shape[1]
    bare = {name: floor(particles, edges, dtype) for name, dtype in TYPES.items()}
    size = outputs["plain"].abs().max()
    return {
        "edges": edges,
        "seconds": times,
        "fastest": {n: {k: min(x) for k, x in of.items()} for n, of in seconds.items()},
        "times as fast as plain": {
            name: {k: times["plain"][k] / x for k, x in of.items()} for name, of in times.items()
        },
        "off by, relative": {
            name: float((outputs[name] - outputs["plain"]).abs().max() / size)
            for name in ("ours", "bfloat16")
        },
        "products": bare,
        "share of what products reach": {
            name: {
                k: parts * bare[name]["seconds"] / times[name][k]
                for k, parts in (("forward", 1), ("training step", 3))
            }
            for name in bare
        },
    }


TYPES = {"ours": torch.float32, "bfloat16": torch.bfloat16}


def floor(particles: int, edges: int, dtype: torch.dtype) -> dict[str, Any]:
    """Seconds of the products of a forward pass, as fast as any library here takes them.

    Of each edge two to encode it (the first is small) and three in each step, of each node two,
    six in each step and two to decode.
    """
    rows = {"edges": 2 + 3 * PASSES, "nodes": 4 + 6 * PASSES}
    count = rows["edges"] * edges + rows["nodes"] * particles
    x, w = torch.randn(edges, WIDTH).to(dtype), torch.randn(WIDTH, WIDTH).to(dtype)
    ways: dict[str, Callable[[], Any]] = {
        "torch": lambda: linear(x, w),
        "oneDNN": lambda: product(x, w, None),
    }
    if dtype is torch.float32:
        out = np.empty((edges, WIDTH), np.float32)
        ways["numpy"] = lambda: np.matmul(x.numpy(), w.numpy().T, out=out)
    with torch.inference_mode():
        seconds = {name: fastest(way) for name, way in ways.items()}
    best = min(seconds, key=lambda name: seconds[name])
    operations = 2 * edges * WIDTH**2
    return {
        "library": best,
        "GFLOP a second": {name: operations / s / 1e9 for name, s in seconds.items()},
        "seconds": count / edges * seconds[best],
    }


def fastest(work: Callable[[], Any]) -> float:
    found = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


def rollout(particles: int) -> dict[str, Any]:
    """Steps of GNS as it is used: neighbours, features, network, a new state."""
    random = torch.Generator().manual_seed(SEED)
    radius = (NEIGHBOURS / torch.pi) ** 0.5
    side = particles**0.5
    model = GNS(Shape(2, particles, (), radius, history=5, passes=PASSES), WIDTH, random)
    q = side * torch.rand(particles, 2, generator=random, dtype=torch.float64)
    still = 1e-3 * torch.randn(5, particles, 2, generator=random, dtype=torch.float64)
    state = State(
        q,
        torch.zeros_like(q),
        torch.zeros(particles, dtype=torch.long),
        box=torch.full((2,), side, dtype=torch.float64),
        past=q - still.cumsum(0).flip(0),
    )
    before, seconds = peak_memory(), []
    with torch.inference_mode():
        for _ in range(STEPS // 2):
            begun = time.perf_counter()
            state = Jumps().step(model, state, 1.0)
            seconds.append(time.perf_counter() - begun)
    searches = model.near.searches if model.near else 0
    return {
        "seconds a step": median(seconds),
        "microseconds a particle": 1e6 * median(seconds) / particles,
        "searches for neighbours": searches,
        "gigabytes beyond those of the program": peak_memory() - before,
    }


def learning(seed: int) -> dict[str, Any]:
    data = load("water-drop-sample")
    curves: dict[str, list[float]] = {}
    for precision in ("float32", "bfloat16"):
        config = SimulatorConfig(model="gns", precision=precision, save_every=500, **LEARNING)
        curve = curves.setdefault(precision, [])
        fit_simulator(
            data.train, data.valid, config, seed, progress=lambda k, n, e, c=curve: c.append(e)
        )
    return {"settings": LEARNING, "errors of held-out clips": curves}


def measure(case: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    kind, _, number = case.rpartition(" ")
    work = {"rollout": rollout, "learning": learning}.get(kind, of_size)
    return {**work(int(number)), "threads": 1}


def main(cases: list[str]) -> None:
    for case in cases:
        result = record("message_passing", case, case)
        print(case, {k: v for k, v in result.items() if k not in ("commit", "versions")})


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    rollouts = (f"rollout {n}" for n in ROLLOUTS)
    main(sys.argv[1:] or [*SIZES, *rollouts, *(f"learning {seed}" for seed in range(3))])
