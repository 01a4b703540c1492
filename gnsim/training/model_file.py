"""A trained pair model on disk: ``model.ckpt``, its plan in the header, its weights beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gnsim.errors import InputError
from gnsim.models.coupled import CoupledPairs, Structure
from gnsim.models.radial import RadialNetwork
from gnsim.models.terms import Term
from gnsim.state import Trajectory
from gnsim.training.checkpoint import load, save
from gnsim.training.config import TrainingConfig

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}

#: nothing larger is built from a file
WIDEST = 4096
MOST_BODIES = 1_000_000


def untrained(
    train: Trajectory, config: TrainingConfig, structure: Structure, seed: int
) -> CoupledPairs:
    """A model for these bodies and attributes, with weights drawn from `seed`."""
    bodies = train.num_nodes // train.num_systems
    names = tuple(sorted(name for name, value in train.attributes.items() if varies(value)))
    generator = torch.Generator().manual_seed(seed)
    network = RadialNetwork(names, config.hidden, generator)
    return _in_precision(CoupledPairs(network, structure, bodies), config.precision)


def blueprint(model: CoupledPairs) -> dict[str, Any]:
    """What `load_model` needs to build the same architecture again."""
    network = model.pair
    if not isinstance(network, RadialNetwork):
        raise TypeError(f"only a RadialNetwork has a plan, found a {type(network).__name__}")
    return {
        "attributes": list(network.attributes),
        "hidden": network.hidden,
        "structure": written(model.structure),
        "bodies": model.bodies,
        "precision": str(model.x.dtype).removeprefix("torch."),
    }


def save_model(path: Path, model: CoupledPairs, facts: Mapping[str, Any]) -> Path:
    """Writes the model, with `facts` about it (what JSON holds) in the header.

    Raises:
        NonFiniteError: a weight is not finite.
    """
    return save(path, model_tensors(model), {**facts, "model": blueprint(model)})


def load_model(path: Path) -> tuple[CoupledPairs, Mapping[str, Any]]:
    """The model of a checkpoint or of ``model.ckpt``, and the header that came with it.

    Raises:
        DamagedCheckpointError: the file is damaged or no checkpoint.
        InputError: it is a checkpoint, but not of a pair model.
    """
    checkpoint = load(path)
    try:
        model = _built(checkpoint.header["model"])
        model.load_state_dict(model_part(checkpoint.tensors))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: header: wanted the plan and the weights of a pair model, found "
            f"{type(error).__name__} {error}; name a model.ckpt that gnsim train wrote"
        ) from error
    return model, checkpoint.header


def model_tensors(model: torch.nn.Module, prefix: str = "model") -> dict[str, Tensor]:
    """Weights and buffers by name, copied."""
    return {f"{prefix}.{name}": value.clone() for name, value in model.state_dict().items()}


def model_part(tensors: Mapping[str, Tensor], prefix: str = "model") -> dict[str, Tensor]:
    """What `model_tensors` put there, as a state of the model."""
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }


def _built(plan: Mapping[str, Any]) -> CoupledPairs:
    """The architecture of a plan from anywhere: nothing large is built unchecked."""
    attributes = tuple(plan["attributes"])
    if not all(isinstance(name, str) and name.isidentifier() for name in attributes):
        raise ValueError("attributes that are no names")
    hidden = whole(plan["hidden"], "hidden", WIDEST)
    bodies = whole(plan["bodies"], "bodies", MOST_BODIES)
    network = RadialNetwork(attributes, hidden, torch.Generator())
    structure = read_structure(plan["structure"])
    return _in_precision(CoupledPairs(network, structure, bodies), plan["precision"])


def _in_precision(model: CoupledPairs, precision: str) -> CoupledPairs:
    """The numbers of mechanics in `precision`; the layers of the network in single.

    What a network gets wrong is far above its rounding, and in double it takes twice the time.
    """
    model = model.to(PRECISIONS[precision])
    for layer in (m for m in model.modules() if isinstance(m, torch.nn.Linear)):
        layer.float()
    return model


def written(structure: Structure) -> dict[str, Any]:
    """A structure as JSON holds it."""
    return {
        "coupling": structure.coupling,
        "terms": [[term.kind, term.dim, term.weight] for term in structure.terms],
    }


def read_structure(written: Mapping[str, Any]) -> Structure:
    """What `written` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    return Structure(str(written["coupling"]), tuple(Term(*term) for term in written["terms"]))


def whole(value: Any, name: str, most: int, least: int = 1) -> int:
    """A size from a file. Raises ValueError where it is none, or not from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} = {value!r}, not a whole number from {least} to {most}")
    return value


def varies(value: Tensor) -> bool:
    """Whether an attribute tells one body from another."""
    return bool((value != value[0]).any())
