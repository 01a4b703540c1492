"""The whole chain: trajectories, network, messages, candidates, law, verdict, rollouts.

Each stage is a function that takes what the one before it made, so that the commands `train`,
`distill` and `discover` run the same code.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gnsim.bodies import body_names
from gnsim.config import did_you_mean
from gnsim.datasets import Dataset
from gnsim.dynamics import Dynamics
from gnsim.errors import InputError
from gnsim.integrators import INTEGRATORS, Integrator
from gnsim.metrics import energy_drift, relative_position_error
from gnsim.models.coupled import CoupledPairs
from gnsim.models.pairwise import Driven, PairwiseHamiltonian
from gnsim.shooting import fitted_start
from gnsim.simulator import DivergedError, Simulator
from gnsim.state import State, Trajectory
from gnsim.symbolic.assemble import parts_of
from gnsim.symbolic.engines import ENGINES, EngineError, engine
from gnsim.symbolic.front import Candidate, gathered, pareto_front, steepest, write_front
from gnsim.symbolic.law import Law
from gnsim.symbolic.messages import MessageTable, sample_messages
from gnsim.symbolic.refit import Problem, refit
from gnsim.symbolic.select import Selection, select
from gnsim.symbolic.verify import verify
from gnsim.training.config import TrainingConfig
from gnsim.training.fit import Fitted, check_training, fit
from gnsim.windows import WindowSampler

#: a single trajectory of so many frames has a first tenth to fit the start of a rollout to
_LONG = 100
_ENERGY_FRAMES = 400
#: a rollout whose energy changes by more of itself is taken again with a finer step
_KEPT_ENERGY = 1e-6
#: the rollout that nothing of the held-out trajectory but its first frame went into
MEASURED_START = "law from measured start"
#: errors over windows have a scatter from two windows on, messages a fit from as many
_LEAST = {
    "symbolic.runs": 1,
    "symbolic.samples": 2,
    "symbolic.candidates": 1,
    "symbolic.window": 1,
    "symbolic.windows": 2,
    "symbolic.selection_windows": 2,
    "symbolic.verdict_windows": 2,
    "symbolic.substeps": 1,
    "rollout.substeps": 1,
}


@dataclass(frozen=True)
class SymbolicConfig:
    """Settings of the search for the law.

    `engine` is a name of `gnsim.symbolic.ENGINES`, or ``auto``: Operon, and PySR where it can run.
    Each of `runs` searches, with seeds of their own, has `time_limit` seconds and sees `samples`
    messages; `candidates` of its front are kept. Constants are fitted on `windows` windows of
    `window` steps, candidates compared on `selection_windows` of them.
    """

    engine: str = "auto"
    runs: int = 2
    time_limit: float = 30.0
    samples: int = 2000
    candidates: int = 6
    window: int = 8
    windows: int = 1500
    selection_windows: int = 80
    verdict_windows: int = 300
    integrator: str = "kahan_li6"
    substeps: int = 1


@dataclass(frozen=True)
class RolloutConfig:
    """How network and law are rolled out over the held-out trajectory."""

    integrator: str = "kahan_li6"
    substeps: int = 1


@dataclass(frozen=True)
class DiscoveryConfig:
    """All settings of `discover`."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    symbolic: SymbolicConfig = field(default_factory=SymbolicConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)


@dataclass(frozen=True)
class Rollout:
    """A rollout beside the truth: how far off it is, and how well it keeps its own energy.

    `position_error` [time, nodes] is relative to the distance from the heaviest body (from the
    centre of each system where bodies are alike); `diverged` says why it ended early. The start is
    fitted to the first `fitted_frames` of the truth, for the law where there is one and else for
    the network, and is the measured state where they are 0. Energy errors are NaN where forces
    depend on velocities: nothing is kept there.
    """

    trajectory: Trajectory
    position_error: torch.Tensor
    energy_error: float
    energy_slope: float
    diverged: str = ""
    fitted_frames: int = 0


@dataclass(frozen=True)
class Discovery:
    """Everything that a run found; what the report shows and the run folder keeps."""

    dataset: Dataset
    seed: int
    config: DiscoveryConfig
    fitted: Fitted
    messages: MessageTable
    front: tuple[Candidate, ...]
    selection: Selection
    law: Law
    errors: Mapping[str, float]
    rollouts: Mapping[str, Rollout]
    seconds: Mapping[str, float]

    @property
    def model(self) -> CoupledPairs:
        return self.fitted.model


#: Told what is being done, how much of it is done, of how much, and a remark.
Progress = Callable[[str, int, int, str], None]


@contextmanager
def one_thread() -> Iterator[None]:
    """Tensors are small here: threads wait for each other longer than they compute.

    Beside another busy process, training with two threads was ten times as slow as with one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def discover(
    dataset: Dataset,
    config: DiscoveryConfig | None = None,
    *,
    seed: int = 0,
    folder: Path | None = None,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Discovery:
    """Learns the interaction in `dataset`, distils it into a law, and checks the law.

    With a `folder`, training is resumed from it and engines leave their files there.

    Raises:
        InputError: settings that do not exist or do not fit the data.
        EngineError: no engine of symbolic regression gave any candidate.
    """
    config = config or DiscoveryConfig()
    check_settings(config)
    tell = progress or (lambda phase, done, total, remark: None)
    deadline = None if time_limit is None else time.monotonic() + time_limit
    seconds: dict[str, float] = {}
    with _timed(seconds, "training"):
        fitted = train(dataset, config, seed, folder, _share(deadline, 0.5), tell)
    return distill(fitted, dataset, config, seed, folder, deadline, tell, seconds)


@one_thread()
def distill(
    fitted: Fitted,
    dataset: Dataset,
    config: DiscoveryConfig,
    seed: int,
    folder: Path | None,
    deadline: float | None,
    tell: Progress,
    seconds: dict[str, float] | None = None,
) -> Discovery:
    """All that follows training; `seconds` are those that went before.

    Raises:
        EngineError: no engine of symbolic regression gave any candidate.
    """
    seconds = dict(seconds or {})
    with _timed(seconds, "search"):
        messages, front = search(fitted.model, dataset, config, seed, folder, deadline, tell)
    with _timed(seconds, "selection"):
        selection = choose(fitted.model, front, dataset, config, tell, deadline)
    with _timed(seconds, "refit and verdict"):
        law, errors = settle(fitted.model, selection, dataset, config, tell)
    with _timed(seconds, "rollouts"):
        rollouts = roll_out(fitted.model, law, dataset.test, config, tell)
    return Discovery(
        dataset, seed, config, fitted, messages, front, selection, law, errors, rollouts, seconds
    )


@one_thread()
def train(
    dataset: Dataset,
    config: DiscoveryConfig,
    seed: int,
    folder: Path | None,
    deadline: float | None,
    tell: Progress,
) -> Fitted:
    """The network and its hidden couplings, from the training and validation trajectories.

    With a `folder`, the network is there as ``model.ckpt`` when this returns.
    """

    def relay(phase: str, step: int, total: int, error: float) -> None:
        tell(phase, step, total, f"validation error {error:.2g}" if error < 1e9 else "")

    fitted = fit(
        dataset.train,
        dataset.valid,
        config.training,
        seed,
        folder,
        dataset.content_hash,
        relay,
        deadline,
    )
    if folder is not None and fitted.leads:
        fitted.save(folder / "model.ckpt", dataset.content_hash)
    return fitted


def search(
    model: CoupledPairs,
    dataset: Dataset,
    config: DiscoveryConfig,
    seed: int,
    folder: Path | None,
    deadline: float | None,
    tell: Progress,
) -> tuple[MessageTable, tuple[Candidate, ...]]:
    """The network's messages, and the front of all engines and runs on them."""
    settings = config.symbolic
    sampler = WindowSampler(dataset.train, 1)
    table = sample_messages(model, sampler, settings.samples, seed)
    broken = find_break(table)
    tables = [table] * settings.runs + ([*sides(table, broken)] if broken else [])
    jobs = [(name, run) for run in range(len(tables)) for name in engines(settings.engine)]
    limit = settings.time_limit
    if deadline is not None:
        limit = max(5.0, min(limit, 0.5 * (deadline - time.monotonic())))
    tell("searching for equations", 0, len(jobs), f"{limit:.0f} s at most")
    found: list[Candidate] = []
    failures: list[str] = []
    with TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as pool:
        base = Path(temporary) if folder is None else folder / "engines"

        def run_one(job: tuple[str, int]) -> list[Candidate] | str:
            name, run = job
            try:
                offered = engine(name).search(
                    tables[run].X,
                    tables[run].y,
                    table.names,
                    seed=seed * len(tables) + run,
                    time_limit=limit,
                    out_dir=base / f"{name}-{run}",
                )
                return steepest(pareto_front(offered), settings.candidates)
            except EngineError as error:
                return str(error)

        for done, result in enumerate(pool.map(run_one, jobs)):
            failures += [result] if isinstance(result, str) else []
            found += [] if isinstance(result, str) else result
            tell("searching for equations", done + 1, len(jobs), f"{len(found)} candidates")
    if not found:
        raise EngineError("; ".join(failures))
    for failure in failures:
        warnings.warn(failure, stacklevel=2)
    tell("sorting candidates", 0, 1, f"{len(found)} equations")
    front = tuple(gathered(found, table.names, table.X, table.y))
    tell("sorting candidates", 1, 1, f"{len(front)} on the front")
    if folder is not None:
        write_front(folder / "hall_of_fame.csv", front)
    return table, front


def choose(
    model: CoupledPairs,
    front: tuple[Candidate, ...],
    dataset: Dataset,
    config: DiscoveryConfig,
    tell: Progress,
    deadline: float | None = None,
) -> Selection:
    """The candidate that held-out trajectories bear out; few are tried after `deadline`."""
    count = config.symbolic.selection_windows
    with torch.no_grad():
        start = torch.cat([model.couplings / model.masses()[1], model.coefficients]).double()
    return select(
        steepest(front, config.symbolic.candidates),
        model.structure,
        problem(dataset.train, config, count),
        problem(dataset.valid, config, count),
        start,
        lambda done, total: tell("refitting candidates", done, total, ""),
        deadline,
    )


def settle(
    model: CoupledPairs,
    selection: Selection,
    dataset: Dataset,
    config: DiscoveryConfig,
    tell: Progress,
) -> tuple[Law, dict[str, float]]:
    """The chosen form fitted to all windows, with its errors, as a `Law` with its verdict."""
    tell("fitting constants", 0, 2, "")
    chosen = selection.chosen
    everything = problem(dataset.train, config, config.symbolic.windows)
    fit = refit(chosen.fit.fitted_form, chosen.fit.structure, everything, chosen.fit.x)
    tell("fitting constants", 1, 2, "")
    train, test = dataset.train, dataset.test
    parts = parts_of(fit, body_names(train), train.units)
    part = config.symbolic.verdict_windows
    verdict, errors = verify(
        fit,
        model.double(),
        parts.constants,
        problem(train, config, part),
        problem(test, config, part),
    )
    law = Law(
        parts.force,
        parts.constants,
        train.dim,
        train.units,
        parts.hidden,
        complexity=chosen.complexity,
        loss=errors["law"],
        verdict=verdict,
        metadata={**parts.metadata, "coupling": fit.coupling, "data": dataset.name, **_box(train)},
        terms=parts.terms,
    )
    tell("fitting constants", 2, 2, "")
    return law, errors


def roll_out(
    model: CoupledPairs | None,
    law: Law | None,
    truth: Trajectory,
    config: DiscoveryConfig,
    tell: Progress,
) -> dict[str, Rollout]:
    """Network and law (what is given of them) over the held-out times, both from one state.

    Where there are many trajectories, that is the measured one. A single long one is started from
    the state that the law (else the network) follows its first tenth with: the measured velocities
    are those of all that is in nature, and would let a law drift that leaves a little of it out.
    The network has the law's start, which favours the law: a fit of its own takes a minute. What
    the fit is worth shows beside the law's rollout from the measured state (`MEASURED_START`).
    """
    told: dict[str, PairwiseHamiltonian | Driven] = {}
    if law is not None:
        told["law"] = law.dynamics()
    if model is not None:
        told["network"] = model.double().canonical()
    truth = _with_hidden(truth, next(iter(told.values())))
    start, fitted_frames = truth[0], 0
    if truth.num_systems == 1 and len(truth) >= _LONG:
        arc = truth.frames(slice(len(truth) // 10))
        tell("fitting the start of the rollout", 0, 1, "")
        with suppress(DivergedError):
            start = fitted_start(
                next(iter(told.values())),
                _integrator(config.rollout.integrator),
                arc,
                config.rollout.substeps,
            )
            fitted_frames = len(arc)
        tell("fitting the start of the rollout", 1, 1, "")
    rollouts = {
        name: replace(
            roll_out_one(dynamics, start, truth, config.rollout, f"rolling out the {name}", tell),
            fitted_frames=fitted_frames,
        )
        for name, dynamics in told.items()
    }
    if law is not None and fitted_frames:
        phase = f"rolling out the {MEASURED_START}"
        rollouts[MEASURED_START] = roll_out_one(
            told["law"], truth[0], truth, config.rollout, phase, tell
        )
    return rollouts


def _with_hidden(truth: Trajectory, dynamics: Dynamics) -> Trajectory:
    """The truth with the attributes that were inferred: the heaviest body is its centre."""
    attributes = dynamics.attach(truth[0]).attributes
    told = {**attributes, **truth.attributes}
    mass = told.get("mass", truth.mass)
    return replace(truth, attributes=told, p=truth.velocity * mass[:, None])


def roll_out_one(
    dynamics: PairwiseHamiltonian | Driven,
    start: State,
    truth: Trajectory,
    config: RolloutConfig,
    phase: str,
    tell: Progress,
) -> Rollout:
    """One rollout from `start` along the times of `truth`, measured.

    A Hamiltonian keeps its own energy, so where the rollout does not, the step is to blame: it is
    then taken again, with a quarter of the step, twice at the most. Where energy is not kept, that
    tells nothing, and the middle one of these steps is taken.
    """
    for finer in (1, 4, 16) if isinstance(dynamics, PairwiseHamiltonian) else (4,):
        rollout = _rolled_out(dynamics, start, truth, config, finer, phase, tell)
        if not rollout.diverged and rollout.energy_error < _KEPT_ENERGY:
            break
    return rollout


def _rolled_out(
    dynamics: PairwiseHamiltonian | Driven,
    start: State,
    truth: Trajectory,
    config: RolloutConfig,
    finer: int,
    phase: str,
    tell: Progress,
) -> Rollout:
    """One rollout with steps so many times as fine as the settings have them."""
    simulator = Simulator(dynamics, _integrator(config.integrator), finer * config.substeps)
    diverged = ""
    try:
        path = simulator.rollout(
            start,
            truth.t,
            names=truth.names,
            progress=lambda done, total: tell(phase, done, total, ""),
        )
    except DivergedError as stopped:
        path, diverged = stopped.trajectory, str(stopped)
    stride = max(1, len(path) // _ENERGY_FRAMES)
    largest = slope = torch.tensor(math.nan)
    if isinstance(dynamics, PairwiseHamiltonian):
        with torch.no_grad():
            largest, slope = energy_drift(dynamics, path.frames(slice(None, None, stride)))
    error = relative_position_error(path, truth.frames(slice(len(path))))
    return Rollout(path, error, float(largest.max()), float(slope.abs().max()), diverged)


def _box(trajectory: Trajectory) -> dict[str, list[float]]:
    return {} if trajectory.box is None else {"box": trajectory.box.tolist()}


def problem(trajectory: Trajectory, config: DiscoveryConfig, windows: int) -> Problem:
    """Windows of a trajectory as the refit and the verdict see them."""
    settings = config.symbolic
    steps = min(settings.window, len(trajectory) - 1)
    integrator = _integrator(settings.integrator)
    return Problem.of(trajectory, steps, windows, integrator, settings.substeps)


def engines(name: str) -> tuple[str, ...]:
    """The engines behind the setting `engine`."""
    if name != "auto":
        return (name,)
    return tuple(e for e in ENGINES if e == "operon" or engine(e).available().ok)


def check_settings(config: DiscoveryConfig) -> None:
    """Raises InputError for settings that cannot be used, before anything long begins."""
    check_training(config.training)
    for name, least in _LEAST.items():
        part, _, key = name.partition(".")
        found = getattr(getattr(config, part), key)
        if found < least:
            raise InputError(f"{name}: wanted {least} or more, found {found}")
    if not 0 < config.symbolic.time_limit < math.inf:
        found = config.symbolic.time_limit
        raise InputError(f"symbolic.time_limit: wanted seconds above 0, found {found}")
    known = ("auto", *ENGINES)
    name = config.symbolic.engine
    if name not in known:
        raise InputError(f"symbolic.engine: '{name}' is unknown; {did_you_mean(name, known)}")
    for chosen in engines(name):
        there = engine(chosen).available()
        if not there.ok:
            raise InputError(f"symbolic.engine: {chosen}: {there.reason}; {there.remedy}")
    for chosen in (config.symbolic.integrator, config.rollout.integrator):
        _integrator(chosen)


def _integrator(name: str) -> Integrator:
    if name not in INTEGRATORS:
        raise InputError(f"integrator: '{name}' is unknown; {did_you_mean(name, INTEGRATORS)}")
    return INTEGRATORS[name]()


def _share(deadline: float | None, share: float) -> float | None:
    now = time.monotonic()
    return None if deadline is None else now + share * (deadline - now)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    seconds[phase] = time.monotonic() - begun
