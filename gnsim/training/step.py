"""The step of a training run: a batch, its loss through the integrator, the optimiser."""

import itertools
import os
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnsim.errors import InputError, NonFiniteError
from gnsim.graph import displacement, distance
from gnsim.integrators import INTEGRATORS
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.radial import RadialNetwork
from gnsim.models.terms import Term
from gnsim.noise import STILL, as_noisy_as, quiet_steps
from gnsim.response import Rows, surviving_terms
from gnsim.starts import fitted_starts, unexplained
from gnsim.state import Trajectory
from gnsim.training.charges import first_charges
from gnsim.training.checkpoint import Checkpoint, flatten, unflatten
from gnsim.training.config import TrainingConfig
from gnsim.training.loss import ProjectedLoss
from gnsim.training.model_file import PRECISIONS, model_part, model_tensors, untrained
from gnsim.windows import Windows, WindowSampler

_VALIDATION_WINDOWS = 300
#: of those whose starts are fitted
_FITTED_WINDOWS = 60
_SCALE_WINDOWS = 500
_POLISH_WINDOWS = 1000
_POLISH_ROUNDS = 3
_PAIRS_AT_ONCE = 200_000
#: pairs in frames that a search for equations wants at least, for nothing to be trained in vain
_LEAST_SAMPLES = 10
_WARM_UP_STEPS = 30
#: steps at most of a window whose length noise asks for
_STEPS = 4
_GRADIENT_NORM = 1.0
_LINE_SPEED = 2.0
_START_WINDOWS = 64
_START_SLOPES = (-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_START_OFFSETS = (0.0, -1.0, 1.0)
#: by so much less must the logarithm of its loss be for a line that is further from zero
_START_GAIN = 0.03


class Training:
    """One training run: its loss, optimiser and position in the schedule.

    Batches are functions of (seed, step, rank), so that a run that was killed and started again
    takes the same steps as one that was not.
    """

    def __init__(
        self,
        train: Trajectory,
        valid: Trajectory,
        config: TrainingConfig,
        structure: Structure,
        seed: int,
    ) -> None:
        self.config, self.seed, self.step = config, seed, 0
        dtype = PRECISIONS[config.precision]
        window = config.window or min(quiet_steps(train), len(valid) - 1)
        # against noise windows are long, not finely stepped
        stride = 1 if config.window else max(1, window // _STEPS)
        steps = window // stride
        self.sampler = WindowSampler(_cast(train, dtype), steps, stride)
        self.pairs = train.pairs_per_system
        _require_samples(train, self.pairs)
        self.valid = _cast(valid, dtype)
        held_out = WindowSampler(as_noisy_as(self.sampler.trajectory, self.valid), steps, stride)
        self.held_out = held_out.spread(self._at_most(_VALIDATION_WINDOWS))
        self.fabric = _fabric()
        self.model = untrained(train, config, structure, seed)
        self.network = _radial(self.model)
        self._scale_network()
        self.loss = self._projected_loss()
        self._start_line()
        optimiser = torch.optim.Adam(_groups(self.network, config.learning_rate), eps=1e-16)
        self.wrapped, self.optimiser = self.fabric.setup(self.loss, optimiser)
        # windows of many steps say more each, and overlap
        size = round(config.pairs_per_batch / (self.pairs * steps**0.5))
        self.batch_size = max(self._at_most(8), size)

    def advance(self, schedule: int) -> float:
        """One optimiser step of a cosine schedule of so many steps; the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * _schedule(self.step, schedule)
        loss = self.wrapped(self.sampler.sample(self.batch_size, self._generator()))
        self._require_finite("loss", loss)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self._require_finite("gradient", norm)
        self.optimiser.step()
        self.loss.correction = self._mean(self.loss.correction)
        self.loss.accept_correction()
        self.step += 1
        return float(loss.detach().exp())

    @property
    def learning_rate(self) -> float:
        """Of the step that was taken last."""
        return float(self.optimiser.param_groups[0]["lr"])

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes; the only one, outside torchrun."""
        return self.fabric.is_global_zero

    def agreed(self, wish: int) -> int:
        """The largest of the wishes of all processes: what one must do, all do in the same step."""
        if self.fabric.world_size == 1:
            return wish
        return int(self.fabric.all_reduce(torch.tensor(int(wish)), reduce_op="max"))

    def validate(self) -> float:
        """Median relative error of the held-out windows."""
        with torch.no_grad():
            errors, _ = self.loss.errors(self.held_out)
        return float(errors.norm(dim=-1).median())

    def unexplained(self) -> float:
        """As `validate`, but of noisy data from the starts that are likeliest for the model.

        From measured ones, stiff motion makes more of the noise than most forces do.
        """
        train, steps = self.sampler.trajectory, quiet_steps(self.sampler.trajectory, STILL)
        # difference quotients need all digits
        valid = as_noisy_as(train, self.valid).to(torch.float64)
        windows = WindowSampler(valid, min(steps, len(valid) - 1)).spread(_FITTED_WINDOWS)
        if windows.path.noise is None:
            return self.validate()
        fixed = (self.loss.integrator, windows.path, self.loss.substeps)
        model = deepcopy(self.model).double()
        with torch.no_grad():
            starts = fitted_starts(model, *fixed)
            errors = unexplained(model, *fixed, starts) / windows.typical[:, None]
        return float(errors.norm(dim=-1).nan_to_num(nan=torch.inf).median())

    def polish(self) -> None:
        """Solves the couplings once more, from many windows at once."""
        windows = self._many_windows()
        for _ in range(_POLISH_ROUNDS):
            with torch.no_grad():
                self.loss(windows)
            self.loss.accept_correction()

    def keep(self, terms: tuple[Term, ...]) -> None:
        """Goes on without the other terms; couplings and coefficients are solved for again."""
        if terms == self.model.terms:
            return
        old = self.model
        kept = [field.coefficients for field in old.fields() if field.term in terms]
        self.model = CoupledPairs(old.pair, replace(old.structure, terms=terms), old.bodies)
        self.model.x = torch.cat([old.couplings, *kept])
        self.loss = self._projected_loss()
        self.polish()

    def _projected_loss(self) -> ProjectedLoss:
        """The loss of the present model, its coefficients kept to what the frames resolve."""
        start = self.sampler.trajectory[0]
        dt = self.sampler.interval
        counts = torch.tensor([len(term.symbols) for term in self.model.terms], dtype=torch.long)
        largest = torch.tensor([term.resolvable(start, dt) for term in self.model.terms])
        of_couplings = torch.full((self.model.num_couplings,), torch.inf)
        limits = torch.cat([of_couplings, largest.repeat_interleave(counts)]).to(self.model.x)
        integrator = INTEGRATORS[self.config.integrator]()
        return ProjectedLoss(self.model, integrator, self.config.substeps, limits)

    def needed_terms(self) -> tuple[Term, ...]:
        """The terms that the held-out windows need."""
        train, held_out = (
            Rows.of(self.model, self.loss.integrator, self.loss.substeps, windows)
            for windows in (self._many_windows(), self.held_out)
        )
        return surviving_terms(self.model, train, held_out)

    def _many_windows(self) -> Windows:
        """Training windows, as many as a solution for the couplings by itself can have."""
        return self.sampler.spread(self._at_most(_POLISH_WINDOWS))

    def tensors(self) -> tuple[dict[str, Tensor], Any]:
        """Everything that a resumed run needs: tensors by name, and the rest of the optimiser."""
        optimiser, skeleton = flatten(self.optimiser.state_dict(), "optimiser")
        return {**model_tensors(self.model), **optimiser}, skeleton

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continues from where `checkpoint` was written."""
        self.model.load_state_dict(model_part(checkpoint.tensors))
        state = unflatten(checkpoint.header["optimiser"], checkpoint.tensors)
        self.optimiser.load_state_dict(state)
        self.step = int(checkpoint.header["step"])

    def _at_most(self, windows: int) -> int:
        """Fewer windows where bodies are many: memory grows with the pairs in all of them."""
        return max(1, min(windows, _PAIRS_AT_ONCE // self.pairs))

    def _generator(self) -> torch.Generator:
        words = [self.seed, self.step, self.fabric.global_rank]
        word = np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1
        return torch.Generator().manual_seed(int(word))

    def _mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.fabric.world_size == 1:
            return value
        reduced = self.fabric.all_reduce(value, reduce_op="mean")
        assert isinstance(reduced, Tensor)  # a collection gives a collection, a tensor a tensor
        return reduced

    def _scale_network(self) -> None:
        windows = self.sampler.spread(self._at_most(_SCALE_WINDOWS))
        state = windows.path[0]
        r = distance(displacement(state.q, state.pairs, state.box))
        self.network.fit_scales(r, windows.path.attributes)

    def _start_line(self) -> None:
        """Starts from the straight line through log r that explains most.

        The loss is flat in the slope until it is nearly right, so a descent alone needs luck. Of
        lines about as good, the one nearest to zero: from far up the hyperbolic sine, a force that
        changes its sign may never be found.
        """
        windows = self.sampler.spread(self._at_most(_START_WINDOWS))
        line = self.network.linear

        def loss(start: tuple[float, float]) -> float:
            with torch.no_grad():
                line.weight[0, 0], line.bias[0] = start
                self._start_numbers(windows)
                for _ in range(2):
                    value = float(self.loss(windows))
                    self.loss.accept_correction()
            return value if np.isfinite(value) else float("inf")

        losses = {start: loss(start) for start in itertools.product(_START_SLOPES, _START_OFFSETS)}
        bound = min(losses.values()) + _START_GAIN
        good = [start for start, value in losses.items() if value <= bound]
        loss(min(good, key=lambda start: (abs(start[1]), losses[start])))

    def _start_numbers(self, windows: Windows) -> None:
        self.model.x.zero_()
        if self.model.coupling.of == "both":
            self.model.x[: self.model.num_couplings] = first_charges(self.loss, windows)

    def _require_finite(self, what: str, value: Tensor) -> None:
        if not bool(torch.isfinite(value)):
            raise NonFiniteError(
                f"training step {self.step}: the {what} is {float(value.detach()):g}; nothing was "
                "written since the last checkpoint; lower learning_rate or raise substeps"
            )


def _cast(trajectory: Trajectory, dtype: torch.dtype) -> Trajectory:
    """Times from zero: single precision would round away the steps of a late calendar."""
    return replace(trajectory, t=trajectory.t - trajectory.t[0]).to(dtype)


def _require_samples(train: Trajectory, pairs: int) -> None:
    frames = (len(train) - 1) * train.num_systems
    if frames * pairs < _LEAST_SAMPLES:
        raise InputError(
            f"training data: {pairs} pairs of bodies in {frames} frames that have a next one are "
            f"{frames * pairs} samples, and a law needs {_LEAST_SAMPLES}; "
            "give more frames, trajectories or bodies"
        )


def _radial(model: CoupledPairs) -> RadialNetwork:
    network = model.pair
    if not isinstance(network, RadialNetwork):
        raise TypeError(f"training wants a RadialNetwork, found a {type(network).__name__}")
    return network


def _groups(network: RadialNetwork, rate: float) -> list[dict[str, Any]]:
    """The straight line through log r goes ahead of the network that bends it."""
    return [
        {"params": network.linear.parameters(), "lr": rate, "peak": _LINE_SPEED * rate},
        {"params": network.body.parameters(), "lr": rate, "peak": rate},
    ]


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to a thousandth."""
    warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
    return warm * (0.5 * (1 + float(np.cos(np.pi * step / steps))) + 1e-3)


def _fabric() -> Any:
    """One process, or as many as torchrun started.

    On the CPU: trajectories and the indices of their pairs live there, and pair networks are small.
    """
    from lightning_fabric import Fabric

    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // local
    fabric = Fabric(accelerator="cpu", devices=local, num_nodes=nodes)
    fabric.launch()
    return fabric
