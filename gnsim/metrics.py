"""How far a rollout is from the truth, and from the laws of conservation."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Hamiltonian
from gnsim.graph import nearest_image, unwrapped
from gnsim.invariants import angular_momentum, energy, kinetic_energy, momentum, total
from gnsim.state import Trajectory

#: masses whose ratio is below this are alike: inferred ones differ by their errors
_ALIKE = 1.01


class RolloutError(NamedTuple):
    """Root-mean-square errors over all bodies and components, in the units of the data."""

    q: Float[Tensor, " time"]
    p: Float[Tensor, " time"]


class ConservationError(NamedTuple):
    """Largest errors of what the motion keeps, over its own size; None where it is not defined."""

    momentum: Float[Tensor, " systems"] | None
    angular_momentum: Float[Tensor, " systems"] | None


class EnergyDrift(NamedTuple):
    """Relative errors of the energy: the largest, and the growth per unit of time."""

    largest: Float[Tensor, " systems"]
    slope: Float[Tensor, " systems"]


def rollout_rmse(predicted: Trajectory, true: Trajectory) -> RolloutError:
    """The error at each time. Raises ValueError where the two do not match, as all below do."""
    require_alike(predicted, true)
    difference_p = predicted.p - true.p
    return RolloutError(
        q=position_difference(predicted, true).square().mean((-2, -1)).sqrt(),
        p=difference_p.square().mean((-2, -1)).sqrt(),
    )


def rmse_of_systems(predicted: Trajectory, true: Trajectory) -> RolloutError:
    """The error of each system, over all times, bodies and components."""
    require_alike(predicted, true)
    components = true.batch.bincount() * true.dim
    squares = (position_difference(predicted, true).square(), (predicted.p - true.p).square())
    means = (total(true, x).sum(-1).mean(0) / components for x in squares)
    return RolloutError(*(mean.sqrt() for mean in means))


def energy_error(
    hamiltonian: Hamiltonian, predicted: Trajectory, true: Trajectory
) -> Float[Tensor, "time systems"]:
    """The difference in H of two trajectories over ``max(|E_0|, max_t T)`` of the second one."""
    require_alike(predicted, true)
    wanted = energy(hamiltonian, true)
    error = energy(hamiltonian, predicted) - wanted
    return _over(error, _energy_scale(wanted, kinetic_scale(true)))


def conservation_error(predicted: Trajectory, true: Trajectory) -> ConservationError:
    """How far momentum and angular momentum are from the true ones, at most over time.

    In the frame of the true centre of mass at Q, moving with V, so that neither origin nor wind
    matters: over ``sum |p - m V|`` and ``sum |q - Q| |p - m V|`` of the truth, each the largest
    over time. A single body has no such size, and no error. Angular momentum is defined in two and
    three dimensions, outside of periodic boxes.
    """
    require_alike(predicted, true)
    if int(true.batch.bincount().min()) == 1:
        return ConservationError(None, None)
    predicted, true = _about_centre(predicted, true), _about_centre(true, true)
    p, q = (x.norm(dim=-1, keepdim=True) for x in (true.p, true.q))
    sizes = [total(true, x).squeeze(-1).amax(0) for x in (p, q * p)]
    rotates = true.dim in (2, 3) and true.box is None
    kept = [momentum, angular_momentum] if rotates else [momentum]
    errors = [
        _over((of(predicted) - of(true)).norm(dim=-1).amax(0), size)
        for of, size in zip(kept, sizes, strict=False)
    ]
    return ConservationError(errors[0], errors[1] if rotates else None)


def energy_change(
    hamiltonian: Hamiltonian,
    trajectory: Trajectory,
    scale: Float[Tensor, " systems"] | None = None,
) -> Float[Tensor, "time systems"]:
    """Change of energy since the start over `scale`, or over ``max(|E_0|, max_t T)``.

    The kinetic energy T gives a scale where E_0 is near zero. A trajectory that gains energy is not
    to be measured by what it gained, but on the scale of the truth; and a learned H, which is
    defined up to a constant, on its `kinetic_scale`.
    """
    values = energy(hamiltonian, trajectory)
    change = values - values[0]
    if scale is None:
        scale = _energy_scale(values, kinetic_scale(trajectory))
    return _over(change, scale)


def energy_drift(
    hamiltonian: Hamiltonian,
    trajectory: Trajectory,
    scale: Float[Tensor, " systems"] | None = None,
) -> EnergyDrift:
    """The largest `energy_change`, and its slope.

    That is of the least-squares line through it, so that an oscillation does not count as a drift.
    """
    relative = energy_change(hamiltonian, trajectory, scale)
    t = (trajectory.t - trajectory.t.mean())[:, None]
    slope = (t * relative).sum(0) / t.square().sum(0)
    return EnergyDrift(largest=relative.abs().amax(0), slope=slope)


def kinetic_scale(like: Trajectory) -> Float[Tensor, " systems"]:
    """The largest kinetic energy over time."""
    return kinetic_energy(like).amax(0)


def energy_scale(hamiltonian: Hamiltonian, like: Trajectory) -> Float[Tensor, " systems"]:
    """``max(|E_0|, max_t T)``, for an H whose zero is known."""
    return _energy_scale(energy(hamiltonian, like), kinetic_scale(like))


def relative_position_error(
    predicted: Trajectory, true: Trajectory, centre: int | None = None
) -> Float[Tensor, "time nodes"]:
    """Error of each position over the true distance of the body from `centre`.

    `centre` is a node; None stands for the heaviest body of each system, and for the mean position
    of its bodies where their masses are alike or unknown. A body in the centre has no distance
    from itself: its error is taken over that of the body nearest to it.
    """
    require_alike(predicted, true)
    centres = _heaviest(true) if centre is None else torch.full_like(true.batch, centre)
    central = centres >= 0
    origin = torch.where(central[:, None], true.q[:, centres], _mean_position(true))
    distances = torch.linalg.norm(nearest_image(true.q - origin, true.box), dim=-1)
    error = torch.linalg.norm(position_difference(predicted, true), dim=-1)
    for node in centres[central].unique().tolist():
        orbiting = centres == node
        orbiting[node] = False
        distances[:, node] = distances[:, orbiting].amin(1)
    return error / distances


def position_spread(true: Trajectory) -> Float[Tensor, " systems"]:
    """The root of the summed squares of the distances of bodies from their means over time.

    In a frame in which the centre of mass drifts nowhere: what flies off freely does not make up
    for errors. In a periodic box bodies are followed across its sides.
    """
    true = replace(true, q=unwrapped(true.q, true.box))
    near = true.q - _drift(true)
    return total(true, (near - near.mean(0)).square()).sum(-1).mean(0).sqrt()


def normalised_position_error(
    predicted: Trajectory, true: Trajectory, spread: Float[Tensor, " systems"] | None = None
) -> Float[Tensor, "time systems"]:
    """The error of all positions of a system over their `spread`.

    That is the `position_spread` of `true`; of a longer trajectory where only its beginning is
    compared, so that the error does not depend on how much is.
    """
    require_alike(predicted, true)
    error = total(true, position_difference(predicted, true).square()).sum(-1).sqrt()
    return _over(error, position_spread(true) if spread is None else spread)


def valid_prediction_time(
    predicted: Trajectory,
    true: Trajectory,
    threshold: float = 0.4,
    spread: Float[Tensor, " systems"] | None = None,
) -> Float[Tensor, " systems"]:
    """The time up to which `normalised_position_error` of a system stays within `threshold`.

    The whole span where the threshold is never passed.
    J. Pathak et al. (2018), doi:10.1103/PhysRevLett.120.024102.
    """
    error = normalised_position_error(predicted, true, spread)
    # "not within" rather than "above": an error of NaN is not valid either
    valid = (error <= threshold).long().cumprod(0).sum(0)
    return (true.t - true.t[0]).abs()[(valid - 1).clamp(min=0)]


def quantile(values: Float[Tensor, "*time systems"], share: float) -> Float[Tensor, "*time"]:
    """Over systems, linear between the nearest two, of which either may be infinite; NaN counts so.

    ``torch.quantile`` has NaN next to infinity, where a system that was lost is just the worst.
    """
    ranked = values.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).sort(-1).values
    place = share * (values.shape[-1] - 1)
    below, above = ranked[..., math.floor(place)], ranked[..., math.ceil(place)]
    return torch.where(below == above, below, below + (above - below) * (place % 1))


def _energy_scale(
    energies: Float[Tensor, "time systems"], kinetic: Float[Tensor, " systems"]
) -> Float[Tensor, " systems"]:
    return torch.maximum(energies[0].abs(), kinetic)


def _over(error: Float[Tensor, "*time systems"], size: Tensor) -> Float[Tensor, "*time systems"]:
    """Their ratio; no error is none of whatever size, of zero as well."""
    return torch.where(error == 0, 0.0, error / size)


def _about_centre(path: Trajectory, true: Trajectory) -> Trajectory:
    """`path` in the frame in which the true centre of mass rests at the origin."""
    mass = true.mass[:, None]
    of_system = total(true, mass)
    at, velocity = (total(true, x) / of_system for x in (mass * true.q, true.p))
    q = path.q - at[:, true.batch]
    return replace(path, q=q, p=path.p - mass * velocity[:, true.batch])


def _drift(true: Trajectory) -> Float[Tensor, "time nodes dim"]:
    """The uniform part of the motion of each body's centre of mass, by least squares."""
    t = (true.t - true.t.mean())[:, None, None]
    mass = true.mass[:, None]
    centre = total(true, mass * true.q) / total(true, mass)
    slope = (t * centre).sum(0) / t.square().sum().clamp_min(torch.finfo(t.dtype).tiny)
    return t * slope[true.batch]


def position_difference(predicted: Trajectory, true: Trajectory) -> Float[Tensor, "time nodes dim"]:
    """From the true to the predicted positions; to the nearest image in a periodic box."""
    return nearest_image(predicted.q - true.q, true.box)


def _heaviest(trajectory: Trajectory) -> Tensor:
    """For every node, the node of the largest mass in its system; -1 where masses are alike."""
    heaviest = torch.full((trajectory.num_systems,), -1)
    for system in range(trajectory.num_systems):
        members = (trajectory.batch == system).nonzero().squeeze(1)
        mass = trajectory.mass[members]
        if float(mass.max()) > _ALIKE * float(mass.min()):
            heaviest[system] = members[mass.argmax()]
    return heaviest[trajectory.batch]


def _mean_position(trajectory: Trajectory) -> Float[Tensor, "time nodes dim"]:
    """For every node, the mean position of the bodies of its system.

    In a periodic box a mean over the images nearest to the first body, wherever its edges are.
    """
    batch = trajectory.batch
    first = torch.searchsorted(batch, batch)
    from_first = nearest_image(trajectory.q - trajectory.q[:, first], trajectory.box)
    count = torch.bincount(batch)[:, None]
    return trajectory.q[:, first] + (total(trajectory, from_first) / count)[:, batch]


def require_alike(predicted: Trajectory, true: Trajectory) -> None:
    """Raises ValueError for trajectories of unlike shapes or times."""
    if predicted.q.shape != true.q.shape:
        raise ValueError(
            f"predicted and true trajectories must have one shape [time, nodes, dim], "
            f"got {tuple(predicted.q.shape)} and {tuple(true.q.shape)}; "
            "cut the longer one with frames() or systems()"
        )
    if not torch.allclose(predicted.t.double(), true.t.double()):
        raise ValueError(
            "predicted and true trajectories must be sampled at the same times; "
            "roll out with times = true.t"
        )
