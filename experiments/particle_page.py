"""The page of what learned simulators of particles do, docs/particle_results.md.

``python experiments/particle_page.py`` makes it from results/*.json.
"""

from pathlib import Path
from typing import Any

from interaction import AT, SYSTEMS, every
from materials import CASES, STEPS
from readme_tables import load
from simulator_claims import number

from gnsim.atomic import write_atomic

PAGE = Path(__file__).parents[1] / "docs" / "particle_results.md"
#: of arXiv:1612.00222, one step: constant velocity over the network's
PUBLISHED = {"nbody": 328, "balls": 37, "string-ball": 16}
#: of a rollout of a material
ERRORS = (
    "position MSE of the first 20",
    "position MSE of all",
    "Sinkhorn distance",
    "kinetic energy off",
    "beyond a wall",
)

INTRODUCTION = """# What learned simulators of particles do

Made by `python experiments/particle_page.py` from `experiments/results`, where each case has its
commit, versions and settings. The models are those of [simulators.md](simulators.md). Not measured
yet: {missing}."""

INTERACTION = """## Planets, discs and a string

`python experiments/interaction.py`: an interaction network, the same without relations (it sees
neither other bodies nor walls), and a perceptron of the whole state, learned from 150,000 frames
(planets: a million) in {steps:,} steps, one seed. Tested on ten scenes of a thousand steps with a
seed of their own, with as many bodies as in the training and, which nothing was trained on, half
and twice as many. The mean squared error of a component of the velocities a step later, and how
many times that of constant velocity is larger; published is the ratio of arXiv:1612.00222, whose
systems are not ours to the last number. Then errors of positions over their spread in rollouts, the
median of the scenes."""

POTENTIAL = """Potential energies read out, by a graph network and by a perceptron of the whole
state: mean squared error over the variance. Published, in units of their own, are 1.4 and 19 for
planets, 1.1 and 425 for a string."""

MATERIALS = """## Water and sand

`python experiments/materials.py`: `gns` of {passes} steps of message passing and layers of
{hidden}, learned from trajectories of {particles} particles, rolled out for {frames} steps from
other starts. Mean squared errors of a coordinate, the side of the box of {particles} particles
being one; Sinkhorn distances of ten clouds; errors of the kinetic energy over its largest value."""


def interaction(results: dict[str, Any]) -> list[str]:
    rows = [
        f"| system | model | bodies | velocity MSE | ratio | published | "
        f"{' | '.join(f'after {k:,}' for k in AT)} |",
        "|---|---|---|---|---|---|" + "---|" * len(AT),
    ]
    for case, found in sorted(results.items(), key=lambda item: every().index(item[0])):
        system, model, _ = case.split()
        for bodies, test in found.get("bodies", {}).items():
            own = model == "interaction" and int(bodies) == SYSTEMS[system].bodies
            off = (number([test["positions off"][str(k)]]) for k in AT)
            rows.append(
                f"| {system} | {model} | {bodies} | {test['velocity MSE']:.2g} | "
                f"{test['ratio']:.3g} | {PUBLISHED[system] if own else ''} | {' | '.join(off)} |"
            )
    return rows


def potential(results: dict[str, Any]) -> list[str]:
    rows = ["| system | graph network | perceptron |", "|---|---|---|"]
    for case, found in sorted(results.items()):
        if "variance" in found:
            off = found["potential energy MSE"]
            shares = (off[kind] / found["variance"] for kind in ("Graph", "Whole"))
            rows.append(f"| {case.split()[0]} | {' | '.join(f'{x:.2g}' for x in shares)} |")
    return rows


def materials(results: dict[str, Any]) -> list[str]:
    rows = [
        "| material | particles | of | MSE, first 20 | of all | Sinkhorn | kinetic energy | "
        "beyond a wall | ms a step | training, h |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case, found in results.items():
        for particles, test in found["particles"].items():
            begun = f"| {case.split()[0]} | {int(particles):,} |"
            tail = f"{1e3 * test['seconds a step']:.0f} | {found['training']['hours']:.2g} |"
            rows.append(f"{begun} gns | {errors(test)} | {tail}")
            for name, other in test["beside"].items():
                rows.append(f"{begun} {name} | {errors(other)} | | |")
    return rows


def errors(test: dict[str, Any]) -> str:
    return " | ".join(number([test[name]]) for name in ERRORS)


def missing(bodies: dict[str, Any], of_materials: dict[str, Any]) -> str:
    """How many cases of each experiment have no result."""
    wanted = {"interaction.py": (every(), bodies), "materials.py": (CASES, of_materials)}
    told = [
        f"{sum(case not in found for case in cases)} of {len(cases)} of {name}"
        for name, (cases, found) in wanted.items()
    ]
    return ", ".join(one for one in told if not one.startswith("0 ")) or "nothing"


def page() -> str:
    bodies, of_materials = load("interaction"), load("materials")
    parts = [[INTRODUCTION.format(missing=missing(bodies, of_materials))]]
    if bodies:
        steps = next(found["settings"]["steps"] for found in bodies.values() if "settings" in found)
        parts += [[INTERACTION.format(steps=steps)], interaction(bodies)]
    if any("variance" in found for found in bodies.values()):
        parts += [[POTENTIAL], potential(bodies)]
    if of_materials:
        settings = next(iter(of_materials.values()))["settings"]
        particles = min(map(int, next(iter(of_materials.values()))["particles"]))
        said = {name: settings[name] for name in ("passes", "hidden")}
        parts += [
            [MATERIALS.format(**said, particles=particles, frames=STEPS)],
            materials(of_materials),
        ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


if __name__ == "__main__":
    write_atomic(PAGE, page())
