"""Data that hold no law of the searched family: how many are called a verified law? None should.

``python experiments/false_laws.py [KIND ...]`` writes results/false_laws.json, thirty cases:
shuffled accelerations, random walks, forces between three bodies at a time, and springs whose
stiffness changes with time, in the plane and in space, with given masses and without.
"""

import sys
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch
from record import measuring, record
from scipy.integrate import solve_ivp

from gnsim.api import discover
from gnsim.report import metrics, summary
from gnsim.state import Trajectory

SYSTEMS, BODIES, FRAMES, INTERVAL = 40, 4, 60, 0.1
CASES_OF_A_KIND = {
    "shuffled_accelerations": 8,
    "random_walk": 8,
    "three_body_forces": 7,
    "time_dependent_forces": 7,
}

Arrays = tuple[np.ndarray, np.ndarray]
Force = Callable[[float, np.ndarray], np.ndarray]


def times() -> np.ndarray:
    return np.arange(FRAMES) * INTERVAL


def solved(force: Force, rng: np.random.Generator, dim: int) -> Arrays:
    """Positions and velocities [time, systems, bodies, dim] of unit masses under a force."""
    shape = (2, SYSTEMS, BODIES, dim)

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        q, v = y.reshape(shape)
        return np.stack([v, force(t, q)]).ravel()

    start = rng.normal(size=shape).ravel()
    t = times()
    y = solve_ivp(rate, (0, t[-1]), start, "DOP853", t, rtol=1e-9, atol=1e-9).y
    return tuple(y.T.reshape(FRAMES, *shape).transpose(1, 0, 2, 3, 4))


def springs(q: np.ndarray, stiffness: float, rest: float) -> np.ndarray:
    d = q[:, None] - q[:, :, None]
    r = np.linalg.norm(d, axis=-1) + np.eye(BODIES)
    return ((stiffness * (r - rest) / r)[..., None] * d).sum(2)


def shuffled_accelerations(rng: np.random.Generator, dim: int) -> Arrays:
    """Accelerations of real springs, dealt out anew to times, systems and bodies."""
    q, _ = solved(lambda t, q: springs(q, 2.0, 1.0), rng, dim)
    a = np.stack([springs(frame, 2.0, 1.0) for frame in q]).reshape(-1, dim)
    a = rng.permutation(a).reshape(q.shape)
    v = rng.normal(size=q[:1].shape) + INTERVAL * a.cumsum(0)
    return q[0] + INTERVAL * v.cumsum(0), v


def random_walk(rng: np.random.Generator, dim: int) -> Arrays:
    """Velocities take random steps; bodies know nothing of each other."""
    shape = (FRAMES, SYSTEMS, BODIES, dim)
    v = rng.uniform(0.1, 1.0) * rng.normal(size=shape).cumsum(0)
    return rng.normal(size=(1, *shape[1:])) + INTERVAL * v.cumsum(0), v


def three_body_forces(rng: np.random.Generator, dim: int) -> Arrays:
    """``V = k / 2 sum over triples (s - s0)^2``, s the sum of the squared sides of a triangle."""
    stiffness, rest = rng.uniform(0.02, 0.1), rng.uniform(3.0, 8.0)

    def force(t: float, q: np.ndarray) -> np.ndarray:
        total = np.zeros_like(q)
        for triple in combinations(range(BODIES), 3):
            corner = q[:, triple]
            from_mean = 3 * (corner - corner.mean(1, keepdims=True))
            s = np.square(from_mean).sum((1, 2), keepdims=True) / 3
            total[:, triple] -= 2 * stiffness * (s - rest) * from_mean
        return total

    return solved(force, rng, dim)


def time_dependent_forces(rng: np.random.Generator, dim: int) -> Arrays:
    """Springs whose stiffness swings by half of itself."""
    rate, rest = rng.uniform(0.7, 4.0), rng.uniform(0.5, 1.2)
    return solved(lambda t, q: springs(q, 2 * (1 + 0.5 * np.sin(rate * t)), rest), rng, dim)


KINDS: dict[str, Callable[[np.random.Generator, int], Arrays]] = {
    kind.__name__: kind
    for kind in (
        shuffled_accelerations,
        random_walk,
        three_body_forces,
        time_dependent_forces,
    )
}


def trajectory(kind: str, number: int) -> Trajectory:
    """Case `number` of a kind: odd ones in space, every third without masses."""
    rng = np.random.default_rng([len(kind), number])
    dim = 3 if number % 2 else 2
    q, v = (torch.from_numpy(np.ascontiguousarray(x)) for x in KINDS[kind](rng, dim))
    nodes = SYSTEMS * BODIES
    ones = {} if number % 3 == 2 else {"mass": torch.ones(nodes, dtype=torch.float64)}
    return Trajectory(
        t=torch.from_numpy(times()),
        q=q.reshape(FRAMES, nodes, dim),
        p=v.reshape(FRAMES, nodes, dim),
        batch=torch.arange(SYSTEMS).repeat_interleave(BODIES),
        attributes=ones,
    )


def measure(kind: str, number: str) -> dict[str, Any]:
    found = discover(trajectory(kind, int(number)), seed=int(number))
    print(summary(found))
    return metrics(found)


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    for kind in sys.argv[1:] or KINDS:
        for number in range(CASES_OF_A_KIND[kind]):
            result = record("false_laws", f"{kind}, case {number}", kind, str(number))
            print(kind, number, result["status"], result["force"], result["seconds_in_all"])
