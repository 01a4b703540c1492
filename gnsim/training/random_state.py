"""Every random state of the process as tensors, so that a checkpoint can hold and restore it."""

import random
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def random_states(generators: Mapping[str, torch.Generator] | None = None) -> dict[str, Tensor]:
    """States of the global generators of torch (CPU, GPUs), numpy, Python, and of `generators`."""
    states = {"random.torch": torch.get_rng_state(), **_python(), **_numpy()}
    for device in range(_gpus()):
        states[f"random.cuda.{device}"] = torch.cuda.get_rng_state(device)
    for name, generator in (generators or {}).items():
        states[f"random.generator.{name}"] = generator.get_state()
    return states


def restore_random_states(
    states: Mapping[str, Tensor], generators: Mapping[str, torch.Generator] | None = None
) -> None:
    """Put back what `random_states` took. Raises ValueError where a state is missing."""
    wanted = ["torch", "python", "python_gauss", "numpy", "numpy_gauss"]
    wanted += [f"generator.{name}" for name in generators or {}]
    for name in wanted:
        if f"random.{name}" not in states:
            raise ValueError(f"checkpoint: no random state '{name}'; start the run anew")
    torch.set_rng_state(states["random.torch"])
    _restore_python(states)
    _restore_numpy(states)
    for device in range(_gpus()):
        if f"random.cuda.{device}" in states:
            torch.cuda.set_rng_state(states[f"random.cuda.{device}"], device)
    for name, generator in (generators or {}).items():
        generator.set_state(states[f"random.generator.{name}"])


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _python() -> dict[str, Tensor]:
    _, words, gauss = random.getstate()
    spare = [0.0, 0.0] if gauss is None else [1.0, gauss]
    return {
        "random.python": torch.tensor(words, dtype=torch.int64),
        "random.python_gauss": torch.tensor(spare, dtype=torch.float64),
    }


def _restore_python(states: Mapping[str, Tensor]) -> None:
    words = tuple(states["random.python"].tolist())
    has_gauss, gauss = states["random.python_gauss"].tolist()
    random.setstate((3, words, gauss if has_gauss else None))


def _numpy() -> dict[str, Tensor]:
    _, words, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "random.numpy": torch.tensor([*map(int, words), position], dtype=torch.int64),
        "random.numpy_gauss": torch.tensor([has_gauss, gauss], dtype=torch.float64),
    }


def _restore_numpy(states: Mapping[str, Tensor]) -> None:
    *words, position = states["random.numpy"].tolist()
    has_gauss, gauss = states["random.numpy_gauss"].tolist()
    np.random.set_state(
        ("MT19937", np.array(words, dtype=np.uint32), position, int(has_gauss), gauss)
    )
