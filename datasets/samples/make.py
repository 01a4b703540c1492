"""Makes samples anew, with their engines: ``python -m gnsim.datasets.samples.make NAME ...``."""

import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnsim.atomic import write_atomic
from gnsim.datasets.loading import SOURCES
from gnsim.datasets.npz import write_npz
from gnsim.datasets.raw import from_trajectory
from gnsim.datasets.samples import POSITIONS, SAMPLES
from gnsim.datasets.settings import unknown
from gnsim.state import Trajectory


def made(name: str, **changed: Any) -> Trajectory:
    """The trajectories of a sample from its engine, with some settings `changed`."""
    source = SOURCES.get(name)
    if name not in SAMPLES or source is None or source.whole is None:
        raise unknown("sample", name, SAMPLES)
    path = source.whole(source.settings(**{**SAMPLES[name], **changed}))
    return replace(path, velocity_given=name not in POSITIONS)


def compressed(path: Trajectory) -> bytes:
    """As an .npz file in single precision, but for the times."""
    plain, packed = BytesIO(), BytesIO()
    write_npz(plain, from_trajectory(replace(path.to(torch.float32), t=path.t)))
    plain.seek(0)
    np.savez_compressed(packed, allow_pickle=False, **np.load(plain, allow_pickle=False))
    return packed.getvalue()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(write_atomic(Path(__file__).with_name(f"{name}.npz"), compressed(made(name))))
