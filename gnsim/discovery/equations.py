"""The search for equations: the network's messages, sharpened, and the front of all engines."""

import copy
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gnsim.datasets import Dataset
from gnsim.discovery.problems import network_numbers, problem
from gnsim.discovery.rollouts import Progress
from gnsim.discovery.settings import DiscoveryConfig, engines
from gnsim.models.coupled import CoupledPairs
from gnsim.symbolic.breaks import Break, find_break, joined, sides
from gnsim.symbolic.engines import EngineError, engine
from gnsim.symbolic.front import Candidate, gathered, pareto_front, steepest, write_front
from gnsim.symbolic.messages import MessageTable, sample_messages
from gnsim.symbolic.potentials import PotentialCurve, forces, potential_curve
from gnsim.symbolic.powers import powers
from gnsim.symbolic.sharpen import sharpened
from gnsim.windows import WindowSampler

#: forms of each side of a break that are joined with each of the other
_OF_A_SIDE = 2
_PHASE = "searching for equations"
#: jobs that run side by side
_AT_ONCE = 2
#: of the time of a search, for one of the potential: there is one variable
_SHARE_OF_POTENTIAL = 0.5
#: windows that messages are sharpened on at most, and pairs in all of them from which on there are
#: fewer; seconds that must be left for it
_WINDOWS, _LEAST_WINDOWS, _PAIRS, _SHARPENING = 160, 40, 10_000, 20.0


@dataclass(frozen=True)
class Equations:
    """What a search found: its `front`, and the messages of the network.

    And these as trajectories `sharpened` them, where they did: losses are on them then.
    """

    messages: MessageTable
    sharpened: MessageTable | None
    front: tuple[Candidate, ...]


@dataclass(frozen=True)
class _Job:
    """One search of one engine: of all messages, those on one side of a break, or a potential."""

    engine: str
    run: int
    side: int | None
    table: MessageTable
    potential: bool = False

    @property
    def name(self) -> str:
        of = "-potential" if self.potential else ""
        return f"{self.engine}-{self.run}{of}" + ("" if self.side is None else f"-side{self.side}")


def search(
    model: CoupledPairs,
    dataset: Dataset,
    config: DiscoveryConfig,
    seed: int,
    folder: Path | None,
    deadline: float | None,
    tell: Progress,
) -> Equations:
    """The network's messages, sharpened where they can be, and the front of all engines on them.

    Where messages break at some distance, each side is searched too, as the network has it, and the
    sides are joined; else their potential, where they have one of the distance.
    """
    settings = config.symbolic
    messages = sample_messages(model, WindowSampler(dataset.train, 1), settings.samples, seed)
    broken = find_break(messages)
    sharp = None
    if deadline is None or time.monotonic() < deadline - _SHARPENING:
        sharp = _sharpened(messages, model, dataset, config, tell)
    table = messages if sharp is None else sharp
    curve = potential_curve(table) if broken is None else None
    jobs = _jobs(table, messages, broken, curve, settings.runs, engines(settings.engine))
    limit = settings.time_limit
    if deadline is not None:
        rounds = -(-len(jobs) // _AT_ONCE)
        limit = max(5.0, min(limit, 0.5 * (deadline - time.monotonic()) / rounds))
    tell(_PHASE, 0, len(jobs), f"{limit:.0f} s at most")
    with TemporaryDirectory() as temporary:
        base = Path(temporary) if folder is None else folder / "engines"
        found = _run(jobs, config, seed, limit, base, tell)
    tell("sorting candidates", 0, 1, f"{sum(map(len, found))} equations")
    front = _front(table, messages, broken, curve, jobs, found, settings.candidates)
    tell("sorting candidates", 1, 1, f"{len(front)} on the front")
    if folder is not None:
        write_front(folder / "hall_of_fame.csv", front)
    return Equations(messages, sharp, front)


def _sharpened(
    messages: MessageTable,
    model: CoupledPairs,
    dataset: Dataset,
    config: DiscoveryConfig,
    tell: Progress,
) -> MessageTable | None:
    tell("sharpening messages", 0, 1, "")
    pairs = dataset.train.pairs_per_system
    windows = max(_LEAST_WINDOWS, min(_WINDOWS, _PAIRS // max(1, pairs)))
    network = copy.deepcopy(model).double()
    sharp = sharpened(
        messages,
        network,
        model.structure,
        network_numbers(model),
        problem(dataset, dataset.train, config, windows),
        problem(dataset, dataset.valid, config, config.symbolic.selection_windows),
    )
    remark = "left as they are" if sharp is None else "one curve of the distance"
    tell("sharpening messages", 1, 1, remark)
    return sharp


def _jobs(
    table: MessageTable,
    messages: MessageTable,
    broken: Break | None,
    curve: PotentialCurve | None,
    runs: int,
    names: Sequence[str],
) -> list[_Job]:
    whole = [_Job(name, run, None, table) for run in range(runs) for name in names]
    if curve is not None:
        return whole + [_Job(name, 0, None, curve.table, potential=True) for name in names]
    if broken is None:
        return whole
    parts = sides(messages, broken)
    return whole + [_Job(name, 0, k, part) for k, part in enumerate(parts) for name in names]


def _run(
    jobs: Sequence[_Job],
    config: DiscoveryConfig,
    seed: int,
    limit: float,
    base: Path,
    tell: Progress,
) -> list[list[Candidate]]:
    """The steepest candidates of each job, two jobs at a time.

    Raises:
        EngineError: no job gave any candidate.
    """
    settings = config.symbolic

    def run_one(job: _Job) -> list[Candidate] | str:
        names, columns = job.table.invariants()
        try:
            offered = engine(job.engine).search(
                columns,
                job.table.y,
                names,
                seed=seed * settings.runs + job.run,
                time_limit=_SHARE_OF_POTENTIAL * limit if job.potential else limit,
                out_dir=base / job.name,
            )
            best = steepest(pareto_front(offered), settings.candidates)
            return [replace(c, equation=job.table.in_attributes(c.equation)) for c in best]
        except EngineError as error:
            return str(error)

    found: list[list[Candidate]] = []
    failures = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done, result in enumerate(pool.map(run_one, jobs)):
            failures += [result] if isinstance(result, str) else []
            found.append([] if isinstance(result, str) else result)
            tell(_PHASE, done + 1, len(jobs), f"{sum(map(len, found))} candidates")
    if not any(found):
        raise EngineError("; ".join(failures))
    for failure in failures:
        warnings.warn(failure, stacklevel=2)
    return found


def _front(
    table: MessageTable,
    messages: MessageTable,
    broken: Break | None,
    curve: PotentialCurve | None,
    jobs: Sequence[_Job],
    found: Sequence[Sequence[Candidate]],
    count: int,
) -> tuple[Candidate, ...]:
    """The front of what was found in all of `table`, power laws, and laws joined from two sides.

    And the forces of what was found in the potential, `count` of them. The sides are those of
    `messages`, for sharpened ones are smooth.
    """

    def of(side: int | None, part: MessageTable, potential: bool = False) -> list[Candidate]:
        offered = [
            candidate
            for job, candidates in zip(jobs, found, strict=True)
            if job.side == side and job.potential == potential
            for candidate in candidates
        ]
        return gathered(offered, part.names, part.X, part.y)

    front = of(None, table)
    front += powers(front, table)
    if curve is not None:
        offered = forces(of(None, curve.table, potential=True), curve, table)
        front += steepest(pareto_front(offered), count)
    if broken is not None:
        before, after = (
            steepest(of(k, part), _OF_A_SIDE) for k, part in enumerate(sides(messages, broken))
        )
        front += joined(before, after, broken, messages)
    return tuple(sorted(front, key=lambda c: (c.complexity, c.loss)))
