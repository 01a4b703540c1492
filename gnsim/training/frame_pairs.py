"""Systems at two frames, in the order in which their bodies stay apart between these."""

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.errors import InputError
from gnsim.graph import nearest_image
from gnsim.state import Trajectory

LEAST_SYSTEMS = 100
#: share of the systems whose bodies come closest
_HARDEST = 0.1
#: places on the straight way between two frames at which bodies are looked at
_PLACES = 21


class FramePairs:
    """The first and the last frame of systems of equally many bodies; `seed` says which are drawn.

    Raises:
        InputError: data that cannot be learned from; the message says what is missing.
    """

    def __init__(self, trajectory: Trajectory, seed: int) -> None:
        _check(trajectory)
        self.path = ends(trajectory)
        if not self._way > 0:
            raise InputError("q: wanted bodies that move between the frames, found them at rest")
        self._require_apart()
        self._order = self.closest.argsort(descending=True, stable=True)
        self._generator = torch.Generator().manual_seed(seed)

    def pick(self, share: float, count: int) -> Trajectory:
        """At most `count` systems, drawn from this share of all, those that stay apart most."""
        pool = self._order[: max(1, round(share * len(self._order)))]
        chosen = torch.randperm(len(pool), generator=self._generator)[:count]
        return self.path.systems(pool[chosen])

    @property
    def hardest(self) -> Trajectory:
        """Those whose bodies come closest."""
        return self.path.systems(self._order[-round(_HARDEST * len(self._order)) :])

    @cached_property
    def closest(self) -> Float[Tensor, " systems"]:
        """The least distance of two bodies of a system on straight ways between the frames."""
        path = self.path
        source, target = path[0].pairs
        begin, end = (nearest_image(q[source] - q[target], path.box) for q in path.q)
        share = torch.linspace(0, 1, _PLACES, dtype=path.q.dtype)[:, None, None]
        between = begin + share * nearest_image(end - begin, path.box)
        r = nearest_image(between, path.box).norm(dim=-1).amin(0)
        return r.view(path.num_systems, -1).amin(1)

    @property
    def usual_force(self) -> float:
        """The median of a mean acceleration between the frames, times the median mass."""
        span = float(self.path.t[1] - self.path.t[0])
        return 2 * float(self.beyond_free.median()) / span**2 * float(self.path.mass.median())

    @property
    def beyond_free(self) -> Float[Tensor, " nodes"]:
        """How far each body ends from where it would without any force."""
        path, span = self.path, self.path.t[1] - self.path.t[0]
        off = nearest_image(path.q[1] - path.q[0] - span * path.velocity[0], path.box)
        return off.norm(dim=1)

    def _require_apart(self) -> None:
        source, target = self.path[0].pairs
        r = (self.path.q[:, source] - self.path.q[:, target]).norm(dim=-1).amin(0)
        if not bool((r > 0).all()):
            system = int(self.path.batch[source[int(r.argmin())]])
            raise InputError(f"q: two bodies of system {system} are in one place; leave it out")

    @property
    def _way(self) -> float:
        """The usual one between the frames."""
        return float(
            nearest_image(self.path.q[1] - self.path.q[0], self.path.box).norm(dim=1).median()
        )


def ends(trajectory: Trajectory) -> Trajectory:
    """The first and the last frame, in double precision."""
    return trajectory.frames(slice(None, None, len(trajectory) - 1)).to(torch.float64)


def _check(trajectory: Trajectory) -> None:
    counts = trajectory.batch.bincount()
    if len(trajectory) < 2:
        raise InputError(f"t: wanted two frames or more, found {len(trajectory)}")
    if not trajectory.velocity_given or trajectory.noise is not None:
        found = "noise" if trajectory.velocity_given else "none"
        raise InputError(
            f"v: wanted velocities as exact as the positions, found {found}; "
            "between frames that lie far apart nothing else tells how bodies start"
        )
    if len(counts) < LEAST_SYSTEMS:
        raise InputError(
            f"training data: wanted {LEAST_SYSTEMS} systems or more, found {len(counts)}; "
            "give more trajectories"
        )
    if bool((counts != counts[0]).any()) or int(counts[0]) < 2:
        raise InputError(
            "training data: wanted as many bodies in each system, two at least, found "
            f"{int(counts.min())} to {int(counts.max())}; train on systems of one size"
        )
    for name, values in (("q", trajectory.q), ("v", trajectory.p)):
        if not bool(values.isfinite().all()):
            frame, body, _ = (int(k) for k in (~values.isfinite()).nonzero()[0])
            raise InputError(f"{name}[{frame}, {body}]: wanted finite numbers; leave that one out")
