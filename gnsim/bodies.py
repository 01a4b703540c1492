"""What is known of each body of a system: its name, and its coupling beside the reference."""

from typing import TYPE_CHECKING, Any

from gnsim.state import Trajectory

if TYPE_CHECKING:
    from gnsim.discovery import Discovery


def body_names(trajectory: Trajectory) -> tuple[str, ...]:
    """The names of the bodies of one system, numbered where the data give none."""
    count = trajectory.num_nodes // trajectory.num_systems
    return trajectory.names[:count] or tuple(f"body {k}" for k in range(count))


def couplings(discovery: "Discovery") -> list[dict[str, Any]]:
    """One row per body: value, standard errors, and the reference with the relative error or None.

    `stderr_first_grouping` is of the scatter between groups of windows by `first_grouping`, time or
    system, alone. References are compared only with what they are references for: G times mass.
    """
    found = discovery.law.metadata.get("couplings")
    if not found:
        return []
    names = found["names"]
    known = discovery.dataset.reference.get("GM")
    references: list[float | None] = [None] * len(names)
    if known is not None and found["meaning"] == "strength times mass" and len(known) == len(names):
        references = known.tolist()
    columns = (found[key] for key in ("names", "values", "stderr", "stderr_first_grouping"))
    return [
        {
            "body": name,
            "value": value,
            "stderr": stderr,
            "stderr_first_grouping": first,
            "first_grouping": found.get("first_grouping", "time"),
            "reference": reference,
            "relative_error": value / reference - 1 if reference else None,
        }
        for name, value, stderr, first, reference in zip(*columns, references, strict=True)
    ]
