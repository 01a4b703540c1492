"""Checkpoints: one file that is whole, checked and never pickled.

Layout: the line ``gnsim checkpoint 1``, 32 bytes SHA-256 of all that follows, 8 bytes length of
the header (little-endian), the header as JSON, the tensors as safetensors. safetensors alone
does not notice changed bytes, which is what the digest is for.
"""

import hashlib
import json
import os
import platform
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from gnsim.atomic import write_atomic
from gnsim.errors import InputError, NonFiniteError

_MAGIC = b"gnsim checkpoint 1\n"
_DIGEST = hashlib.sha256().digest_size
_LENGTH = struct.Struct("<Q")
_START = len(_MAGIC) + _DIGEST
_MAX_HEADER = 16 << 20
_NUMBERED = re.compile(r"step-(\d{1,18})\.ckpt")
_KEPT = 2


class DamagedCheckpointError(InputError):
    """A file that is no checkpoint, or is one no longer."""


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint was passed over for an earlier one."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file held: `header` as it was saved (with ``versions``), and the tensors by name."""

    header: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def versions() -> dict[str, str]:
    """Versions of what a resumed run must repeat bit for bit."""
    found = {"python": platform.python_version()}
    for name in ("gnsim", "torch", "torch-geometric", "torchdiffeq", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def save(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], header: Mapping[str, Any]
) -> Path:
    """Write a checkpoint, whole or not at all. `header` is what JSON can hold.

    Raises NonFiniteError if a tensor is not finite: to resume from it could only fail.
    """
    return write_atomic(path, _encode(tensors, header))


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read what `save` wrote; the tensors are on the CPU.

    Raises DamagedCheckpointError, a ValueError, if anything in the file is not as it was written.
    """
    content = Path(path).read_bytes()
    try:
        return _decode(content)
    except (ValueError, RecursionError, SafetensorError) as error:
        raise DamagedCheckpointError(
            f"{path}: wanted a whole gnsim checkpoint, found {error}; use an earlier one"
        ) from error


class CheckpointFolder:
    """The checkpoints of one run: the last two, and the best, which may be older."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def best(self) -> Path:
        return self.path / "best.ckpt"

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensor],
        header: Mapping[str, Any],
        best: bool = False,
    ) -> Path:
        """Write the checkpoint of `step`, as the best one too if it is, and drop older ones.

        ``header["step"]`` is set. Later steps on disk, from a run that was resumed before them,
        are dropped as well.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        content = _encode(tensors, {**header, "step": step})
        written = write_atomic(self.path / f"step-{step:09d}.ckpt", content)
        if best:
            write_atomic(self.best, content)
        kept = [path for path in self._numbered() if path <= written][:_KEPT]
        for other in self._numbered():
            if other not in kept:
                other.unlink()
        return written

    def latest(self) -> Checkpoint | None:
        """The last checkpoint that is whole, None where there is none at all.

        Each damaged one is named in a DamagedCheckpointWarning and passed over. Raises
        DamagedCheckpointError if there are checkpoints and none is whole: a run that goes on from
        nothing would overwrite them.
        """
        failures = []
        for path in self._numbered():
            try:
                return load(path)
            except DamagedCheckpointError as error:
                warnings.warn(str(error), DamagedCheckpointWarning, stacklevel=2)
                failures.append(error)
        if failures:
            raise DamagedCheckpointError(
                f"{self.path}: none of {len(failures)} checkpoints is whole; "
                "delete them to start anew"
            ) from failures[-1]
        return None

    def _numbered(self) -> list[Path]:
        """The checkpoints by step, the last first."""
        found = [path for path in self.path.glob("step-*.ckpt") if _NUMBERED.fullmatch(path.name)]
        return sorted(found, key=lambda path: -int(path.stem.removeprefix("step-")))


def _encode(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    for name, tensor in tensors.items():
        _require_finite(name, tensor)
    text = json.dumps({"versions": versions(), **header}, allow_nan=False, sort_keys=True).encode()
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    body = _LENGTH.pack(len(text)) + text + safetensors.torch.save(plain)
    return _MAGIC + hashlib.sha256(body).digest() + body


def _decode(content: bytes) -> Checkpoint:
    if not content.startswith(_MAGIC):
        raise ValueError(f"a file that does not start with {_MAGIC.decode().strip()!r}")
    body = memoryview(content)[_START:]
    if hashlib.sha256(body).digest() != content[len(_MAGIC) : _START]:
        raise ValueError("other bytes than were written (the SHA-256 differs)")
    header, payload = _split(body)
    return Checkpoint(header, safetensors.torch.load(bytes(payload)))


def _split(body: memoryview) -> tuple[dict[str, Any], memoryview]:
    if len(body) < _LENGTH.size:
        raise ValueError("a file without a header")
    (length,) = _LENGTH.unpack(body[: _LENGTH.size])
    if length > min(_MAX_HEADER, len(body) - _LENGTH.size):
        raise ValueError(f"a header of {length} bytes, more than there may be")
    header = json.loads(bytes(body[_LENGTH.size : _LENGTH.size + length]))
    if not isinstance(header, dict):
        raise ValueError("a header that is no mapping")
    return header, body[_LENGTH.size + length :]


def _require_finite(name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise NonFiniteError(
            f"checkpoint not written: {bad} of {tensor.numel()} numbers of '{name}' are not "
            "finite; lower the learning rate, or look for the first such step in the log"
        )


def flatten(tree: Any, prefix: str) -> tuple[dict[str, Tensor], Any]:
    """Take the tensors out of a ``state_dict()``: tensors by name, and the rest as JSON holds it.

    For optimisers and schedulers, whose state mixes tensors, numbers, lists, tuples and mappings
    with integer keys. `unflatten` is the inverse. Raises ValueError for anything else in there.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _skeleton(tree, prefix, tensors)


def _skeleton(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        tensors[path] = tree
        return {"tensor": path}
    if isinstance(tree, Mapping):
        items = [[key, _skeleton(tree[key], f"{path}.{key}", tensors)] for key in tree]
        return {"mapping": items}
    if isinstance(tree, list | tuple):
        inner = [_skeleton(item, f"{path}.{i}", tensors) for i, item in enumerate(tree)]
        return {type(tree).__name__: inner}
    if tree is None or isinstance(tree, bool | int | float | str):
        return {"value": tree}
    raise ValueError(f"{path}: wanted tensors, numbers, text or collections, found {type(tree)}")


def unflatten(skeleton: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The tree that `flatten` took apart. Raises ValueError where the parts do not fit."""
    try:
        return _rebuilt(skeleton, tensors)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"checkpoint: state that does not fit its tensors ({error!r})") from error


def _rebuilt(skeleton: Any, tensors: Mapping[str, Tensor]) -> Any:
    ((kind, content),) = skeleton.items()
    return _REBUILD[kind](content, tensors)


def _each(content: Any, tensors: Mapping[str, Tensor]) -> Iterator[Any]:
    return (_rebuilt(item, tensors) for item in content)


_REBUILD = {
    "tensor": lambda name, tensors: tensors[name],
    "mapping": lambda items, tensors: {key: _rebuilt(item, tensors) for key, item in items},
    "list": lambda items, tensors: list(_each(items, tensors)),
    "tuple": lambda items, tensors: tuple(_each(items, tensors)),
    "value": lambda value, tensors: value,
}
