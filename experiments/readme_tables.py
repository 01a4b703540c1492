"""The README's results, made from results/*.json.

``python experiments/readme_tables.py`` rewrites what stands between the two markers of README.md.
"""

import json
from pathlib import Path
from typing import Any

import law_tables

from gnsim.atomic import write_atomic

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
TRUTH = "masses: springs, F = 3 (r - 0.7); charges: F = -q q / (r + 0.3)^2"


def load(name: str) -> dict[str, Any]:
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def solar(cases: dict[str, Any]) -> list[str]:
    """One row a seed: the law, the worst masses and the worst planet after ten years."""
    rows = [
        "| solar system | law of the true form | verified | worst GM, Sun to Saturn and Moon | "
        "Uranus, Neptune | worst body, ten years, law | network | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, found in cases.items():
        errors = {row["body"]: abs(row["relative_error"]) for row in found["couplings"]}
        outer = max(errors.pop("Uranus"), errors.pop("Neptune"))
        errors.pop("Pluto")
        law, network = (
            max(body["max"] for body in found["rollouts"][name]["position_error"])
            for name in ("law", "network")
        )
        rows.append(
            f"| {case} | {found['equals_true_law']} | {found['verified']} | "
            f"{max(errors.values()):.1e} | {outer:.1e} | {law:.1e} | {network:.1e} | "
            f"{found['seconds_in_all']:.0f} |"
        )
    return rows


def users(cases: dict[str, Any]) -> list[str]:
    """One row a file."""
    rows = [
        f"| a user's .npz ({TRUTH}) | verdict | law | constants | seconds |",
        "|---|---|---|---|---|",
    ]
    for case, found in cases.items():
        constants = ", ".join(
            f"{name} = {c['value']:.6g} ± {c['stderr']:.1g}"
            for name, c in found["constants"].items()
        )
        rows.append(
            f"| {case} | {found['status']} | `{found['force']}` | {constants} | "
            f"{found['seconds_in_all']:.0f} |"
        )
    return rows


def charged(cases: dict[str, Any]) -> list[str]:
    """One row a seed: errors of positions on the test simulations, and what was learned."""
    if not cases:
        return []
    published = next(iter(cases.values()))["published"]
    rows = [
        "| charged five-body benchmark, MSE of 2,000 | mean | median | 99th percentile | "
        "another draw, mean | learned: method, cut-off | training, s | ms a sample |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, found in sorted(cases.items()):
        score, steps = found["test"], f"{found['method']} in {found['substeps']}"
        limit = f"{found['limit']:.6f} ({found['limited']})" if found["limited"] else "none"
        rows.append(
            f"| {case} | {score['mean']:.1e} | {score['median']:.1e} | "
            f"{score['99th percentile']:.1e} | {found['another draw']['mean']:.1e} | {steps}, "
            f"{limit} | {found['training_seconds']:.0f} | {found['milliseconds_a_sample']:.1f} |"
        )
    best = ", ".join(f"{name} {error}" for name, error in published.items())
    return [*rows, "", f"Published, by networks that map frame to frame: {best}."]


def kills(found: dict[str, Any]) -> list[str]:
    if not found:
        return []
    same = sum(kill["bit_identical"] for kill in found["kills"])
    return [
        "Training killed by SIGKILL at a random moment and started again: bit-identical weights, "
        f"{same} of {len(found['kills'])}."
    ]


def block() -> str:
    laws, sampling = load("laws"), load("sampling")
    parts = [
        solar(load("solar_system")),
        law_tables.laws(laws),
        law_tables.counts(laws),
        law_tables.coverage(laws, sampling),
        law_tables.grid(sampling),
        law_tables.false(load("false_laws")),
        users(load("user_files")),
        charged(load("charged_benchmark")),
        kills(load("kill_and_resume")),
    ]
    return "\n\n".join("\n".join(rows) for rows in parts if rows)


def written(text: str) -> str:
    """`text` with the block between its markers made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{block()}\n\n{END}{after}"


if __name__ == "__main__":
    write_atomic(README, written(README.read_text()))
