"""What a user's file becomes: springs with and without their masses, charges that the file does
not give, and files that hold no law.

``python experiments/user_files.py [CASE ...]`` writes results/user_files.json. Each case is written
to an .npz file as a user would bring it, and read back from there.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from record import measuring, record
from scipy.integrate import solve_ivp

from gnsim.api import discover
from gnsim.report import metrics, summary

TRAJECTORIES, BODIES, DIM, FRAMES = 50, 4, 3, 40
INTERVAL, SAMPLED = 0.1, 10
STIFFNESS, REST_LENGTH = 3.0, 0.7
MASSES = np.array([0.5, 1.0, 2.0, 4.0])
CHARGES, CORE = np.array([1.0, -2.0, 0.5, 1.5]), 0.3
SPRING, COULOMB = f"k*(r - {REST_LENGTH})", f"-charge_i*charge_j/(r + {CORE})**2"

Pull = Callable[[np.ndarray], np.ndarray]


def spring(r: np.ndarray) -> np.ndarray:
    return STIFFNESS * (r - REST_LENGTH)


def coulomb(r: np.ndarray) -> np.ndarray:
    return -np.outer(CHARGES, CHARGES) / (r + CORE) ** 2


def moved(pull: Pull, masses: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """All pairs attract by `pull`; frames are every tenth of the steps that resolve the motion."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(2, TRAJECTORIES, BODIES, DIM)).ravel()
    shape = (TRAJECTORIES, BODIES, DIM)

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        q, v = y.reshape(2, *shape)
        d = q[:, None] - q[:, :, None]
        r = np.linalg.norm(d, axis=-1) + np.eye(BODIES)
        force = ((pull(r) / r)[..., None] * d).sum(2)
        return np.stack([v, force / masses[:, None]]).ravel()

    t = np.arange(FRAMES) * INTERVAL
    solved = solve_ivp(
        rate, (0, t[-1]), start, "DOP853", t, rtol=1e-10, atol=1e-10, max_step=INTERVAL / SAMPLED
    )
    q, v = solved.y.T.reshape(FRAMES, 2, *shape).transpose(1, 2, 0, 3, 4)
    return {"t": t, "q": q, "v": v}


def equal_masses(seed: int) -> dict[str, np.ndarray]:
    return moved(spring, np.ones(BODIES), seed)


def given_masses(seed: int) -> dict[str, np.ndarray]:
    return {**moved(spring, MASSES, seed), "mass": MASSES}


def hidden_masses(seed: int) -> dict[str, np.ndarray]:
    return moved(spring, MASSES, seed)


def hidden_charges(seed: int) -> dict[str, np.ndarray]:
    return {**moved(coulomb, MASSES, seed), "mass": MASSES}


def noise(seed: int) -> dict[str, np.ndarray]:
    """Positions and velocities drawn anew at every frame."""
    shape = (TRAJECTORIES, FRAMES, BODIES, DIM)
    q, v = np.random.default_rng(seed).normal(size=(2, *shape))
    return {"t": np.arange(FRAMES) * INTERVAL, "q": q, "v": v}


def random_walk(seed: int) -> dict[str, np.ndarray]:
    """Bodies that know nothing of each other: velocities take random steps."""
    rng = np.random.default_rng(seed)
    shape = (TRAJECTORIES, FRAMES, BODIES, DIM)
    v = 0.3 * rng.normal(size=shape).cumsum(1)
    q = rng.normal(size=(TRAJECTORIES, 1, BODIES, DIM)) + INTERVAL * v.cumsum(1)
    return {"t": np.arange(FRAMES) * INTERVAL, "q": q, "v": v}


CASES: dict[str, Callable[[int], dict[str, np.ndarray]]] = {
    case.__name__: case
    for case in (equal_masses, given_masses, hidden_masses, hidden_charges, noise, random_walk)
}


def measure(case: str, number: str) -> dict[str, Any]:
    seed = int(number)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{case}.npz"
        np.savez(file, **CASES[case](seed))
        found = discover(file, seed=seed, out=Path(folder) / "run")
        print(summary(found))
        return {
            **metrics(found),
            "is_spring": found.law.equals(SPRING),
            "is_coulomb": found.law.equals(COULOMB),
            "truth": {"stiffness": STIFFNESS, "rest_length": REST_LENGTH, "core": CORE},
            "hidden": {name: list(h.values) for name, h in found.law.hidden.items()},
        }


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    for case in sys.argv[1:] or CASES:
        for seed in (0, 1, 2) if case not in ("noise", "random_walk") else (0,):
            result = record("user_files", f"{case}, seed {seed}", case, str(seed))
            print(case, seed, result["status"], result["force"], result["seconds_in_all"])
