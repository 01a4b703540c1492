"""The types that everything flows through: `State` at one instant, `Trajectory` over time.

Several systems travel as one disjoint union, as in PyTorch Geometric: ``batch[node]`` names
the system of a node, so that fifty trajectories of four bodies are two hundred nodes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnsim.graph import all_pairs, bonded_pairs


@dataclass(frozen=True)
class Units:
    """Names of the units in which the numbers of a state are given; empty where unknown."""

    length: str = ""
    time: str = ""
    mass: str = ""

    @property
    def area(self) -> str:
        return f"{self.length}^2" if self.length else ""


class _System:
    """What `State` and `Trajectory` share: attributes, batch, box, walls, bonds and units."""

    attributes: Mapping[str, Tensor]
    batch: Tensor
    q: Tensor
    bonds: Tensor | None
    walls: Tensor | None

    @property
    def free(self) -> Bool[Tensor, " nodes"]:
        """Which bodies answer forces: those that are not ``fixed``."""
        fixed = self.attributes.get("fixed")
        return torch.ones_like(self.batch, dtype=torch.bool) if fixed is None else fixed == 0

    @property
    def num_nodes(self) -> int:
        return self.q.shape[-2]

    @property
    def dim(self) -> int:
        return self.q.shape[-1]

    @cached_property
    def num_systems(self) -> int:
        return int(self.batch.max()) + 1

    @property
    def pairs_per_system(self) -> int:
        """Of a system of as many bodies as the largest has."""
        if self.bonds is not None:
            return self.bonds.shape[1]
        bodies = int(self.batch.bincount().max())
        return bodies * (bodies - 1) // 2

    @cached_property
    def mass(self) -> Float[Tensor, " nodes"]:
        """Inertial masses; one for every body where the data does not give them."""
        if "mass" in self.attributes:
            return self.attributes["mass"]
        return torch.ones(self.num_nodes, dtype=self.q.dtype, device=self.q.device)


@dataclass(frozen=True)
class State(_System):
    """Positions and momenta of all bodies at one instant, in the units of `units`.

    `attributes` holds one static number per body and name (``mass``, ``charge``, ``species``,
    and whatever the user's file brings; of bodies that are held or driven, and answer no force,
    ``fixed`` is not zero). `box` is the edge lengths of a periodic box. `walls` are the coordinates
    between which bodies are kept (row 0 the lower ones), infinite where it is open. `bonds` are the
    pairs of places in a system that interact, the same in every system (row 0 the source, row 1 the
    target); without them all pairs do. `past` holds positions at the frames before, the latest
    last, for a dynamics that remembers; `moved` leaves it as it is.
    """

    q: Float[Tensor, "nodes dim"]
    p: Float[Tensor, "nodes dim"]
    batch: Int[Tensor, " nodes"]
    attributes: Mapping[str, Tensor] = field(default_factory=dict)
    box: Float[Tensor, " dim"] | None = None
    units: Units = Units()
    bonds: Int[Tensor, "2 bonds"] | None = None
    walls: Float[Tensor, "2 dim"] | None = None
    past: Float[Tensor, "earlier nodes dim"] | None = None

    @property
    def velocity(self) -> Float[Tensor, "nodes dim"]:
        return self.p / self.mass[:, None]

    @cached_property
    def pairs(self) -> Int[Tensor, "2 pairs"]:
        """Every unordered pair of bodies that interact, once: row 0 the source, row 1 target."""
        return all_pairs(self.batch) if self.bonds is None else bonded_pairs(self.bonds, self.batch)

    @cached_property
    def ends(self) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """The attributes of the source and of the target of each of `pairs`."""
        source, target = ({k: v[n] for k, v in self.attributes.items()} for n in self.pairs)
        return source, target

    def moved(self, q: Float[Tensor, "nodes dim"], p: Float[Tensor, "nodes dim"]) -> "State":
        """The same bodies elsewhere; what was cached depends on neither, and is kept."""
        state = object.__new__(State)
        state.__dict__.update(self.__dict__, q=q, p=p)
        return state

    def after(self, q: Float[Tensor, "nodes dim"], p: Float[Tensor, "nodes dim"]) -> "State":
        """The same bodies a frame later: what is now becomes the latest of as long a past."""
        state = self.moved(q, p)
        if self.past is not None:
            state.__dict__["past"] = torch.cat([self.past, self.q[None]])[1:]
        return state

    def systems(self, selected: Int[Tensor, " selected"]) -> "State":
        """Some of the systems, renumbered from zero."""
        kept, batch = _nodes_of(self.batch, self.num_systems, selected)
        return replace(
            self,
            q=self.q[kept],
            p=self.p[kept],
            batch=batch,
            attributes={name: value[kept] for name, value in self.attributes.items()},
            past=None if self.past is None else self.past[:, kept],
        )

    def with_attributes(self, attributes: Mapping[str, Tensor]) -> "State":
        """More (or other) attributes, at unchanged velocities: momenta follow a changed mass."""
        merged = {**self.attributes, **attributes}
        mass = merged.get("mass", self.mass)
        return replace(self, attributes=merged, p=self.velocity * mass[:, None])


@dataclass(frozen=True)
class Trajectory(_System):
    """States of the same bodies at the times `t`. ``trajectory[i]`` is a `State`.

    `names` are the bodies of each system (as many as there are nodes), for people to read.
    `velocity_given` is False where the momenta were estimated from the positions. `noise` is the
    standard deviation of white noise in positions and velocities; None where none is known of.
    """

    t: Float[Tensor, " time"]
    q: Float[Tensor, "time nodes dim"]
    p: Float[Tensor, "time nodes dim"]
    batch: Int[Tensor, " nodes"]
    attributes: Mapping[str, Tensor] = field(default_factory=dict)
    box: Float[Tensor, " dim"] | None = None
    units: Units = Units()
    names: tuple[str, ...] = ()
    velocity_given: bool = True
    noise: Float[Tensor, "nodes kinds"] | None = None
    bonds: Int[Tensor, "2 bonds"] | None = None
    walls: Float[Tensor, "2 dim"] | None = None

    def __len__(self) -> int:
        return self.t.shape[0]

    def __getitem__(self, frame: int) -> State:
        return State(
            q=self.q[frame],
            p=self.p[frame],
            batch=self.batch,
            attributes=self.attributes,
            box=self.box,
            units=self.units,
            bonds=self.bonds,
            walls=self.walls,
        )

    def with_past(self, frame: int, earlier: int) -> State:
        """The state at `frame`, which knows where bodies were at so many frames before it.

        Raises ValueError where there are not as many.
        """
        if not 0 <= earlier <= frame:
            raise ValueError(f"frame {frame} has {frame} frames before it, wanted {earlier}")
        return replace(self[frame], past=self.q[frame - earlier : frame])

    def __iter__(self) -> Iterator[State]:
        return (self[frame] for frame in range(len(self)))

    @property
    def velocity(self) -> Float[Tensor, "time nodes dim"]:
        return self.p / self.mass[:, None]

    @property
    def interval(self) -> float:
        """The mean time from one frame to the next."""
        return float(self.t[-1] - self.t[0]) / (len(self) - 1)

    def to(self, dtype: torch.dtype) -> "Trajectory":
        """The same numbers in another floating-point precision."""
        return replace(
            self,
            t=self.t.to(dtype),
            q=self.q.to(dtype),
            p=self.p.to(dtype),
            attributes={name: value.to(dtype) for name, value in self.attributes.items()},
            box=None if self.box is None else self.box.to(dtype),
            walls=None if self.walls is None else self.walls.to(dtype),
            noise=None if self.noise is None else self.noise.to(dtype),
        )

    def frames(self, frames: slice) -> "Trajectory":
        """The part of the trajectory that a slice over time selects."""
        return replace(self, t=self.t[frames], q=self.q[frames], p=self.p[frames])

    def systems(self, selected: Int[Tensor, " selected"]) -> "Trajectory":
        """The part of the trajectory that belongs to some of the systems, renumbered from zero."""
        kept, batch = _nodes_of(self.batch, self.num_systems, selected)
        return replace(
            self,
            q=self.q[:, kept],
            p=self.p[:, kept],
            batch=batch,
            attributes={name: value[kept] for name, value in self.attributes.items()},
            names=tuple(self.names[node] for node in kept.tolist()) if self.names else (),
            noise=None if self.noise is None else self.noise[kept],
        )


def _nodes_of(
    batch: Int[Tensor, " nodes"], systems: int, selected: Int[Tensor, " selected"]
) -> tuple[Int[Tensor, " kept"], Int[Tensor, " kept"]]:
    """The nodes of the selected systems, and the new numbers of their systems."""
    order = torch.full((systems,), -1, dtype=torch.long)
    order[selected] = torch.arange(len(selected))
    kept = (order[batch] >= 0).nonzero().squeeze(1)
    kept = kept[torch.argsort(order[batch[kept]], stable=True)]
    return kept, order[batch[kept]]
