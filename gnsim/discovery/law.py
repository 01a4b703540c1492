"""From candidates to a law: the choice among them, their constants, and the verdict."""

from collections.abc import Sequence

from gnsim.bodies import body_names
from gnsim.datasets import Dataset
from gnsim.discovery.problems import network_numbers, problem
from gnsim.discovery.rollouts import Progress
from gnsim.discovery.settings import DiscoveryConfig
from gnsim.models.coupled import CoupledPairs
from gnsim.models.terms import Term
from gnsim.state import Trajectory
from gnsim.symbolic.assemble import parts_of
from gnsim.symbolic.breaks import JOINED
from gnsim.symbolic.front import Candidate, pareto_front, steepest
from gnsim.symbolic.law import Constant, Law
from gnsim.symbolic.potentials import POTENTIAL
from gnsim.symbolic.powers import POWER
from gnsim.symbolic.refit import adjust_to_the_step
from gnsim.symbolic.select import Selection, select
from gnsim.symbolic.verify import verify


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
    return select(
        _tried(front, config.symbolic.candidates),
        model.structure,
        problem(dataset, dataset.train, config, count),
        problem(dataset, dataset.valid, config, count),
        network_numbers(model),
        lambda done, total: tell("refitting candidates", done, total, ""),
        deadline,
    )


def _tried(front: Sequence[Candidate], count: int) -> list[Candidate]:
    """The steepest of the front, and what was looked for on purpose."""
    wanted = (JOINED, POWER, POTENTIAL)
    on_purpose = [c for c in front if c.engine in wanted]
    others = pareto_front(c for c in front if c.engine not in wanted)
    return [*steepest(others, count), *on_purpose]


def settle(
    model: CoupledPairs,
    selection: Selection,
    dataset: Dataset,
    config: DiscoveryConfig,
    tell: Progress,
) -> tuple[Law, dict[str, float]]:
    """The chosen form fitted to all windows, with its errors, as a `Law` with its verdict."""
    tell("fitting constants", 0, 2, "")
    chosen, train, test = selection.chosen, dataset.train, dataset.test
    everything = problem(dataset, train, config, config.symbolic.windows)
    last = chosen.fit
    fit = adjust_to_the_step(last.fitted_form, last.structure, everything, last.x)
    tell("fitting constants", 1, 2, "")
    parts = parts_of(fit, body_names(train), train.units)
    part = config.symbolic.verdict_windows
    verdict, errors = verify(
        fit,
        model.double(),
        parts.constants,
        problem(dataset, train, config, part),
        problem(dataset, test, config, part),
        selection.rivals,
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
        metadata={
            **parts.metadata,
            "attributes": sorted(train.attributes),
            "coupling": fit.coupling,
            "data": dataset.name,
            **_space(train),
        },
        terms=parts.terms,
    )
    tell("fitting constants", 2, 2, "")
    return law, errors


def _space(trajectory: Trajectory) -> dict[str, list[float] | list[list[int]]]:
    """The box and the bonds, without which the law is another one."""
    parts = {"box": trajectory.box, "bonds": trajectory.bonds}
    return {name: part.tolist() for name, part in parts.items() if part is not None}


def true_law(data: Dataset) -> Law | None:
    """The law that simulated data follow, its terms included; None where nobody knows it."""
    if data.law is None:
        return None
    terms = tuple(Term.named(name, data.train.dim) for name in data.terms)
    values = dict(data.constants)
    for term in terms:
        values |= dict(zip(term.symbols, data.terms[term.name], strict=True))
    constants = {name: Constant(value, None) for name, value in values.items()}
    return Law(data.law, constants, data.train.dim, terms=terms)
