"""``gnsim settings``: what can be given as key=value, its default and what it means."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gnsim.commands.options import Debug

#: where the docstrings of the settings' classes are silent or name a table; by name, which has its
#: section where other sections have it too
_MEANINGS: Mapping[str, str] = {
    "hidden": "Width of the network's layers.",
    "integrator": "One of {integrators}.",
    "substeps": "Steps of the integrator from one frame to the next.",
    "learning_rate": "Largest step of the optimiser.",
    "validate_every": "Steps of training from one validation to the next.",
    "coupling": "What is hidden: one of {couplings}; auto tries what the data may hide.",
    "terms": "Forces beside the radial one, joined by commas: {terms} on each body, by themselves "
    "or times an attribute as in 'drag of mass'; {pair_terms} between the bodies of a pair; none; "
    "or auto, which tries all and keeps those that held-out windows ask for.",
    "pilot_steps": "Steps of each of the short trainings that choose the `coupling`.",
    "simulator.precision": "Type of the numbers in training: {precisions}; for gns also bfloat16.",
    "precision": "Type of the numbers in training: {precisions}.",
    "engine": "One of {engines}; auto is Operon, and PySR where it can run.",
    "simulator.model": "What is trained, as by --model: {simulators}.",
    "simulator.integrator": "One of {integrators}, jumps; or auto: rk4, and jumps for delta.",
    "simulator.loss": "Of errors as rates over their usual size: {losses}.",
    "verdict_windows": "The verdict is reached on so many windows of held-out data.",
}


def settings(debug: Debug = False) -> None:
    """List all settings of discover, train and distill, with their defaults and meanings."""
    from rich.console import Console
    from rich.table import Table

    table = Table("setting and default", "meaning", box=None)
    said = ""
    for name, value, meaning in described():
        table.add_row(f"{name}={value}", "" if meaning == said else meaning)
        said = meaning
    console = Console(markup=False, highlight=False)
    console.print(table)
    console.print(
        "\nOf a built-in source, data.KEY are the settings that `gnsim data list` shows. "
        "`gnsim distill` takes those of symbolic and rollout, `gnsim train --model NAME` (other "
        "than pairs) those of simulator, and `gnsim evaluate` those of data."
    )


def described() -> Iterator[tuple[str, Any, str]]:
    """Each setting by its dotted name, with its default and what is said of it.

    That is its line in `_MEANINGS`, else the part of its class's docstring that names it.
    """
    from gnsim.config import as_mapping
    from gnsim.datasets.loading import FileSettings
    from gnsim.discovery import DiscoveryConfig
    from gnsim.integrators import INTEGRATORS
    from gnsim.models.coupled import COUPLINGS
    from gnsim.models.simulators import SIMULATORS
    from gnsim.models.terms import KINDS
    from gnsim.simulators import SimulatorSettings
    from gnsim.symbolic.engines import ENGINES
    from gnsim.training.model_file import PRECISIONS
    from gnsim.training.window_errors import LOSSES

    choices = {
        "integrators": ", ".join(INTEGRATORS),
        "couplings": ", ".join(("auto", *COUPLINGS)),
        "precisions": ", ".join(PRECISIONS),
        "simulators": ", ".join(SIMULATORS),
        "losses": ", ".join(LOSSES),
        "engines": ", ".join(("auto", *ENGINES)),
        "terms": ", ".join(name for name, kind in KINDS.items() if not kind.of_pairs),
        "pair_terms": ", ".join(name for name, kind in KINDS.items() if kind.of_pairs),
    }
    parts = {"data": FileSettings(), **vars(DiscoveryConfig()), **vars(SimulatorSettings())}
    for part, values in parts.items():
        docs = " ".join(kind.__doc__ or "" for kind in type(values).__mro__[:-1])
        said = re.split(r"(?<=[.;])\s+", " ".join(docs.split()))
        for name, value in as_mapping(values).items():
            meant = [text.rstrip(";.") + "." for text in said if f"`{name}`" in text]
            here = _MEANINGS.get(f"{part}.{name}") or _MEANINGS.get(name, "")
            yield f"{part}.{name}", value, here.format(**choices) or "".join(meant[:1])
