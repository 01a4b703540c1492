"""The page on sparse messages, docs/messages.md, made from results/sparse_messages.json.

``python experiments/message_page.py`` writes it.
"""

from pathlib import Path
from typing import Any

from published_messages import PUBLISHED_MODELS, SYSTEMS, case_name, counts, rows, verdict
from readme_tables import load
from sparse_messages import CONFIGS

from gnsim.atomic import write_atomic

PAGE = Path(__file__).parents[1] / "docs" / "messages.md"

INTRODUCTION = """# Sparse messages, as published and here

Cranmer et al. 2020 (arXiv:2006.11287) train a graph network on exact accelerations, make its
messages sparse, and read a force law from the strongest component. gnsim has these models
(`gnsim/models/message_network.py`, `flat_hamiltonian.py`, `regularisers.py`), and this page
holds what they give here beside what was published. Laws from trajectories (README) do not go
this way.

Four bodies, one seed. Where there is no published figure, a dash. Published: 1e6 steps of MLPs
with 300 units; here 40,000 to 60,000 of MLPs with 64 units, in minutes (last columns but one).
The regularisers act on all graphs of a batch
(published: on the first one). R² is as the paper's code has it, a component explained by the
force, without the tenth that fits worst. `robust` is the other way round, the share of the
force that the components explain, without the largest tenth of the forces; `rotated` takes the
directions of largest variance in message space, and not axes, for nothing makes a network put a
force along an axis. A component is live from a hundredth of the strongest one's variance on. A
force counts as found where the published choice from Operon's front is a direction of it, to a
thousandth once its constants are fitted; "over mass" where it is the acceleration."""

VARIANTS = """## What the published ones lack

The same table for what was tried beside them: a loss of relative errors, a node network that is
linear in the messages, and both, with messages pruned to the dimension of space."""


def charges(cases: dict[str, Any]) -> list[str]:
    """The charges, where published L1 failed: it, pruning, and what was changed in each."""
    table = [
        "| charges in | loss | node network | live | R² as published | robust | rotated, robust | "
        "force found |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for dim in (2, 3):
        for model, config in CONFIGS.items():
            found = cases.get(case_name("charge", dim, model))
            if found is None or config.get("model", model) not in ("l1", "pruning"):
                continue
            table.append(
                f"| {dim}D, {config.get('model', model)} | {config.get('loss', 'absolute')} | "
                f"{config.get('node', 'published')} | {found['live']} | "
                f"{found['strongest']['published']:.3f} | {found['strongest']['robust']:.3f} | "
                f"{found['rotated']['robust']:.3f} | "
                f"{verdict(found)} |"
            )
    return table


def page(cases: dict[str, Any]) -> str:
    own_names = (*PUBLISHED_MODELS, "pruning")  # published as well, without figures
    parts = [
        [INTRODUCTION],
        [f"Measured so far: {len(cases)} of {len(CONFIGS) * 2 * len(SYSTEMS)} cases."],
        counts(cases),
        rows(cases, own_names),
        [VARIANTS],
        rows(cases, [model for model in CONFIGS if model not in own_names]),
        ["## Charges, where L1 failed"],
        charges(cases),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


if __name__ == "__main__":
    write_atomic(PAGE, page(load("sparse_messages")))
