"""One small discovery for all tests of what is drawn and told of it; no engine, little training."""

from dataclasses import replace

import numpy as np
import pytest
import sympy

from gnsim.datasets import load
from gnsim.discovery import Discovery, DiscoveryConfig, SymbolicConfig, choose, roll_out, settle
from gnsim.discovery import train as trained
from gnsim.state import Units
from gnsim.symbolic.front import Candidate, judge
from gnsim.symbolic.messages import sample_messages
from gnsim.symbolic.parser import parse
from gnsim.training.config import TrainingConfig
from gnsim.windows import WindowSampler

HOSTILE = ("<script>alert(1)</script>", "$\\frac{x", 'a\n"b" & <img src=x onerror=y>')


def quiet(*_):
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def discovery() -> Discovery:
    """Springs of stiffness 2 and rest length 1 between three bodies, with three candidate laws."""
    dataset = load("spring", trajectories=12, bodies=3, dim=2, frames=24, interval=0.05)
    config = DiscoveryConfig(
        training=TrainingConfig(steps=30, coupling="none", terms="none", pairs_per_batch=200),
        symbolic=SymbolicConfig(windows=60, selection_windows=30, window=4),
    )
    fitted = trained(dataset, config, 0, None, None, quiet)
    table = sample_messages(fitted.model, WindowSampler(dataset.train, 1), 200, 0)
    offered = [
        Candidate(parse(text, ("r",)), 1, 0.0, "operon")
        for text in ("1.3*r", "1.9*(r - 0.9)", "1.9*r - 1.8 + 0.01*r**2")
    ]
    front = tuple(judge(c, table.names, table.X, table.y) for c in offered)
    selection = choose(fitted.model, front, dataset, config, quiet)
    sharp = replace(table, X=table.X[::2], y=2.0 * (table.X[::2, 0] - 1.0))
    law, errors = settle(fitted.model, selection, dataset, config, quiet)
    rollouts = roll_out(fitted.model, law, dataset.test, config, quiet)
    seconds = {"training": 1.5, "search": 2.25}
    return Discovery(
        dataset, 7, config, fitted, table, sharp, front, selection, law, errors, rollouts, seconds
    )


@pytest.fixture(scope="session")
def with_couplings(discovery) -> Discovery:
    """The same discovery as if products of G and mass had been inferred, and references known."""
    values = [2.0, 1e-3, 4e-7]
    couplings = {
        "names": ["Sun", "Earth", "Moon"],
        "meaning": "strength times mass",
        "values": values,
        "stderr": [1e-3, 2e-5, 3e-7],
        "stderr_first_grouping": [1e-4, 2e-6, 3e-8],
    }
    law = replace(discovery.law, metadata={**discovery.law.metadata, "couplings": couplings})
    reference = {"GM": np.array(values) * np.array([1 + 1e-4, 1 - 1e-3, 1.25])}
    return replace(discovery, law=law, dataset=replace(discovery.dataset, reference=reference))


@pytest.fixture(scope="session")
def hostile(with_couplings) -> Discovery:
    """The same with names and units that are markup, mathematics and more than one line."""
    data, law = with_couplings.dataset, with_couplings.law
    units = Units("<b>m</b>", "$s$", "<i>kg")
    names = HOSTILE * data.test.num_systems
    couplings = {**law.metadata["couplings"], "names": list(HOSTILE)}
    constants = {n: replace(c, unit="<u>N</u>") for n, c in law.constants.items()}
    return replace(
        with_couplings,
        dataset=replace(
            data,
            name="<h1>data</h1>",
            description="</style><script>",
            test=replace(data.test, names=names, units=units),
        ),
        law=replace(
            law,
            units=units,
            constants=constants,
            metadata={**law.metadata, "couplings": couplings},
        ),
    )


@pytest.fixture(scope="session")
def not_a_law(discovery) -> Discovery:
    """The same with the verdict that nothing was found."""
    verdict = replace(
        discovery.law.verdict,
        verified=False,
        status="no law found",
        reasons=("failed: it leaves 0.9 of the held-out acceleration unexplained",),
    )
    force = sympy.Symbol("r", real=True)
    return replace(discovery, law=replace(discovery.law, force=force, verdict=verdict))
