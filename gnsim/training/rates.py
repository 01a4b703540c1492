"""What a vector-message model is trained on: exact accelerations, or motion through an integrator.

Either source says how far a model misses, as accelerations; `LOSSES` make one number of that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnsim.dynamics import Dynamics
from gnsim.integrators.base import Integrator
from gnsim.models.vector_messages import VectorMessageModel
from gnsim.prediction import predict
from gnsim.state import State, Trajectory
from gnsim.windows import WindowSampler, mean_acceleration_error


@dataclass(frozen=True)
class Misses:
    """Errors of a batch with what was `wanted`, and the mean penalty of the regulariser.

    Kinds are accelerations and velocities for exact rates, accelerations by positions and by
    velocities for motion.
    """

    error: Float[Tensor, "kinds *steps nodes dim"]
    wanted: Float[Tensor, "kinds *steps nodes dim"]
    penalty: Float[Tensor, ""]


@runtime_checkable
class Source(Protocol):
    """Batches, each a function of its generator."""

    def misses(
        self, model: VectorMessageModel, count: int, generator: torch.Generator
    ) -> Misses: ...

    def start(self, count: int, generator: torch.Generator) -> State: ...


class ExactRates:
    """All states of a trajectory with the accelerations that `truth` has there, in `dtype`.

    Accelerations are computed once, in the precision of the trajectory; the states need not be
    successive to any accuracy. Every system has the same number of bodies.
    """

    def __init__(self, truth: Dynamics, trajectory: Trajectory, dtype: torch.dtype) -> None:
        with torch.no_grad():
            mass = trajectory.mass[:, None]
            rates = torch.stack([truth.vector_field(state)[1] / mass for state in trajectory])
        self.acceleration = rates.to(dtype)
        self.trajectory = trajectory.to(dtype)
        self.bodies = trajectory.num_nodes // trajectory.num_systems
        self._unions: dict[int, State] = {}

    def start(self, count: int, generator: torch.Generator) -> State:
        """The states of a batch, drawn with replacement over systems and times."""
        return self._state(*self._drawn(count, generator))

    def batch(
        self, count: int, generator: torch.Generator
    ) -> tuple[State, Float[Tensor, "nodes dim"]]:
        """States as one union of systems, with their exact accelerations."""
        frame, node = self._drawn(count, generator)
        return self._state(frame, node), self.acceleration[frame, node]

    def misses(self, model: VectorMessageModel, count: int, generator: torch.Generator) -> Misses:
        state, acceleration = self.batch(count, generator)
        dq, dp, penalty = model.penalised_field(state)
        wanted = torch.stack([acceleration, state.velocity])
        return Misses(torch.stack([dp / state.mass[:, None], dq]) - wanted, wanted, penalty)

    def _drawn(
        self, count: int, generator: torch.Generator
    ) -> tuple[Int[Tensor, " nodes"], Int[Tensor, " nodes"]]:
        frames, systems = len(self.trajectory), self.trajectory.num_systems
        chosen = torch.randint(0, frames * systems, (count, 1), generator=generator)
        node = (chosen % systems) * self.bodies + torch.arange(self.bodies)
        return (chosen // systems).expand_as(node).reshape(-1), node.reshape(-1)

    def _state(self, frame: Int[Tensor, " nodes"], node: Int[Tensor, " nodes"]) -> State:
        source = self.trajectory
        union = self._union(len(node) // self.bodies)
        attributes = {name: values[node] for name, values in source.attributes.items()}
        state = replace(
            union, q=source.q[frame, node], p=source.p[frame, node], attributes=attributes
        )
        # what depends on the batch alone costs more than the rest of a batch
        state.__dict__.update(pairs=union.pairs, num_systems=union.num_systems)
        return state

    def _union(self, count: int) -> State:
        """So many systems, whose states and attributes are still to come."""
        if count not in self._unions:
            batch = torch.arange(count).repeat_interleave(self.bodies)
            empty = self.trajectory.q.new_zeros(len(batch), self.trajectory.dim)
            like = self.trajectory
            self._unions[count] = State(empty, empty, batch, box=like.box, bonds=like.bonds)
        return self._unions[count]


@dataclass(frozen=True)
class ThroughIntegrator:
    """Windows of a measured trajectory, predicted from their first frame."""

    trajectory: Trajectory
    integrator: Integrator
    window: int = 1
    substeps: int = 1

    @cached_property
    def sampler(self) -> WindowSampler:
        return WindowSampler(self.trajectory, self.window)

    def start(self, count: int, generator: torch.Generator) -> State:
        """The first frames of a batch of windows."""
        return self.sampler.sample(count, generator).path[0]

    def misses(self, model: VectorMessageModel, count: int, generator: torch.Generator) -> Misses:
        path = self.sampler.sample(count, generator).path
        predicted = predict(model, self.integrator, path, self.substeps)
        error = mean_acceleration_error(path, *predicted)
        elapsed = (path.t[1:] - path.t[0])[:, None, None]
        wanted = (path.velocity[1:] - path.velocity[0]) / elapsed
        return Misses(error, wanted.expand_as(error), model.penalised_field(path[0])[2])


Loss = Callable[[Misses], Float[Tensor, "kinds *steps nodes"]]


def _absolute(misses: Misses) -> Float[Tensor, "kinds *steps nodes"]:
    """The published loss."""
    return misses.error.abs().sum(-1)


def _relative(misses: Misses) -> Float[Tensor, "kinds *steps nodes"]:
    """``|e| / (.1 + .3 |a|)``: close encounters, whose forces are huge, do not rule."""
    return _absolute(misses) / (0.1 + 0.3 * misses.wanted.norm(dim=-1))


LOSSES: Mapping[str, Loss] = {"absolute": _absolute, "relative": _relative}


def training_loss(misses: Misses, loss: str) -> Float[Tensor, ""]:
    """The loss of a name, a mean over bodies (and steps), with the penalty on top."""
    return LOSSES[loss](misses).flatten(1).mean(1).sum() + misses.penalty
