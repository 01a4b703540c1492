"""Sparse vector messages as published (arXiv:2006.11287), trained for minutes instead of hours.

``python experiments/sparse_messages.py [SYSTEM [DIM [MODEL]]]`` writes
results/sparse_messages.json, a case for each of six systems in 2D and 3D with each of ten models,
about five minutes each on one thread. A case that was stopped goes on from its last checkpoint,
in ``runs/``. ``python experiments/message_page.py`` sets them beside the published ones.
"""

import shutil
import sys
import time
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sympy
import torch
from published_messages import SYSTEMS, case_name
from record import measuring, record

from gnsim.datasets.systems import SYSTEMS as LAWS
from gnsim.datasets.systems import dynamics, hamiltonian, simulate
from gnsim.integrators import INTEGRATORS
from gnsim.models.vector_messages import VectorMessages
from gnsim.simulator import Simulator
from gnsim.state import Trajectory
from gnsim.symbolic.engines import engine
from gnsim.symbolic.expressions import as_columns, text_of
from gnsim.symbolic.message_law import compare, component_table, published_choice
from gnsim.symbolic.message_space import message_space, true_forces
from gnsim.training.rates import ExactRates
from gnsim.training.supervised import SupervisedConfig, learn, summed_error, untrained

SEED, BODIES = 0, 4
TRAIN, TEST, FRAMES, SUBSTEPS = 1000, 200, 100, 10
ATTRIBUTES = ("mass", "charge")
TEST_STATES, MESSAGE_STATES, SAMPLES = 4000, 1000, 2000
SEARCH_SECONDS = 60.0
#: what differs from `SupervisedConfig`; steps take about four minutes on one thread
CONFIGS: dict[str, dict[str, Any]] = {
    "standard": {},
    "bottleneck": {},
    "l1": {},
    "kl": {"steps": 45_000},
    "flat hamiltonian": {"steps": 40_000},
    "pruning": {},
    # what the published ones lack
    "l1, relative error": {"model": "l1", "loss": "relative"},
    "l1, linear node": {"model": "l1", "node": "linear"},
    "pruning, linear node": {"model": "pruning", "node": "linear"},
    "pruning, linear node, relative error": {
        "model": "pruning",
        "node": "linear",
        "loss": "relative",
    },
}
RUNS = Path(__file__).parent / "runs" / "sparse_messages"


def states(name: str, dim: int, systems: int, seed: int) -> Trajectory:
    """Published initial states and where they go in a thousand published steps of leapfrog.

    The accelerations are exact at every state; how it was reached need not be.
    """
    settings = {"trajectories": systems, "bodies": BODIES, "dim": dim, "seed": seed}
    start = simulate(name, **settings, frames=2, interval=1e-6)[0]
    times = LAWS[name].settings().interval * torch.arange(FRAMES, dtype=torch.float64)
    leapfrog = INTEGRATORS["leapfrog"]()
    return Simulator(dynamics(name, dim=dim), leapfrog, SUBSTEPS).rollout(start, times)


def config_of(model: str, steps: str = "") -> SupervisedConfig:
    chosen = {"model": model, **CONFIGS[model]}
    return SupervisedConfig(**chosen | ({"steps": int(steps)} if steps else {}))


def measure(name: str, dim: str, model: str, steps: str = "") -> dict[str, Any]:
    """A model trained on a system, and what its messages hold."""
    torch.set_num_threads(1)
    config, d = config_of(model, steps), int(dim)
    truth = dynamics(name, dim=d)
    train, test = (
        ExactRates(truth, states(name, d, systems, seed), torch.float32)
        for systems, seed in ((TRAIN, SEED), (TEST, SEED + 1))
    )
    network = untrained(config, d, ATTRIBUTES, SEED)
    folder = RUNS / f"{name}-{dim}-{model}-{config.steps}".replace(", ", "-").replace(" ", "-")
    begun = time.monotonic()
    learn(network, train, config, SEED, folder, name, progress=print)
    seconds = time.monotonic() - begun
    loss, error = summed_error(network, test, TEST_STATES, SEED)
    state, _ = test.batch(MESSAGE_STATES, torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        messages = network.messages(state)
    force = true_forces(hamiltonian(name, dim=d).pair, messages)
    space = message_space(messages.vectors, force)
    per_mass = message_space(messages.vectors, force / messages.target["mass"].double()[:, None])
    shutil.rmtree(folder)
    return {
        "config": asdict(config),
        "seed": SEED,
        "seconds_of_training": round(seconds, 1),
        "test_loss": loss,
        "median_relative_error": error,
        **asdict(replace(space, variances=space.variances[:10])),
        "per_mass": asdict(per_mass.rotated),
        **law(name, d, messages),
    }


def law(name: str, dim: int, messages: VectorMessages) -> dict[str, Any]:
    """What symbolic regression finds in the strongest component, and whether it is the force."""
    table = component_table(messages, SAMPLES, SEED)
    with TemporaryDirectory() as folder:
        limits: dict[str, Any] = {"seed": SEED, "time_limit": SEARCH_SECONDS, "out_dir": folder}
        offered = engine("operon").search(table.X, table.y, table.names, **limits)
    columns = as_columns(table.names, table.X)
    chosen, error = published_choice(offered, columns, table.y)
    true = forces(name, dim, table.X, table.names)
    mass = columns["mass_i"][:, None]
    return {
        "equation": text_of(chosen.equation),
        "mean_absolute_error": error,
        "message_size": float(np.abs(table.y - table.y.mean()).mean()),
        "law": best(chosen.equation, columns, true),
        "law_per_mass": best(chosen.equation, columns, [force / mass for force in true]),
    }


def best(
    equation: sympy.Expr, columns: dict[str, np.ndarray], true: list[np.ndarray]
) -> dict[str, Any]:
    """The comparison with the force that `equation` is most like."""
    each = [compare(equation, columns, force) for force in true]
    return asdict(max(each, key=lambda c: (c.found, -c.difference)))


def forces(name: str, dim: int, X: np.ndarray, names: tuple[str, ...]) -> list[np.ndarray]:
    """The true force at the samples of a table; the second, where there is one, not softened."""
    columns = {n: torch.from_numpy(X[:, k].copy()) for k, n in enumerate(names)}
    d = torch.from_numpy(X[:, :dim].copy())
    source, target = ({a: columns[f"{a}_{end}"] for a in ATTRIBUTES} for end in "ji")
    messages = VectorMessages(d, torch.zeros(2, len(d), dtype=torch.long), d, source, target)
    softened = hasattr(LAWS[name].settings(), "softening") and name != "discontinuous"
    variants: list[dict[str, float]] = [{}, {"softening": 0.0}] if softened else [{}]
    return [
        true_forces(hamiltonian(name, dim=dim, **more).pair, messages).numpy() for more in variants
    ]


def main(systems: list[str], dims: list[int], models: list[str]) -> None:
    for name, dim, model in product(systems, dims, models):
        case = case_name(name, dim, model)
        result = record("sparse_messages", case, name, str(dim), model)
        print(case, result["strongest"], result["live"], result["equation"], flush=True)


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    wanted = sys.argv[1:]
    main(
        wanted[:1] or list(SYSTEMS),
        [int(dim) for dim in wanted[1:2]] or [2, 3],
        wanted[2:3] or list(CONFIGS),
    )
