"""What results/throughput.json says, for the page of simulators."""

from typing import Any

from throughput import BODIES as FEW
from throughput import HIDDEN, SECONDS
from throughput import SIZES as BODIES

from gnsim.training.config import TrainingConfig

INTRODUCTION = """## How fast the network of pairs trains

`python experiments/throughput.py`: one process, two threads, default settings, training through the
integrator. An evaluation is one pair force with its gradient. Beside the seconds of a step stands
what the bare matrix products of the same layers take, forward and backward, as a share; then where
the time goes, by the operations' own time in a profile."""

BESIDE = """A plain graph network for the Hamiltonian, of {hidden} hidden units, trained on exact
accelerations of {bodies} bodies, does {plain:,.0f} edges per second; the network of pairs, of
{our_hidden} hidden units, through the integrator {ours:,.0f}: {ratio:.1f} times as many. (An edge
of ours is an unordered pair; of the other both directions are counted.) Meant to train
for {seconds:.0f} seconds, ours was done after {ours_took:.0f} and the other after
{plain_took:.0f}; the median relative error of accelerations of held-out states is {error:.1e} for
ours and {plain_error:.1e} for the other."""


def throughput(results: dict[str, Any]) -> list[list[str]]:
    return [[INTRODUCTION], rates(results), beside(results)]


def rates(results: dict[str, Any]) -> list[str]:
    """A row a number of bodies, with the shares of a profile."""
    found = {bodies: results[bodies] for bodies in BODIES if bodies in results}
    if not found:
        return []
    kinds = list(next(iter(found.values()))["profile"])
    rows = [
        f"| bodies | evaluations per second | a step, ms | bare products | {' | '.join(kinds)} |",
        "|---|---|---|---|" + "---|" * len(kinds),
    ]
    for bodies, one in found.items():
        shares = (f"{one['profile'][kind]:.0%}" for kind in kinds)
        rows.append(
            f"| {bodies} | {one['evaluations per second']:,.0f} | "
            f"{1e3 * one['seconds a step']:.0f} | {one['share of what products reach']:.0%} | "
            f"{' | '.join(shares)} |"
        )
    return rows


def beside(results: dict[str, Any]) -> list[str]:
    if "beside" not in results:
        return []
    found = results["beside"]
    return [
        BESIDE.format(
            hidden=HIDDEN,
            our_hidden=TrainingConfig().hidden,
            bodies=FEW,
            plain=found["edges per second, plain"],
            ours=found["edges per second"],
            ratio=found["ratio"],
            seconds=SECONDS,
            ours_took=found["seconds of training"],
            plain_took=found["seconds of training, plain"],
            error=found["median relative error"],
            plain_error=found["median relative error, plain"],
        )
    ]
