"""Typed settings: a dataclass says what there is, ``key=value`` and YAML say what is wanted.

The dataclasses live next to what they configure; nothing here knows any of them.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, TypeVar, get_args

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gnsim.atomic import write_atomic
from gnsim.errors import InputError

Config = TypeVar("Config")

_MAX_YAML_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    """The safe loader without aliases, by which a short file could expand without bound."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value out")
        return super().compose_node(parent, index)


def parse_settings(
    kind: type[Config], settings: Sequence[str] = (), file: str | os.PathLike[str] | None = None
) -> Config:
    """A `kind` (a dataclass) from its defaults, then a YAML `file`, then ``key=value`` settings.

    Nested keys have dots (``optimiser.lr=1e-3``); lists and mappings are written as in YAML.
    Raises InputError, a ValueError, for an unknown key (naming the nearest ones), a value of
    another type, a missing value, and whatever ValueError `kind` itself raises.
    """
    tree: DictConfig = OmegaConf.structured(kind)
    _thaw(tree)
    assignments = [] if file is None else list(_from_file(Path(file)))
    for where, key, value in [*assignments, *map(_from_setting, settings)]:
        _assign(tree, key, value, where)
    if missing := sorted(OmegaConf.missing_keys(tree)):
        raise InputError(f"setting '{missing[0]}' has no default; give it as {missing[0]}=VALUE")
    return _instance(tree)


def load_yaml(kind: type[Config], path: str | os.PathLike[str]) -> Config:
    """A `kind` as `save_yaml` wrote it. Raises InputError as `parse_settings` does."""
    return parse_settings(kind, file=path)


def save_yaml(config: Any, path: str | os.PathLike[str]) -> Path:
    """Write a configuration (an instance of a dataclass), every default resolved, as YAML."""
    return write_atomic(path, yaml.safe_dump(as_mapping(config), sort_keys=False))


def as_mapping(config: Any) -> dict[str, Any]:
    """A configuration as plain, JSON-able numbers, strings, lists and mappings."""
    return _plain(OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause with the nearest of the `known` names, or with all of them where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    return _meant(near) if near else f"there are: {', '.join(names) or 'none'}"


def _meant(near: Iterable[str]) -> str:
    return "did you mean " + " or ".join(f"'{match}'" for match in near) + "?"


def _from_setting(setting: str) -> tuple[str, str, Any]:
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise InputError(f"'{setting}' is no setting; settings are written as key=value")
    return f"setting '{key.strip()}'", key.strip(), _value(value.strip(), setting)


def _value(text: str, setting: str) -> Any:
    """Scalars stay text, which the type of the field reads; lists and mappings are YAML."""
    if text in ("null", "None"):
        return None
    if not text.startswith(("[", "{")):
        return text
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"'{setting}': no list or mapping as YAML writes them") from error


def _from_file(path: Path) -> Iterator[tuple[str, str, Any]]:
    if path.stat().st_size > _MAX_YAML_BYTES:
        raise InputError(f"{path}: larger than {_MAX_YAML_BYTES} bytes, so no settings file")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{path}: wanted 'key: value' lines, found a {type(content).__name__}")
    for key, value in (content or {}).items():
        yield f"{path}: setting '{key}'", str(key), value


def _assign(tree: DictConfig, key: str, value: Any, where: str) -> None:
    _require_known(tree, key, where)
    if isinstance(value, dict) and isinstance(OmegaConf.select(tree, key), DictConfig):
        nested = f"{where.rpartition(chr(39))[0]}."
        for name, inner in value.items():
            _assign(tree, f"{key}.{name}", inner, f"{nested}{name}'")
        return
    if "${" in str(value):
        raise InputError(f"{where}: '{value}' refers to other values; write the value itself")
    try:
        OmegaConf.update(tree, key, value, merge=False)
    except OmegaConfBaseException as error:
        found = f"found {value!r}"
        raise InputError(f"{where}: wanted {_wanted(tree, key)}, {found}") from error


def _wanted(tree: DictConfig, key: str) -> str:
    parent, _, name = key.rpartition(".")
    container = OmegaConf.select(tree, parent) if parent else tree
    node = container._get_node(name)
    kind = (container if node is None else node)._metadata.ref_type
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(kind.__members__)}"
    plain = isinstance(kind, type) and not get_args(kind)
    return kind.__name__ if plain else str(kind).replace("typing.", "")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, PurePath) else value


def _thaw(tree: DictConfig) -> None:
    """Frozen dataclasses make read-only nodes; the instance that comes out is frozen again."""
    OmegaConf.set_readonly(tree, False)
    for name in tree:
        node = tree._get_node(name)
        if isinstance(node, DictConfig):
            _thaw(node)


def _require_known(tree: DictConfig, key: str, where: str) -> None:
    known = list(_keys(tree))
    parents = {name.rpartition(".")[0] for name in known}
    if key not in known and key not in parents and not _is_free(tree, key):
        leaf = key.rpartition(".")[2]
        elsewhere = [name for name in known if name.rpartition(".")[2] == leaf]
        near = difflib.get_close_matches(key, elsewhere, n=2, cutoff=0.0)
        raise InputError(
            f"{where} is unknown; {_meant(near) if near else did_you_mean(key, known)}"
        )


def _is_free(tree: DictConfig, key: str) -> bool:
    """Whether `key` is an entry of a plain mapping, whose keys are the user's own."""
    parent = key.rpartition(".")[0]
    node = OmegaConf.select(tree, parent) if parent else tree
    return isinstance(node, DictConfig) and not is_dataclass(OmegaConf.get_type(node))


def _keys(tree: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in map(str, tree):
        node = tree._get_node(name)
        if isinstance(node, DictConfig) and is_dataclass(OmegaConf.get_type(node)):
            yield from _keys(node, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _instance(tree: DictConfig) -> Any:
    try:
        return OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise InputError(str(error).splitlines()[0]) from error
