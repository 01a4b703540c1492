"""What an exact motion keeps: energy, linear and angular momentum, of each system of a batch.

Each function takes a `State`, or a `Trajectory` for a leading axis over time.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.dynamics import Hamiltonian
from gnsim.state import State, Trajectory


def total(
    states: State | Trajectory, per_node: Float[Tensor, "*time nodes width"]
) -> Float[Tensor, "*time systems width"]:
    """The sum over the bodies of each system."""
    zeros = per_node.new_zeros(*per_node.shape[:-2], states.num_systems, per_node.shape[-1])
    return zeros.index_add(-2, states.batch, per_node)


def energy(hamiltonian: Hamiltonian, states: State | Trajectory) -> Float[Tensor, "*time systems"]:
    """H, in the units of the states, without gradients; attributes are completed by `attach`."""
    with torch.no_grad():
        if isinstance(states, State):
            return hamiltonian.energy(hamiltonian.attach(states))
        first = hamiltonian.attach(states[0])
        frames = zip(states.q, states.velocity * first.mass[:, None], strict=True)
        return torch.stack([hamiltonian.energy(first.moved(q, p)) for q, p in frames])


def kinetic_energy(states: State | Trajectory) -> Float[Tensor, "*time systems"]:
    """``sum p^2 / 2m``."""
    per_node = 0.5 * states.p.square().sum(-1, keepdim=True) / states.mass[:, None]
    return total(states, per_node).squeeze(-1)


def momentum(states: State | Trajectory) -> Float[Tensor, "*time systems dim"]:
    """``sum p``."""
    return total(states, states.p)


def angular_momentum(states: State | Trajectory) -> Float[Tensor, "*time systems axes"]:
    """``sum q x p`` about the origin: three components in 3D, one in 2D.

    Not conserved in a periodic box. Raises ValueError in other dimensions.
    """
    if states.dim == 3:
        return total(states, torch.linalg.cross(states.q, states.p))
    if states.dim == 2:
        x, y = states.q.unbind(-1)
        p_x, p_y = states.p.unbind(-1)
        return total(states, (x * p_y - y * p_x)[..., None])
    raise ValueError(
        f"angular momentum needs positions in 2 or 3 dimensions, got {states.dim}; "
        "use momentum for motion on a line"
    )
