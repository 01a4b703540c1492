"""What Newton's law leaves of the planets, and three searches of which the answer is known.

``python experiments/beyond_newton.py [CASE ...]`` writes results/beyond_newton.json, for three
seeds each: ``DE421``, whose residual is relativity; ``Newton``, the same bodies and dates moved
by Newton's law alone, where nothing is left; ``planted``, the same with a force of 1e-7 of it that
falls with the fourth power; and ``springs``, a user's file whose springs have a weak cubic term,
beside the law of such springs without it. (Given that file alone, a discovery looks for all at
once; what it finds is kept as ``at once``.)
About five minutes a case; the first of Newton and of planted integrates 120 years, seven minutes.
"""

import math
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from record import commit, measuring, record
from scipy.integrate import solve_ivp

from gnsim.api import discover
from gnsim.datasets import read, write
from gnsim.datasets.sources import jpl
from gnsim.discovery import Beyond
from gnsim.discovery.rollouts import with_hidden
from gnsim.integrators import DOP853, KahanLi8
from gnsim.models.vector_pairs import Moving
from gnsim.report.beyond import beyond_metrics, beyond_summary
from gnsim.simulator import Simulator
from gnsim.state import Trajectory
from gnsim.symbolic.law import Law

CASES = ("DE421", "Newton", "planted", "springs")
RUNS = Path(__file__).parent / "runs" / "beyond_newton"
#: AU a day, by definition of both
SPEED_OF_LIGHT = 173.14463267424034
SPAN, CADENCE, SUBSTEPS = (1900, 2020), 0.5, 2
PLANTED = 1e-7
#: years that no constant was fitted to, and days between the places that are compared
HELD_OUT, SEEN_EVERY = (2000, 2050), 5.0
ARCSECONDS, CENTURY = 3600 * math.degrees(1), 36525.0
SYSTEMS, BODIES, FRAMES, INTERVAL = 60, 4, 60, 0.1
STIFFNESS, REST, CUBIC = 2.0, 1.0, 0.02
PLANETS = ("Mercury", "Venus", "Earth")


def newton(seed: int) -> Law:
    """Newton's law as gnsim finds it, kept for the other cases of this commit."""
    file = RUNS / commit() / f"newton-{seed}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        discover("solar-system", seed=seed).law.save(file)
    return Law.load(file)


def simulated(planted: float) -> Trajectory:
    """Bodies, masses, start and dates of the ephemeris, moved by Newton's law and what is planted.

    By another method than the search integrates with. Once for a commit, and kept.
    """
    file = RUNS / commit() / f"planted-{planted:g}.npz"
    if not file.exists():
        law = newton(0)
        force = f"{law.text()} + {planted}*G*mass_i*mass_j/r**4" if planted else law.expr
        moved = replace(law, force=force, verdict=None).dynamics()
        given = with_hidden(jpl.trajectory(SPAN, CADENCE), moved)
        simulator = Simulator(moved, KahanLi8(), SUBSTEPS)
        path = simulator.rollout(given[0], given.t, names=given.names)
        unknown = {k: v for k, v in path.attributes.items() if k != "mass"}
        # masses are not given, as they are not in the ephemeris
        path = replace(path, p=path.velocity, attributes=unknown, units=given.units)
        write(file, path)
    return read(file)


def relativity(found: Beyond) -> dict[str, Any]:
    """The law found against the first post-Newtonian term of a light body beside a heavy one."""
    law, numbers = found.best, {}
    if not law.corrected or "c" not in law.constants:
        return {"c": None}
    value = law.constants["c"]
    numbers["c"] = {"value": value.value, "stderr": value.stderr, "true": SPEED_OF_LIGHT}
    path = with_hidden(found.dataset.test, law.dynamics())
    names = list(found.bodies)
    mass = np.asarray(law.hidden["mass"].values)
    both = law.constants["G"].value
    for planet in PLANETS:
        k = names.index(planet)
        every = slice(None, None, 20)
        q = (path.q[every, 0] - path.q[every, k]).numpy()
        v = (path.velocity[every, 0] - path.velocity[every, k]).numpy()
        r = np.linalg.norm(q, axis=1)
        n = q / r[:, None]
        v_r = (v * n).sum(1)
        v_t = np.linalg.norm(v - v_r[:, None] * n, axis=1)
        at = {"r": r, "v_r": v_r, "v_t": v_t, "mass_i": mass[k], "mass_j": mass[0]}
        gm = both * (mass[0] + mass[k])
        scale = both * mass[0] / (SPEED_OF_LIGHT * r) ** 2
        true = {
            "radial": -scale * (4 * gm / r - v_t**2 + 3 * v_r**2),
            "transverse": -4 * scale * v_r * v_t,
        }
        for part, expr in (("radial", law.radial_expr), ("transverse", law.transverse_expr)):
            symbols = sorted(expr.free_symbols, key=str)
            known = {**at, **law.values}
            ours = lambdified(symbols, expr)(*(known[s.name] for s in symbols)) / mass[k]
            worst = np.abs(ours - true[part]).max() / np.abs(true[part]).max()
            numbers[f"{planet}, {part}, largest error"] = float(worst)
    return numbers


def lambdified(symbols: list, expr: Any) -> Any:
    import sympy

    return sympy.lambdify(symbols, expr, "numpy")


def rolled_out(found: Beyond) -> dict[str, Any]:
    """Fifty years from one start: Mercury's perihelion, and its place beside the ephemeris.

    `Newton` has the numbers of the joined law without its correction; `alone` is Newton's law
    refitted to the same windows.
    """
    joined, alone = found.best, found.alone
    names = set(alone.constants)
    bare = {name: c for name, c in joined.constants.items() if name in names}
    laws = {
        "joined": joined,
        "Newton": replace(joined, constants=bare, radial="0", transverse="0"),
        "alone": alone,
    }
    truth = with_hidden(jpl.trajectory(HELD_OUT, SEEN_EVERY), joined.dynamics())
    paths = {}
    for name, law in laws.items():
        dynamics: Moving = law.dynamics()
        start = with_hidden(truth, dynamics)[0]
        paths[name] = Simulator(dynamics, DOP853(1e-12)).rollout(start, truth.t)
    off = {
        f"Mercury off, {name}": float((path.q - truth.q)[:, 1].norm(dim=-1).max())
        for name, path in paths.items()
    }
    gm = joined.constants["G"].value * sum(joined.hidden["mass"].values[:2])
    turned = {name: perihelion(path, gm) for name, path in (*paths.items(), ("data", truth))}
    centuries = ((truth.t - truth.t[0]) / CENTURY).numpy()
    advances = {
        f"perihelion, {one} less Newton": float(
            np.polyfit(centuries, turned[one] - turned["Newton"], 1)[0] * ARCSECONDS
        )
        for one in ("joined", "data")
    }
    return {**off, **advances}


def perihelion(path: Trajectory, gm: float) -> np.ndarray:
    """The angle of Mercury's perihelion in the plane of its first orbit, [time]."""
    q = (path.q[:, 1] - path.q[:, 0]).numpy()
    v = (path.velocity[:, 1] - path.velocity[:, 0]).numpy()
    momentum = np.cross(q, v)
    axis = np.cross(v, momentum) / gm - q / np.linalg.norm(q, axis=1)[:, None]
    normal = momentum[0] / np.linalg.norm(momentum[0])
    x = axis[0] - normal * (axis[0] @ normal)
    x /= np.linalg.norm(x)
    return np.unwrap(np.arctan2(axis @ np.cross(normal, x), axis @ x))


def springs(seed: int, cubic: float) -> dict[str, np.ndarray]:
    """Springs, as a user's file; a weak `cubic` term makes 1 % of the force."""
    rng = np.random.default_rng(seed)
    shape = (SYSTEMS, BODIES, 2)

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        q, v = y.reshape(2, *shape)
        d = q[:, None] - q[:, :, None]
        r = np.linalg.norm(d, axis=-1) + np.eye(BODIES)
        force = STIFFNESS * (r - REST) + cubic * (r - REST) ** 3
        return np.stack([v, ((force / r)[..., None] * d).sum(2)]).ravel()

    t = np.arange(FRAMES) * INTERVAL
    start = rng.normal(size=(2, *shape)).ravel()
    y = solve_ivp(rate, (0, t[-1]), start, "DOP853", t, rtol=1e-11, atol=1e-11).y
    q, v = y.T.reshape(FRAMES, 2, *shape).transpose(1, 2, 0, 3, 4)
    return {"t": t, "q": q, "v": v}


def of_springs(seed: int) -> tuple[Beyond, dict[str, Any]]:
    """Beside the law of springs alone, what is found; and what one discovery finds of all."""
    with TemporaryDirectory() as folder:
        plain, file = Path(folder) / "plain.npz", Path(folder) / "springs.npz"
        np.savez(plain, **springs(seed, 0.0))
        np.savez(file, **springs(seed, CUBIC))
        first = discover(plain, seed=seed).law
        found = discover(file, seed=seed, beyond=first)
        whole = discover(file, seed=seed).law
    found = replace(found, dataset=replace(found.dataset, name="springs with a cubic term"))
    true = {"k": STIFFNESS, "r0": REST, "cubic": CUBIC}
    once = {"force": whole.text(), "verified": whole.verified}
    return found, {"first": first.text(), "true": true, "at once": once}


def measure(case: str, number: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    seed = int(number)
    if case == "springs":
        found, more = of_springs(seed)
    elif case == "DE421":
        found = discover("solar-system", seed=seed, beyond=newton(seed))
        more = {**relativity(found), **rolled_out(found)}
    else:
        planted = PLANTED if case == "planted" else 0.0
        found, more = discover(simulated(planted), seed=seed, beyond=newton(seed)), {}
    print(beyond_summary(found))
    return {**beyond_metrics(found), **more}


def main(cases: list[str]) -> None:
    for case in cases or CASES:
        for seed in (0, 1, 2):
            result = record("beyond_newton", f"{case}, seed {seed}", case, str(seed))
            print(case, seed, result["found"], result["verified"], result["beside"])


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:])
