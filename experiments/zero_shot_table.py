"""What results/zero_shot.json says, for the page of simulators."""

from collections import defaultdict
from statistics import mean, median
from typing import Any

INTRODUCTION = """## More bodies than it was trained with

`python experiments/zero_shot.py`: networks of pairs, trained on eight bodies, over five units of
time. Lattices are moved by the network that learned chains. There are as many systems as have 4,096
bodies together; edges are those of all of them. The error is the root mean square over bodies and
times of what positions are off by; as few bodies make most of it, that of the median body stands
beside it, and how far bodies move (way). Means over the seeds."""


def zero_shot(results: dict[str, Any]) -> list[list[str]]:
    return [[INTRODUCTION], errors(results), times(results)]


def errors(results: dict[str, Any]) -> list[str]:
    rows = [
        "| | bodies | seeds | edges in all | error | over that of 8 | median body | over that of 8 "
        "| way | ms a step | GB at most |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    by_size: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for case, found in results.items():
        shape, *rest = case.split(", ")
        if rest:
            by_size[shape, int(rest[0].split()[0])].append(found)
    for (shape, bodies), found in by_size.items():
        few = by_size[shape, 8]
        error, off = (mean(one[name] for one in found) for name in ("error", "median body"))
        rows.append(
            f"| {shape} | {bodies:,} | {len(found)} | {found[0]['edges']:,} | {error:.3f} | "
            f"{error / mean(one['error'] for one in few):.2f} | {off:.4f} | "
            f"{off / mean(one['median body'] for one in few):.2f} | "
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
