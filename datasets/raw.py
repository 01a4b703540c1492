"""A file's content as plain arrays, between the formats on disk and `Trajectory`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int

from gnsim.datasets.findings import Finding
from gnsim.datasets.velocities import estimate
from gnsim.state import Trajectory, Units

#: the parts of `Units`, each stored as a short string ``units_<part>``
UNITS = ("length", "time", "mass")


@dataclass(frozen=True)
class Raw:
    """Arrays of one file: systems side by side along the node axis, ``counts`` nodes in each.

    `spelling` gives the name that the file uses for t, q and v; `notes` are what the reader has
    to say about the content.
    """

    t: Float[np.ndarray, " time"]
    q: Float[np.ndarray, "time nodes dim"]
    counts: Int[np.ndarray, " systems"]
    v: Float[np.ndarray, "time nodes dim"] | None = None
    attributes: Mapping[str, Float[np.ndarray, " nodes"]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    units: Units = field(default_factory=Units)
    box: Float[np.ndarray, " dim"] | None = None
    bonds: Int[np.ndarray, "2 bonds"] | None = None
    walls: Float[np.ndarray, "2 dim"] | None = None
    spelling: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()

    def spelled(self, name: str) -> str:
        return self.spelling.get(name, name)

    @property
    def of_particles(self) -> bool:
        """Whether bodies are parts of a material: one alone, or two in a place, are no faults."""
        return "particle_type" in self.attributes

    def place(self, node: int, frame: int | None = None, axis: int | None = None) -> str:
        """Where in the file a node, and possibly a frame and an axis of it, is found."""
        system = int(np.searchsorted(np.cumsum(self.counts), node, side="right"))
        body = node - int(self.counts[:system].sum())
        parts = [("trajectory", system if len(self.counts) > 1 else None), ("frame", frame)]
        parts += [("body", body), ("axis", axis)]
        return ", ".join(f"{name} {value}" for name, value in parts if value is not None)


def to_trajectory(raw: Raw) -> Trajectory:
    """The trajectory of checked arrays, in float64; velocities estimated where there are none."""
    v = estimate(raw.t, raw.q, raw.box) if raw.v is None else raw.v
    mass = raw.attributes.get("mass")
    return Trajectory(
        t=torch.from_numpy(raw.t),
        q=torch.from_numpy(raw.q),
        p=torch.from_numpy(v if mass is None else v * mass[:, None]),
        batch=torch.from_numpy(np.repeat(np.arange(len(raw.counts)), raw.counts)),
        attributes={name: torch.from_numpy(value) for name, value in raw.attributes.items()},
        box=None if raw.box is None else torch.from_numpy(raw.box),
        units=raw.units,
        names=raw.names,
        velocity_given=raw.v is not None,
        bonds=None if raw.bonds is None else torch.from_numpy(raw.bonds),
        walls=None if raw.walls is None else torch.from_numpy(raw.walls),
    )


def from_trajectory(trajectory: Trajectory) -> Raw:
    """The arrays to write: no velocities where they were only estimated."""
    arrays = {"t": trajectory.t, "q": trajectory.q, "batch": trajectory.batch}
    t, q, batch = (tensor.detach().cpu().numpy() for tensor in arrays.values())
    attributes = {k: x.detach().cpu().numpy() for k, x in trajectory.attributes.items()}
    return Raw(
        t=t,
        q=q,
        counts=np.bincount(batch),
        v=_velocity(trajectory.p.detach().cpu().numpy(), attributes)
        if trajectory.velocity_given
        else None,
        attributes=attributes,
        names=trajectory.names,
        units=trajectory.units,
        box=None if trajectory.box is None else trajectory.box.detach().cpu().numpy(),
        bonds=None if trajectory.bonds is None else trajectory.bonds.detach().cpu().numpy(),
        walls=None if trajectory.walls is None else trajectory.walls.detach().cpu().numpy(),
    )


def _velocity(p: np.ndarray, attributes: Mapping[str, np.ndarray]) -> np.ndarray:
    """p / m, rounded so that the velocity times the mass is the momentum again where it can be."""
    if "mass" not in attributes:
        return p
    mass = attributes["mass"][:, None].astype(p.dtype)
    v = p / mass
    for side in (np.nextafter(v, -np.inf), np.nextafter(v, np.inf)):
        v = np.where((v * mass != p) & (side * mass == p), side, v)
    return v
