"""Whether the arrays of a file fit together: presence, kind and shape."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TypeAlias

import h5py
import numpy as np

from gnsim.datasets.findings import Finding, error, printable
from gnsim.datasets.raw import UNITS

#: most characters of a name of a body or a unit
LONGEST = 200
_UNITS = frozenset(f"units_{part}" for part in UNITS)
SPECIAL = _UNITS | {"t", "q", "v", "names", "box", "walls", "bonds"}

#: in memory, or still in a file
Array: TypeAlias = np.ndarray | h5py.Dataset
Arrays = Mapping[str, Array]
Spelling = Callable[[str], str]


def attributes_of(arrays: Arrays) -> list[str]:
    """Names of the arrays that hold one number per body."""
    return sorted(set(arrays) - SPECIAL)


def refuse_reserved(attributes: Iterable[str], reserved: Iterable[str]) -> None:
    """Raise ValueError for an attribute that would be written over an array of that name."""
    for name in sorted(set(attributes) & set(reserved)):
        raise ValueError(
            f"attribute '{name}': wanted a name that the format does not use itself, found one "
            "that it does; rename the attribute"
        )


def structure(arrays: Arrays, axes: Mapping[int, str], spelled: Spelling) -> list[Finding]:
    """Errors of presence, kind and shape.

    In t, q, v, names, box, walls, bonds, units_* and other arrays. `axes` says which numbers of
    axes q may have, and what they are called.
    """
    findings = [*_missing(arrays, spelled), *_kinds(arrays, spelled)]
    if findings:
        return findings
    q = arrays["q"]
    if q.ndim not in axes or q.shape[-1] == 0:
        wanted = " or ".join(f"[{names}]" for names in axes.values())
        found = f"{q.ndim} axes {q.shape}"
        return [error(spelled("q"), found, wanted, "reshape or transpose the array")]
    return [
        *_transposed(arrays, axes[q.ndim], spelled),
        *_shapes(arrays, spelled),
        *_words(arrays, spelled),
    ]


def _missing(arrays: Arrays, spelled: Spelling) -> Iterable[Finding]:
    meaning = {"q": "positions", "t": "times, one per frame"}
    for name in ("q", "t"):
        if name not in arrays:
            there = ", ".join(printable(spelled(n)) for n in sorted(arrays)) or "nothing"
            wanted = f"an array '{spelled(name)}' of {meaning[name]}"
            rename = get_close_matches(name, arrays, n=1, cutoff=0.5)
            remedy = "add it or rename the array that holds them"
            remedy += f" (perhaps '{printable(rename[0])}')" if rename else ""
            yield error(spelled(name), f"only {there}", wanted, remedy)


def _kinds(arrays: Arrays, spelled: Spelling) -> Iterable[Finding]:
    for name, array in arrays.items():
        words = name == "names" or name in _UNITS
        kinds = "US" if words else "iu" if name == "bonds" else "fiub"
        if array.dtype.kind not in kinds:
            wanted = {"US": "strings", "iu": "whole numbers"}.get(kinds, "real numbers")
            yield error(spelled(name), f"type {array.dtype}", wanted, "convert or drop the array")
    for name in attributes_of(arrays):
        if not name.isidentifier() or not name.isascii() or len(name) > 64:
            wanted = "a plain name of at most 64 letters, digits and _"
            yield error(printable(name)[:64], "an odd name", wanted, "rename the array")


def _transposed(arrays: Arrays, axes: str, spelled: Spelling) -> Iterable[Finding]:
    """An axis of q as long as t, which stands where time does not belong."""
    shape, length = arrays["q"].shape, arrays["t"].size
    if arrays["t"].ndim == 1 and length != shape[-3] and length in shape:
        q, t = spelled("q"), spelled("t")
        found = f"shape {shape}, whose axis {shape.index(length)} is as long as '{t}'"
        remedy = "transpose the array, and all others like it"
        yield error(q, found, f"[{axes}] with time before the bodies", remedy)


def _shapes(arrays: Arrays, spelled: Spelling) -> Iterable[Finding]:
    shape = arrays["q"].shape
    lead, (frames, bodies, dim) = shape[:-3], shape[-3:]
    per_body = [(bodies,)] + ([(*lead, bodies)] if lead else [])
    wanted = {"t": [(frames,)], "v": [shape], "box": [(dim,)], "walls": [(2, dim)]}
    wanted["names"] = per_body
    wanted |= {name: per_body for name in attributes_of(arrays)}
    wanted |= {name: [()] for name in _UNITS}
    # as an edge_index, but of places in a system
    wanted["bonds"] = [(2, arrays["bonds"].size // 2)] if "bonds" in arrays else []
    for name, array in arrays.items():
        if name != "q" and array.shape not in wanted[name]:
            shapes = " or ".join(str(s) for s in wanted[name])
            expected = f"shape {shapes}, as '{spelled('q')}' has shape {shape}"
            found = f"shape {array.shape}"
            yield error(spelled(name), found, expected, "make the lengths agree or drop the array")


def _words(arrays: Arrays, spelled: Spelling) -> Iterable[Finding]:
    for name in sorted(_UNITS | {"names"}):
        if name in arrays:
            for index, word in enumerate(strings(arrays[name])):
                if len(word) > LONGEST or not word.isprintable():
                    wanted = f"at most {LONGEST} printable characters"
                    found = f"{len(word)} characters or an unprintable one"
                    yield error(spelled(name), found, wanted, "shorten the text", f"entry {index}")
                    break


def strings(array: np.ndarray) -> list[str]:
    """The entries of an array of text or of UTF-8 bytes; bytes that are neither become U+FFFD."""
    flat = array.reshape(-1).tolist()
    return [x.decode("utf-8", "replace") if isinstance(x, bytes) else x for x in flat]
