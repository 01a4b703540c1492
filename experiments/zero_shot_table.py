"""What results/zero_shot.json says, for the page of simulators."""

from collections import defaultdict
from statistics import mean, median
from typing import Any

INTRODUCTION = """## More bodies than it was trained with

`python experiments/zero_shot.py`: networks of pairs, trained on eight bodies, over five units of
time. Lattices are moved by the network that learned chains. There are as many systems as have 4,096
bodies together; edges are those of all of them. The error is the root mean square over bodies and
times of what positions are off by; as few bodies make most of it, that of the median body stands
beside it, and the root mean square displacement of bodies from where they began. Means over the
seeds."""

SAID = """With 4,096 bodies, 512 times as many as in training, the error per body is {chain:.2f}
times that with 8 on chains, and {lattice:.2f} times on lattices; that of the median body is
{chain_median:.2f} and {lattice_median:.2f} times, at most {worst_median:.2f} times with any
number of bodies. Bodies of larger chains and lattices also move less: over their displacement,
errors are {chain_over:.2f} and {lattice_over:.2f} times those with 8. Where all pairs interact,
a body of 64 has nine times as many neighbours, and errors are {pairs:.2f} times, of the median
body {pairs_median:.2f} times."""


def zero_shot(results: dict[str, Any]) -> list[list[str]]:
    by_size = sizes(results)
    return [[INTRODUCTION], summary(by_size), errors(by_size), times(results)]


def sizes(results: dict[str, Any]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The cases of each shape and number of bodies."""
    by_size: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for case, found in results.items():
        shape, *rest = case.split(", ")
        if rest:
            by_size[shape, int(rest[0].split()[0])].append(found)
    return by_size


def over_few(
    by_size: dict[tuple[str, int], list[dict[str, Any]]], shape: str, bodies: int, name: str
) -> float:
    """An error over that of eight bodies."""
    many, few = (mean(one[name] for one in by_size[shape, n]) for n in (bodies, 8))
    return many / few


def summary(by_size: dict[tuple[str, int], list[dict[str, Any]]]) -> list[str]:
    wanted = {"chain": 4096, "lattice": 4096, "all pairs": 64}
    if not all((shape, n) in by_size for shape, most in wanted.items() for n in (8, most)):
        return []
    told = {
        "pairs": over_few(by_size, "all pairs", 64, "error"),
        "pairs_median": over_few(by_size, "all pairs", 64, "median body"),
        "worst_median": max(
            over_few(by_size, shape, bodies, "median body")
            for shape, bodies in by_size
            if shape != "all pairs"
        ),
    }
    for shape in ("chain", "lattice"):
        error, moved = (over_few(by_size, shape, 4096, name) for name in ("error", "way"))
        told |= {shape: error, f"{shape}_over": error / moved}
        told[f"{shape}_median"] = over_few(by_size, shape, 4096, "median body")
    return SAID.format(**told).split("\n")


def errors(by_size: dict[tuple[str, int], list[dict[str, Any]]]) -> list[str]:
    rows = [
        "| | bodies | seeds | edges in all | error | over that of 8 | median body | over that of 8 "
        "| displacement | ms a step | GB at most |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (shape, bodies), found in by_size.items():
        error, off = (mean(one[name] for one in found) for name in ("error", "median body"))
        rows.append(
            f"| {shape} | {bodies:,} | {len(found)} | {found[0]['edges']:,} | {error:.3f} | "
            f"{over_few(by_size, shape, bodies, 'error'):.2f} | {off:.4f} | "
            f"{over_few(by_size, shape, bodies, 'median body'):.2f} | "
            f"{mean(one['way'] for one in found):.2f} | "
            f"{1e3 * median(one['seconds a step'] for one in found):.1f} | "
            f"{max(one['peak_memory_gb'] for one in found):.2f} |"
        )
    return rows


def times(results: dict[str, Any]) -> list[str]:
    if "time" not in results:
        return []
    parts = [
        f"{edges}: {1e3 * seconds:.2f} ms, {1e6 * seconds / int(edges.split()[0]):.2f} us an edge"
        for edges, seconds in results["time"]["seconds a step"].items()
    ]
    return ["Of one lattice, a step, on one thread: " + "; ".join(parts) + "."]
