"""Accelerations of bodies under a law, in numpy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gnsim.config import did_you_mean
from gnsim.symbolic.expressions import evaluated, inlined

if TYPE_CHECKING:
    from gnsim.symbolic.law import Law


def acceleration(
    law: "Law",
    q: np.ndarray,
    v: np.ndarray | None,
    box: Sequence[float] | np.ndarray | None,
    bonds: Sequence[Sequence[int]] | np.ndarray | None,
    attributes: Mapping[str, Any],
) -> np.ndarray:
    """See `Law.acceleration`; [bodies, dim]."""
    q = np.asarray(q, dtype=np.float64)
    if q.ndim != 2 or q.shape[1] != law.dim:
        raise ValueError(f"q: expected [bodies, {law.dim}], found {q.shape}")
    if v is not None and np.shape(v) != q.shape:
        raise ValueError(f"v: expected the shape {q.shape} of q, found {np.shape(v)}")
    known = _attributes(law, len(q), attributes)
    target, source = _ends(law, len(q), bonds)
    d = _nearest_image(law, q[source] - q[target], box)
    r = np.sqrt(np.square(d).sum(1))
    if (r == 0).any():
        pair = int(np.argmin(r))
        raise ValueError(
            f"q: bodies {target[pair]} and {source[pair]} are in one place; move one of them"
        )
    columns = {"r": r}
    for name in law.attributes:
        columns |= {f"{name}_i": known[name][target], f"{name}_j": known[name][source]}
    magnitude = evaluated(inlined(law.expr, law.values), columns)
    forces = (magnitude / r)[:, None] * d
    if law.corrected:
        if v is None:
            raise ValueError("v: what acts beside the force needs velocities, found none; pass v")
        forces += _beside(
            law, d / r[:, None], np.asarray(v)[source] - np.asarray(v)[target], columns
        )
    total = np.zeros_like(q)
    np.add.at(total, target, forces)
    if law.terms:
        total += _of_terms(law, q, v, box, bonds, known)
    return total / known["mass"][:, None]


def _beside(
    law: "Law", n: np.ndarray, u: np.ndarray, columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The forces on the targets along the line n and across it, [pairs, dim]; u as they see."""
    v_r = (u * n).sum(1)
    across = u - v_r[:, None] * n
    v_t = np.sqrt(np.square(across).sum(1))
    t = across / np.where(v_t > 0, v_t, 1.0)[:, None]
    moving = {**columns, "v_r": v_r, "v_t": v_t}
    parts = (law.radial_expr, law.transverse_expr)
    along, aside = (evaluated(inlined(part, law.values), moving) for part in parts)
    return along[:, None] * n + aside[:, None] * t


def _of_terms(
    law: "Law",
    q: np.ndarray,
    v: np.ndarray | None,
    box: Sequence[float] | np.ndarray | None,
    bonds: Sequence[Sequence[int]] | np.ndarray | None,
    known: Mapping[str, np.ndarray],
) -> np.ndarray:
    """The forces of the terms, [bodies, dim]."""
    import torch

    from gnsim.state import State

    moving = [term.name for term in law.terms if term.of_velocity]
    if v is None and moving:
        raise ValueError(f"v: the term {moving[0]} needs velocities, found none; pass v")
    attributes = {name: torch.as_tensor(value) for name, value in known.items()}
    v = np.zeros_like(q) if v is None else np.asarray(v, dtype=np.float64)
    state = State(
        q=torch.from_numpy(q),
        p=torch.from_numpy(known["mass"][:, None] * v),
        batch=torch.zeros(len(q), dtype=torch.long),
        attributes=attributes,
        box=None if box is None else torch.as_tensor(np.asarray(box, dtype=np.float64)),
        bonds=None if bonds is None else torch.as_tensor(np.asarray(bonds)),
    )
    return torch.stack([field.force(state) for field in law.fields]).sum(0).numpy()


def _ends(
    law: "Law", bodies: int, bonds: Sequence[Sequence[int]] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Target and source of each pair that interacts, both ways round."""
    if bonds is None:
        if "bonds" in law.metadata:
            raise ValueError(
                "bonds: the law was learned between the bonds of its data, found none; "
                "pass bonds=[2, bonds], the pairs of bodies that interact"
            )
        first, second = np.nonzero(~np.eye(bodies, dtype=bool))
        return first, second
    ends = np.asarray(bonds)
    whole = ends.ndim == 2 and len(ends) == 2 and ends.dtype.kind in "iu"
    if not whole or (ends.size and not (ends.min() >= 0 and ends.max() < bodies)):
        raise ValueError(f"bonds: expected [2, bonds] of bodies from 0 to {bodies - 1}")
    return np.concatenate([ends[0], ends[1]]), np.concatenate([ends[1], ends[0]])


def _nearest_image(
    law: "Law", d: np.ndarray, box: Sequence[float] | np.ndarray | None
) -> np.ndarray:
    if box is None:
        learned = law.metadata.get("box")
        if learned is not None:
            raise ValueError(
                f"box: the law was learned in a periodic box of edges {learned}, found none; "
                f"pass box={learned}"
            )
        return d
    edges = np.asarray(box, dtype=np.float64)
    if edges.shape != (law.dim,) or not (edges > 0).all():
        raise ValueError(f"box: expected {law.dim} positive edges, found {box}")
    return d - edges * np.round(d / edges)


def _attributes(law: "Law", bodies: int, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays [bodies]: what the caller gives, else what the law inferred, else a mass of one."""
    known = {name: np.asarray(hidden.values) for name, hidden in law.hidden.items()}
    known |= {name: np.asarray(value, dtype=np.float64) for name, value in given.items()}
    learned = law.metadata.get("attributes", [])
    for name in given:
        if learned and name not in (*learned, *law.attributes, "mass"):
            there = (*learned, *law.attributes)
            raise ValueError(
                f"attribute {name!r}: the law knows of none; {did_you_mean(name, there)}"
            )
    if "mass" in learned and "mass" not in known:
        raise ValueError(
            f"attribute 'mass': the law was learned with masses; pass mass=array [{bodies}]"
        )
    known.setdefault("mass", np.ones(bodies))
    missing = [name for name in law.attributes if name not in known]
    if missing:
        raise ValueError(
            f"attribute {missing[0]!r}: the force {law.expr} needs it; "
            f"pass {missing[0]}=array [{bodies}]"
        )
    for name, value in known.items():
        if value.shape != (bodies,):
            raise ValueError(
                f"attribute {name!r}: expected one number for each of {bodies} bodies, found the "
                f"shape {value.shape}; pass {name}=array [{bodies}]"
            )
    return known
