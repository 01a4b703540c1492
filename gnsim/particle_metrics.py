"""How far a rollout of many particles is from the truth: each of them, as a cloud, and as matter.

The first three are those of LagrangeBench (Toshev et al., NeurIPS 2023), the others what is said of
liquids (D. Frenkel and B. Smit, Understanding Molecular Simulation, 2002, chapter 4). Bodies that
are held or driven (``fixed``) do not count, where LagrangeBench has them in its means.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.graph import displacement, distance, unwrapped
from gnsim.invariants import total
from gnsim.metrics import position_difference, require_alike
from gnsim.models.motion_scales import velocities
from gnsim.neighbours import radius_pairs
from gnsim.sinkhorn import sinkhorn_divergence
from gnsim.state import State, Trajectory


class RadialDistribution(NamedTuple):
    """g(r) in bins whose centres are `r`."""

    r: Float[Tensor, " bins"]
    g: Float[Tensor, "systems bins"]


def position_mse(predicted: Trajectory, true: Trajectory) -> Float[Tensor, "time systems"]:
    """Mean squared error of a coordinate, over bodies and components.

    To the nearest image in a periodic box. Raises ValueError where the two do not match, as
    `kinetic_energy_mse` does.
    """
    require_alike(predicted, true)
    squares = position_difference(predicted, true).square().mean(-1)
    return _over_free(true, squares)


def sinkhorn_distance(predicted: State, true: State) -> Float[Tensor, " systems"]:
    """`gnsim.sinkhorn.sinkhorn_divergence` of the positions of each system, at one time."""
    free = true.free
    of = [free & (true.batch == system) for system in range(true.num_systems)]
    return torch.tensor(
        [sinkhorn_divergence(predicted.q[k], true.q[k], true.box) for k in of], dtype=torch.float64
    )


def kinetic_energy_of_positions(trajectory: Trajectory) -> Float[Tensor, "steps systems"]:
    """``sum m v^2 / 2`` of the mean velocities from each frame to the next.

    LagrangeBench leaves the half out and takes the volume of a particle for its mass.
    """
    step = trajectory.t.diff()[:, None, None]
    velocity = velocities(trajectory.q, trajectory.box, step)
    energy = 0.5 * trajectory.mass * velocity.square().sum(-1)
    moving = torch.where(trajectory.free, energy, 0.0)
    return total(trajectory, moving[..., None]).squeeze(-1)


def kinetic_energy_mse(predicted: Trajectory, true: Trajectory) -> Float[Tensor, " systems"]:
    """Mean squared error of `kinetic_energy_of_positions` over all steps."""
    require_alike(predicted, true)
    found, wanted = (kinetic_energy_of_positions(path) for path in (predicted, true))
    return (found - wanted).square().mean(0)


def beyond_walls(trajectory: Trajectory) -> Float[Tensor, " systems"]:
    """How far a body gets beyond a wall at most: 0 where all stay between them, or none is.

    Raises ValueError where there are no walls.
    """
    if trajectory.walls is None:
        raise ValueError("walls: wanted those that bodies may be beyond, found none")
    low, high = trajectory.walls
    out = torch.maximum(low - trajectory.q, trajectory.q - high).clamp_min(0.0).amax((0, -1))
    out = torch.where(trajectory.free, out, 0.0)
    return torch.stack([each.amax() for each in out.split(trajectory.batch.bincount().tolist())])


def radial_distribution(
    trajectory: Trajectory, bins: int = 100, radius: float | None = None
) -> RadialDistribution:
    """How many pairs of bodies are r apart over how many would be if they stood anywhere.

    Over all frames, up to `radius`, half of the smallest side of the box where it is left out.
    Memory grows with the pairs within it, of one frame at a time: 700 MB for 5,000 bodies in space
    and half of the box.

    Raises:
        ValueError: there is no periodic box, or it has no room for the radius.
    """
    box = trajectory.box
    if box is None:
        raise ValueError(
            "radial distribution: wanted a periodic box, found none: near walls and surfaces there "
            "is no density to compare with"
        )
    radius = float(box.min()) / 2 if radius is None else radius
    free, systems = trajectory.free, trajectory.num_systems
    batch = trajectory.batch[free]
    counted = torch.zeros(systems * bins, dtype=torch.long, device=box.device)
    for q in trajectory.q[:, free]:
        pairs = radius_pairs(q, batch, radius, box)
        apart = distance(displacement(q, pairs, box)) * (bins / radius)
        place = batch[pairs[0]] * bins + apart.long().clamp_max(bins - 1)
        counted += torch.bincount(place, minlength=systems * bins)
    edges = torch.linspace(0.0, radius, bins + 1, dtype=torch.float64, device=box.device)
    bodies = batch.bincount(minlength=systems).double()
    pairs_of = len(trajectory) * bodies * (bodies - 1) / 2
    share = _ball(edges, trajectory.dim).diff() / box.double().prod()
    g = counted.reshape(systems, bins) / (pairs_of[:, None] * share)
    return RadialDistribution((edges[1:] + edges[:-1]) / 2, g)


def mean_square_displacement(trajectory: Trajectory) -> Float[Tensor, "time systems"]:
    """``<|q(s + t) - q(s)|^2>`` over bodies and all frames s, for t from no step to all of them.

    In a periodic box bodies are followed across its sides, of which none may cross half between
    two frames. Times are taken to be even. The work grows with the square of the frames.
    """
    q = unwrapped(trajectory.q, trajectory.box)
    lags = [(q[lag:] - q[: len(q) - lag]).square().sum(-1).mean(0) for lag in range(len(q))]
    return _over_free(trajectory, torch.stack(lags))


def _over_free(
    states: Trajectory, per_node: Float[Tensor, "time nodes"]
) -> Float[Tensor, "time systems"]:
    """The mean over the bodies of each system that count, NaN where none does."""
    free = states.free
    counts = states.batch[free].bincount(minlength=states.num_systems)
    kept = torch.where(free, per_node, 0.0)
    return total(states, kept[..., None]).squeeze(-1) / counts


def _ball(radius: Float[Tensor, " edges"], dim: int) -> Float[Tensor, " edges"]:
    """The volume of balls: lengths of lines in one dimension, areas of discs in two."""
    return math.pi ** (dim / 2) / math.gamma(dim / 2 + 1) * radius**dim
