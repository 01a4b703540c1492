"""How a trained simulator is rolled out, and which data it can be rolled out over."""

from dataclasses import dataclass

import torch

from gnsim.config import did_you_mean
from gnsim.errors import InputError
from gnsim.models.gns import TYPE
from gnsim.simulator import Simulator
from gnsim.simulators.trained import TrainedSimulator
from gnsim.state import Trajectory
from gnsim.training.simulator_config import AUTO, METHODS
from gnsim.windows import equal_interval

#: by which a step may miss a whole number of frames
_WHOLE = 1e-6
#: of the step of the training: what is beyond is no test of a simulator
_FACTORS = (1e-4, 1e4)


@dataclass(frozen=True)
class RolloutProtocol:
    """How a simulator is rolled out: by the `integrator` it was trained with, or another one.

    In steps of `factor` times the shortest it was trained with, and compared after each of them, or
    at each frame where steps are shorter: `steps` times, or as often as there are data.
    """

    integrator: str | None = None
    factor: float = 1.0
    steps: int | None = None

    def __post_init__(self) -> None:
        """Raises InputError for what there is not."""
        known = {AUTO, *METHODS}
        if self.integrator is not None and self.integrator not in known:
            hint = did_you_mean(self.integrator, known)
            raise InputError(f"--integrator: '{self.integrator}' is unknown; {hint}")
        if not _FACTORS[0] <= self.factor <= _FACTORS[1]:
            raise InputError(
                f"--dt: wanted a factor from {_FACTORS[0]:g} to {_FACTORS[1]:g}, found "
                f"{self.factor:g}"
            )

    def frames_and_substeps(self, trained: TrainedSimulator, truth: Trajectory) -> tuple[int, int]:
        """Frames from one compared state to the next, and the steps between these.

        Raises:
            InputError: neither is the step a number of frames, nor a frame a number of steps.
        """
        frames = self.step(trained) / truth.interval
        stride, parts = max(1, round(frames)), max(1, round(1 / frames))
        if abs(frames * parts / stride - 1) > _WHOLE:
            raise self._no_step(
                trained, truth, "of a whole number of frames, or of one over such a number"
            )
        return stride, parts * trained.substeps

    def _no_step(self, trained: TrainedSimulator, truth: Trajectory, wanted: str) -> InputError:
        """What to do about a step that is not `wanted`: of the factor, where one was given."""
        found = f"found {self.step(trained):g}, and frames {truth.interval:g} apart"
        if self.factor != 1:
            return InputError(f"--dt: wanted a step {wanted}, {found}; give another factor")
        return InputError(
            f"data: wanted a step {wanted}, {found}; give data with frames {trained.step:g} apart"
        )

    def step(self, trained: TrainedSimulator) -> float:
        """The time that a step takes."""
        return self.factor * trained.step

    def require(self, trained: TrainedSimulator, truth: Trajectory) -> None:
        """Raises InputError where simulator, integrator and data do not go together."""
        _require_bodies(trained, truth)
        Simulator(trained.model, trained.method(self.integrator))
        self._require_steps(trained, truth)

    def _require_steps(self, trained: TrainedSimulator, truth: Trajectory) -> None:
        """Raises InputError where steps are not those of the data, or there are too few."""
        try:
            equal_interval(truth.t)
        except ValueError as error:
            raise InputError(f"data: {error}") from error
        stride, substeps = self.frames_and_substeps(trained, truth)
        if trained.remembered and (stride, substeps) != (1, 1):
            raise self._no_step(
                trained,
                truth,
                f"of one frame and of {trained.step:g}: '{trained.name}' knows no other",
            )
        most = (len(truth) - 1) // stride - trained.remembered
        if most < 1:
            chosen = self.factor != 1
            raise InputError(
                f"{'--dt' if chosen else 'data'}: wanted a step within {len(truth) - 1} frames of "
                f"{truth.interval:g}, found {stride} frames after {trained.remembered}; give "
                f"{'a smaller factor, or ' if chosen else ''}longer data"
            )
        if not 1 <= (self.steps or 1) <= most:
            raise InputError(
                f"--steps: wanted at most {most}, the held-out steps of this length, found "
                f"{self.steps or 1}"
            )


def _require_bodies(trained: TrainedSimulator, truth: Trajectory) -> None:
    """Raises InputError for bodies that are of another kind than those of the training."""
    if truth.dim != trained.dim:
        raise InputError(f"data: wanted {trained.dim} dimensions, as trained, found {truth.dim}")
    if absent := [name for name in trained.attributes if name not in truth.attributes]:
        raise InputError(f"data: wanted the attribute '{absent[0]}' of the training, found none")
    types = set(truth.attributes.get(TYPE, torch.empty(0)).unique().tolist())
    if trained.types and (unknown := types - set(trained.types)):
        raise InputError(
            f"data: {TYPE}: wanted those of the training, "
            f"{', '.join(map(str, trained.types))}, found {min(unknown):g}"
        )
    other = set(truth.batch.bincount().tolist()) - {trained.bodies}
    if trained.bodies is not None and other:
        raise InputError(
            f"data: wanted systems of {trained.bodies} bodies, as '{trained.name}' was "
            f"trained for, found one of {min(other)}; {trained.for_other_bodies}"
        )
