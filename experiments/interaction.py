"""Interaction networks on planets, discs and a string, beside what knows less.

``python experiments/interaction.py [CASE ...]`` writes results/interaction.json: for ``nbody``,
``balls`` and ``string-ball`` (P. Battaglia et al. 2016, arXiv:1612.00222) an interaction network
(``SYSTEM interaction SEED``), the same without relations (``SYSTEM alone SEED``: it sees neither
other bodies nor walls), and a perceptron of the whole state (``SYSTEM mlp SEED``). Of each the mean
squared error of velocities a step later and that of constant velocity, errors of positions over a
thousand steps, and both for half and twice as many bodies, which nothing was trained on.
``SYSTEM energy SEED`` reads potential energies out of graphs and of whole states. Test
trajectories have seeds of their own. ``balls`` needs the engine pymunk.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from record import measuring, record
from torch import Tensor, nn

from gnsim.datasets import SOURCES, Dataset, hamiltonian, load
from gnsim.datasets.sources.string_ball import potential_energy
from gnsim.metrics import normalised_position_error
from gnsim.models.graph_block import GraphBlock, Motion
from gnsim.models.scales import Scales, Shape
from gnsim.models.vector_messages import perceptron
from gnsim.simulators import RolloutProtocol, TrainedSimulator
from gnsim.simulators.rolling import followed
from gnsim.state import State, Trajectory
from gnsim.training.simulator_config import SimulatorConfig
from gnsim.training.simulator_fit import fit_simulator

LONG, TESTED, AT = 1_000, 10, (1, 10, 100, 1_000)
#: discs meet as often at first as later; a string falls for long before it meets the ball, and
#: planets that come close to each other, of which most of the error is, do so late
MANY, LONG_ONES = {"trajectories": 1_000, "frames": 150}, {"trajectories": 150, "frames": 1_000}
MANY_LONG_ONES = {"trajectories": 1_000, "frames": 1_000}
ENERGY_STEPS, ENERGY_GRAPHS, HIDDEN = 6_000, 64, 64


@dataclass(frozen=True)
class System:
    """A source, how many bodies it has in training and in tests, and settings of the network.

    `trained` are settings of the data to learn from, beside those of all `data`.
    """

    bodies: int
    others: tuple[int, int]
    trained: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


SYSTEMS = {
    "nbody": System(6, (3, 12), MANY_LONG_ONES, data={"interval": 1e-3}),
    "balls": System(6, (3, 12), MANY, {"radius": 3.5}),
    "string-ball": System(15, (7, 30), LONG_ONES),
}
USUAL = {"hidden": HIDDEN, "graphs": 64, "steps": 40_000, "learning_rate": 3e-3}


def seen(path: Trajectory, model: str) -> Trajectory:
    """What a model is shown of data."""
    if model != "alone":
        return path
    return replace(path, bonds=torch.zeros(2, 0, dtype=torch.long), walls=None)


def data_of(name: str, seed: int) -> Dataset:
    system = SYSTEMS[name]
    return load(name, seed=seed, **system.trained, **system.data)


def trained(name: str, model: str, seed: int) -> tuple[TrainedSimulator, dict[str, Any]]:
    system, data = SYSTEMS[name], data_of(name, seed)
    own = system.settings if model == "interaction" else {}
    kind = "interaction" if model == "alone" else model
    config = SimulatorConfig(model=kind, save_every=USUAL["steps"], **{**USUAL, **own})
    begun = time.monotonic()
    fitted = fit_simulator(seen(data.train, model), seen(data.valid, model), config, seed)
    told = {"seconds": time.monotonic() - begun, "validation error": fitted.validation_error}
    return TrainedSimulator.of_simulator(fitted), {**asdict(config), **told}


def test_path(name: str, bodies: int, seed: int) -> Trajectory:
    """Trajectories of a thousand steps, of a seed that no training has."""
    source, system = SOURCES[name], SYSTEMS[name]
    settings = source.settings(
        trajectories=TESTED, frames=LONG + 1, bodies=bodies, seed=1_000 + seed, **system.data
    )
    assert source.whole is not None
    return source.whole(settings)


def one_step(simulator: TrainedSimulator, path: Trajectory) -> dict[str, float]:
    """Mean squared errors of the components of velocities at the next frame."""
    integrator = simulator.method(None)
    found, still = [], []
    with torch.no_grad():
        for k in range(len(path) - 1):
            after = integrator.step(simulator.model, path[k], path.interval)
            found.append((after.velocity - path.velocity[k + 1]).square().mean())
            still.append((path.velocity[k] - path.velocity[k + 1]).square().mean())
    mse, constant = (float(torch.stack(x).mean()) for x in (found, still))
    return {"velocity MSE": mse, "constant velocity": constant, "ratio": constant / mse}


def long_run(simulator: TrainedSimulator, path: Trajectory) -> dict[str, float]:
    """Errors of positions over their spread, the median of the systems, after so many steps."""
    found, truth = followed(simulator, path, RolloutProtocol(), lambda *told: None)
    error = normalised_position_error(found, truth).nan_to_num(nan=torch.inf).median(1).values
    return {str(k): float(error[k].clamp_max(1e9)) for k in AT}


def simulator(name: str, model: str, seed: int) -> dict[str, Any]:
    made, told = trained(name, model, seed)
    system = SYSTEMS[name]
    tests = {}
    for bodies in (system.bodies, *(system.others if model != "mlp" else ())):
        path = seen(test_path(name, bodies, seed), model)
        tests[str(bodies)] = {**one_step(made, path), "positions off": long_run(made, path)}
    return {"settings": told, "bodies": tests}


class Graph(nn.Module):
    """A potential energy as a sum of what a graph network says of each body."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.scales = Scales(shape)
        self.block = GraphBlock(shape, HIDDEN, 1, generator, motion=Motion.NONE)

    def forward(self, state: State) -> Float[Tensor, " systems"]:
        return self.block(state, self.scales).view(state.num_systems, -1).sum(1)


class Whole(nn.Module):
    """A potential energy of all positions and attributes of a system, side by side."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.scales = Scales(shape)
        own = shape.dim + len(shape.attributes)
        self.network = perceptron(shape.bodies * own, HIDDEN, 1, generator)

    def forward(self, state: State) -> Float[Tensor, " systems"]:
        q = (state.q - self.scales.origin) / self.scales.length
        together = torch.cat([q, *self.scales.columns(state, slice(None))], 1)
        return self.network(together.view(state.num_systems, -1))[:, 0]


def potential(name: str, path: Trajectory) -> Float[Tensor, "time systems"]:
    if name == "string-ball":
        return potential_energy(path)
    true = hamiltonian(name)
    return torch.stack([true.potential(state) for state in path])


def energy(name: str, seed: int) -> dict[str, Any]:
    """Mean squared errors over the variance, of both read-outs, on other trajectories."""
    data = data_of(name, seed)
    train, test = data.train, test_path(name, SYSTEMS[name].bodies, seed).frames(slice(0, None, 10))
    known, wanted = potential(name, train), potential(name, test)
    mean, size = known.mean(), known.std()
    names = tuple(k for k, v in sorted(train.attributes.items()) if bool((v != v[0]).any()))
    shape = Shape(train.dim, train.num_nodes // train.num_systems, names)
    found = {}
    for kind in (Graph, Whole):
        generator = torch.Generator().manual_seed(seed)
        model = kind(shape, generator)
        model.scales.fit(train, train.interval)
        model = model.double()
        learn(model, train, (known - mean) / size, generator)
        with torch.no_grad():
            said = torch.stack([model(state) for state in test])
        found[kind.__name__] = float(((mean + size * said) - wanted).square().mean())
    return {"potential energy MSE": found, "variance": float(wanted.var()), "steps": ENERGY_STEPS}


def learn(
    model: Callable[[State], Tensor], path: Trajectory, wanted: Tensor, generator: torch.Generator
) -> None:
    """Adam in one cycle, on so many states of one frame in each step."""
    assert isinstance(model, nn.Module)
    optimiser = torch.optim.Adam(model.parameters())
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=ENERGY_STEPS)
    for _ in range(ENERGY_STEPS):
        frame = int(torch.randint(len(path), (), generator=generator))
        some = torch.randperm(path.num_systems, generator=generator)[:ENERGY_GRAPHS]
        loss = (model(path[frame].systems(some)) - wanted[frame, some]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()


def measure(name: str, model: str, seed: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    if model == "energy":
        return energy(name, int(seed))
    return simulator(name, model, int(seed))


def every() -> list[str]:
    """The cases; discs have no potential."""
    models = ("interaction", "alone", "mlp", "energy")
    cases = [f"{name} {model} 0" for name in SYSTEMS for model in models]
    return [case for case in cases if case != "balls energy 0"]


def main(cases: list[str]) -> None:
    for case in cases or every():
        result = record("interaction", case, *case.split())
        print(case, {k: v for k, v in result.items() if k not in ("commit", "versions")})


if __name__ == "__main__":
    if measuring(measure):
        sys.exit()
    main(sys.argv[1:])
