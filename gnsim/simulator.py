"""A dynamics and an integrator: `Simulator(...).rollout(state, times)`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Dynamics, Hamiltonian
from gnsim.integrators.base import IntegrationError, Integrator
from gnsim.invariants import energy, kinetic_energy
from gnsim.neighbours import FarAwayError
from gnsim.state import State, Trajectory


class Fault(NamedTuple):
    """What is wrong with a state: in words, at which node (None: at no single one), in what."""

    cause: str
    body: int | None
    quantity: str


class DivergedError(IntegrationError):
    """A rollout left the finite numbers or its energy limit, or a step could not be taken.

    `trajectory` holds the frames before the fault, all of them valid; `step` counts integration
    steps from 1 and `time` is the end of that step; `body` and `quantity` as in `Fault`.
    """

    def __init__(self, fault: Fault, trajectory: Trajectory, step: int, time: float) -> None:
        super().__init__(
            f"rollout diverged in step {step} (t = {time:g}): {fault.cause}; the first "
            f"{len(trajectory)} frames are valid; try more substeps"
        )
        self.trajectory = trajectory
        self.step = step
        self.time = time
        self.body = fault.body
        self.quantity = fault.quantity


@dataclass(frozen=True)
class Simulator:
    """Integrates a dynamics. True systems, learned networks and laws are run by the same class.

    Each interval between two times is cut into `substeps` equal steps. `energy_limit` bounds the
    change of each system's H over ``max(|H|, kinetic energy)`` at the start (over 1 where both
    are zero). Raises ValueError if the integrator is not made for the dynamics.
    """

    dynamics: Dynamics
    integrator: Integrator
    substeps: int = 1
    energy_limit: float | None = None

    def __post_init__(self) -> None:
        self.integrator.accept(self.dynamics)
        if self.substeps < 1:
            raise ValueError(f"substeps must be a whole number from 1 on, got {self.substeps}")
        if self.energy_limit is not None and not isinstance(self.dynamics, Hamiltonian):
            raise ValueError(
                f"energy_limit needs a Hamiltonian, but {type(self.dynamics).__name__} has no "
                "energy; leave energy_limit out"
            )

    def rollout(
        self,
        state: State,
        times: Float[Tensor, " time"],
        *,
        names: tuple[str, ...] = (),
        differentiable: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Trajectory:
        """The trajectory through `state`, which stands at ``times[0]``.

        `times` increase or decrease, in the unit of time of the state. `names` of the bodies go
        to the trajectory and into messages. Gradients are kept if `differentiable`. `progress` is
        called with the number of frames done and of all. Raises ValueError for times or a state
        that cannot be used, DivergedError within one step of the first fault.
        """
        ticks = _checked(times)
        with torch.set_grad_enabled(differentiable):
            state = self.dynamics.attach(state)
            if fault := _not_finite(state, names):
                raise ValueError(f"the rollout must start from finite numbers, but {fault.cause}")
            record = _Record(state, times, names, differentiable)
            watch = self._watch(state, names)
            for frame in range(1, len(ticks)):
                dt = (ticks[frame] - ticks[frame - 1]) / self.substeps
                for substep in range(1, self.substeps + 1):
                    state, fault = self._step(state, dt, watch)
                    if fault:
                        step = (frame - 1) * self.substeps + substep
                        time = ticks[frame - 1] + substep * dt
                        raise DivergedError(fault, record.trajectory(), step, time)
                record.add(state)
                if progress:
                    progress(frame + 1, len(ticks))
        return record.trajectory()

    def _step(
        self, state: State, dt: float, watch: Callable[[State], Fault | None]
    ) -> tuple[State, Fault | None]:
        try:
            state = self.integrator.step(self.dynamics, state, dt)
        except (IntegrationError, FarAwayError) as error:
            return state, Fault(str(error), None, "step")
        return state, watch(state)

    def _watch(self, start: State, names: tuple[str, ...]) -> Callable[[State], Fault | None]:
        """The check that every state of a rollout from `start` must pass."""
        if self.energy_limit is None or not isinstance(self.dynamics, Hamiltonian):
            return lambda state: _not_finite(state, names)
        hamiltonian, limit = self.dynamics, self.energy_limit
        first = energy(hamiltonian, start)
        scale = torch.maximum(first.abs(), kinetic_energy(start).detach())
        scale = torch.where(scale > 0, scale, 1.0)

        def watch(state: State) -> Fault | None:
            if fault := _not_finite(state, names):
                return fault
            change = ((energy(hamiltonian, state) - first) / scale).abs()
            # "not within" rather than "above", so that NaN is caught
            if bool((change <= limit).all()):
                return None
            system = int((~(change <= limit)).nonzero()[0])
            return Fault(
                f"the energy of system {system} changed by {float(change[system]):.3g} of its "
                f"scale, the limit is {limit:g}",
                None,
                "energy",
            )

        return watch


class _Record:
    """The frames of a rollout: written in place, or stacked at the end to keep gradients."""

    def __init__(
        self, start: State, times: Tensor, names: tuple[str, ...], differentiable: bool
    ) -> None:
        self.start, self.times, self.names = start, times, names
        self.differentiable = differentiable
        self.count = 0
        self.states: list[State] = []
        if not differentiable:
            self.q, self.p = (x.new_empty(len(times), *x.shape) for x in (start.q, start.p))
        self.add(start)

    def add(self, state: State) -> None:
        if self.differentiable:
            self.states.append(state)
        else:
            self.q[self.count], self.p[self.count] = state.q, state.p
        self.count += 1

    def trajectory(self) -> Trajectory:
        if self.differentiable:
            q, p = (torch.stack([getattr(s, x) for s in self.states]) for x in ("q", "p"))
        else:
            q, p = self.q[: self.count], self.p[: self.count]
        return Trajectory(
            t=self.times[: self.count],
            q=q,
            p=p,
            batch=self.start.batch,
            attributes=self.start.attributes,
            box=self.start.box,
            units=self.start.units,
            names=self.names,
            bonds=self.start.bonds,
            walls=self.start.walls,
        )


def _checked(times: Tensor) -> list[float]:
    """The times as numbers. Raises ValueError unless they are a monotonic row of finite ones."""
    if times.ndim != 1 or len(times) < 1:
        raise ValueError(
            f"times must be a row of at least one time, got the shape {tuple(times.shape)}"
        )
    ticks = times.tolist()
    for index, tick in enumerate(ticks):
        if not math.isfinite(tick):
            raise ValueError(f"times must be finite, but times[{index}] is {tick}")
    sign = math.copysign(1.0, ticks[-1] - ticks[0])
    for index in range(1, len(ticks)):
        if sign * (ticks[index] - ticks[index - 1]) <= 0:
            raise ValueError(
                f"times must increase or decrease throughout, but times[{index - 1}] is "
                f"{ticks[index - 1]:g} and times[{index}] is {ticks[index]:g}; sort them and "
                "drop repeated ones"
            )
    return ticks


def _not_finite(state: State, names: tuple[str, ...]) -> Fault | None:
    """The first body with a position or momentum that is NaN or infinite."""
    for quantity, values in (("position", state.q), ("momentum", state.p)):
        finite = torch.isfinite(values)
        if not bool(finite.all()):
            node, axis = (int(i) for i in (~finite).nonzero()[0])
            body = f"{names[node]} (body {node})" if names else f"body {node}"
            value = float(values[node, axis])
            return Fault(f"the {quantity} of {body} is {value} on axis {axis}", node, quantity)
    return None
