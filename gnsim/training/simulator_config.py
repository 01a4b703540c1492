"""How a learned simulator is trained: its settings, and the untrained model."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from gnsim.dynamics import Dynamics, Jump
from gnsim.errors import InputError
from gnsim.integrators import INTEGRATORS, RK4, Integrator, Jumps
from gnsim.models.gns import GNS, TYPE
from gnsim.models.learned import Learned, is_fixed
from gnsim.models.scales import Shape
from gnsim.models.simulators import SIMULATORS
from gnsim.models.state_mlp import StateMLP
from gnsim.neighbours import radius_pairs
from gnsim.state import Trajectory
from gnsim.training.loop import LoopConfig
from gnsim.training.model_file import MOST_BODIES, PRECISIONS, WIDEST, varies
from gnsim.training.window_errors import LOSSES

AUTO, BFLOAT16 = "auto", "bfloat16"
#: settings of models that see one state, and of those that see a past
_OF_ONE_STATE = ("window", "shortest", "longest", "substeps")
_OF_A_PAST = ("history", "passes", "noise")
#: pairs in a batch times the passes over them: training holds 3 GB of as many, 64 wide
_MOST_PAIRS = 800_000
#: nothing deeper is built
MOST_PASSES = 100
#: frames in which bodies are looked for that see each other
_LOOKED_AT = 20
METHODS: Mapping[str, type[Integrator]] = {**INTEGRATORS, "jumps": Jumps}


@dataclass(frozen=True)
class SimulatorConfig(LoopConfig):
    """Settings of a learned simulator; `model` is a name of `SIMULATORS`.

    A batch is of windows of so many steps as `window` says. All its steps are of one length, drawn
    for each batch from `shortest` to `longest`, in frames. Each step is taken in `substeps` of the
    `integrator`, one of `METHODS` or ``auto``: rk4, and jumps for what jumps. A `loss` of `LOSSES`
    is taken of the errors of positions and momenta at each step, as rates over their usual size.
    Bodies within the connectivity `radius`, in units of the data, see each other (all, if None).

    Of ``gns`` alone: it sees velocities of so many steps as `history`, passes messages `passes`
    times, and learns from pasts in whose velocities there is `noise`, over their spread. With the
    `precision` bfloat16 its products are taken in that; its weights have single precision.
    """

    steps: int = 4_000
    graphs: int = 32
    learning_rate: float = 3e-3
    loss: str = "squared"
    save_every: int = 250
    model: str = "hogn"
    hidden: int = 64
    window: int = 1
    shortest: int = 1
    longest: int = 1
    integrator: str = AUTO
    substeps: int = 1
    radius: float | None = None
    history: int = 5
    passes: int = 10
    noise: float = 0.3

    section: ClassVar[str] = "simulator."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest < self.shortest:
            raise InputError(
                f"simulator.longest: wanted at least simulator.shortest, {self.shortest}, found "
                f"{self.longest}"
            )
        if self.hidden > WIDEST:
            raise InputError(f"simulator.hidden: wanted at most {WIDEST}, found {self.hidden}")
        if self.radius is not None and not 0 < self.radius < math.inf:
            raise InputError(f"simulator.radius: wanted a length above 0, found {self.radius:g}")
        if self.radius is not None and issubclass(SIMULATORS[self.model], StateMLP):
            raise InputError(
                f"simulator.radius: wanted none with '{self.model}', which sees a system as a "
                "whole; name a graph model"
            )
        for name in ("history", "passes"):
            if getattr(self, name) > MOST_PASSES:
                found = getattr(self, name)
                raise InputError(f"simulator.{name}: wanted at most {MOST_PASSES}, found {found}")
        self._check_memory()
        # of any shape: whether the two go together is known before there are data
        model = SIMULATORS[self.model](Shape(1, 2, (), history=1), 1, torch.Generator())
        try:
            method(self.integrator, model).accept(model)
        except ValueError as error:
            raise InputError(f"simulator.integrator: {error}") from error

    def _check_memory(self) -> None:
        """What goes with a model that remembers, and what only with one."""
        if not 0 <= self.noise < math.inf:
            raise InputError(f"simulator.noise: wanted at least 0, found {self.noise:g}")
        remembers = issubclass(SIMULATORS[self.model], GNS)
        wrong = _OF_ONE_STATE if remembers else _OF_A_PAST
        for name in wrong:
            if (found := getattr(self, name)) != (usual := getattr(SimulatorConfig, name)):
                raise InputError(
                    f"simulator.{name}: wanted {usual} with '{self.model}', found {found}; "
                    f"it is a setting of {'other models' if remembers else 'gns'}"
                )

    @property
    def strides(self) -> range:
        """The time steps that are drawn from, in frames."""
        return range(self.shortest, self.longest + 1)

    @property
    def span(self) -> int:
        """Steps of the data that the longest window takes."""
        return self.window * self.longest

    @property
    def remembered(self) -> int:
        """Frames before the present that the model sees."""
        return self.history if issubclass(SIMULATORS[self.model], GNS) else 0

    def _choices(self) -> dict[str, Mapping[str, Any]]:
        methods = {AUTO: None, **METHODS}
        own: dict[str, Mapping[str, Any]]
        own = {"model": SIMULATORS, "integrator": methods, "loss": LOSSES}
        if self.model == "gns":
            own["precision"] = {**PRECISIONS, BFLOAT16: torch.float32}
        return {**super()._choices(), **own}

    def _counts(self) -> Iterator[str]:
        yield from super()._counts()
        yield from ("hidden", "window", "shortest", "longest", "substeps", "history", "passes")


def method(name: str, model: Dynamics) -> Integrator:
    """The integrator of a name of `METHODS`, or the usual one of a model for ``auto``."""
    if name == AUTO:
        return Jumps() if isinstance(model, Jump) else RK4()
    return METHODS[name]()


def untrained(train: Trajectory, config: SimulatorConfig, seed: int) -> Learned:
    """A model for these bodies and attributes in their scales, with weights drawn from `seed`."""
    check_radius(train, config)
    model = SIMULATORS[config.model](
        _shape(train, config), config.hidden, torch.Generator().manual_seed(seed)
    )
    strides = config.strides
    model.fit_scales(train, train.interval * sum(strides) / len(strides))
    return in_precision(model, config)


def in_precision(model: Learned, config: SimulatorConfig) -> Learned:
    """The weights in the precision of the settings, and the products of GNS in bfloat16."""
    if config.precision == BFLOAT16 and isinstance(model, GNS):
        model.network.products = torch.bfloat16
        return model.to(torch.float32)
    return model.to(PRECISIONS[config.precision])


def check_particles(dataset: Mapping[str, Trajectory]) -> None:
    """Raises InputError for types of particles that are no whole numbers, or that `train` has none
    of, and where none of its bodies is free; `dataset` has the parts by their names."""
    known: set[float] = set()
    for part, path in dataset.items():
        types = set(path.attributes.get(TYPE, torch.empty(0)).unique().tolist())
        known = known or types
        wrong = [x for x in types if x != round(x) or not 0 <= x <= MOST_BODIES or x not in known]
        if wrong:
            raise InputError(
                f"the part '{part}': {TYPE}: wanted whole numbers from 0 on that the training has, "
                f"found {wrong[0]:g}; leave these particles out, or train with some of them"
            )
    fixed = is_fixed(dataset["train"])
    if fixed is not None and bool(fixed.all()):
        raise InputError("fixed: wanted bodies that are free, found none: nothing is to be learned")


def _shape(train: Trajectory, config: SimulatorConfig) -> Shape:
    names = sorted(name for name, value in train.attributes.items() if varies(value))
    shape = Shape(
        train.dim,
        train.num_nodes // train.num_systems,
        tuple(names),
        config.radius,
        train.walls is not None,
    )
    if not config.remembered:
        return shape
    kinds = train.attributes.get(TYPE, torch.empty(0)).round().long().unique()
    return replace(
        shape,
        attributes=tuple(name for name in names if name != TYPE),
        types=tuple(kinds.tolist()),
        history=config.history,
        passes=config.passes,
    )


def check_radius(train: Trajectory, config: SimulatorConfig) -> None:
    """Raises InputError for a connectivity radius that data cannot have or that shows nobody, and
    where a batch has more pairs of bodies that see each other than there is memory for."""
    if issubclass(SIMULATORS[config.model], StateMLP):
        return
    radius = config.radius
    each = train.pairs_per_system if radius is None else _pairs_within(train, radius)
    each *= config.passes if config.remembered else 1
    if config.graphs * each > _MOST_PAIRS:
        fewer = math.floor(_MOST_PAIRS / each)
        some = f"simulator.graphs={fewer} or fewer" if fewer else "fewer simulator.passes"
        passes = f", each in {config.passes} passes" if config.remembered else ""
        raise InputError(
            f"simulator.radius: wanted {'one' if radius is None else 'a smaller one'}, for a batch "
            f"of {config.graphs} has {config.graphs * each:.0f} pairs of bodies that see each "
            f"other{passes} (at most {_MOST_PAIRS}); give such a radius, or {some}"
        )


def _pairs_within(train: Trajectory, radius: float) -> float:
    """Of a system, in the mean over all, at the frame with the most of those looked at."""
    if train.bonds is not None:
        raise InputError(
            f"simulator.radius: wanted none with data that have bonds, found {radius:g}; "
            "bodies see those that they are bonded to"
        )
    if train.box is not None and 2 * radius > (least := float(train.box.min())):
        raise InputError(
            f"simulator.radius: wanted at most half of the smallest side of the box, "
            f"{least / 2:g}, found {radius:g}"
        )
    frames = range(0, len(train), max(1, len(train) // _LOOKED_AT))
    pairs = (radius_pairs(train.q[k], train.batch, radius, train.box).shape[1] for k in frames)
    found = max(pairs)
    if not found:
        raise InputError(
            f"simulator.radius: wanted one within which bodies meet, found {radius:g}, and no two "
            "that are so near; give a larger one, or none"
        )
    return found / train.num_systems
