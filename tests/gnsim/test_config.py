"""Settings: what is read, what is refused, and in which words."""

from dataclasses import FrozenInstanceError, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest

from gnsim.config import as_mapping, did_you_mean, load_yaml, parse_settings, save_yaml
from gnsim.errors import InputError


class Shape(Enum):
    disc = "d"
    ball = "b"


@dataclass(frozen=True)
class Optimiser:
    lr: float = 1e-3
    steps: int = 10

    def __post_init__(self):
        if self.lr <= 0:
            raise ValueError(f"lr: wanted a number above zero, found {self.lr}")


@dataclass(frozen=True)
class Example:
    seed: int = 0
    name: str = "x"
    train: bool = True
    limit: float | None = None
    widths: tuple[int, ...] = (3, 4)
    couplings: list[float] = field(default_factory=list)
    shape: Shape = Shape.disc
    integrator: Literal["leapfrog", "rk4"] = "leapfrog"
    out: Path = Path("runs")
    constants: dict[str, float] = field(default_factory=dict)
    optimiser: Optimiser = Optimiser()


@dataclass(frozen=True)
class Required:
    source: str
    seed: int = 0


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("seed=3", "seed", 3),
        ("name=yes", "name", "yes"),  # YAML would make True of it
        ("name=007", "name", "007"),
        ("name=a=b", "name", "a=b"),
        ("train=off", "train", False),
        ("limit=1e-3", "limit", 1e-3),
        ("limit=null", "limit", None),
        ("widths=[1, 2]", "widths", (1, 2)),
        ("couplings=[1e-3, 2]", "couplings", [1e-3, 2.0]),
        ("shape=ball", "shape", Shape.ball),
        ("integrator=rk4", "integrator", "rk4"),
        ("out=/a/b", "out", Path("/a/b")),
        ("constants.k=2", "constants", {"k": 2.0}),
        ("constants={k: 2}", "constants", {"k": 2.0}),
        ("optimiser.lr=.5", "optimiser", Optimiser(lr=0.5)),
        ("optimiser={lr: .5, steps: 2}", "optimiser", Optimiser(0.5, 2)),
    ],
)
def test_a_setting_is_read_by_the_type_of_its_field(setting, key, value):
    parsed = getattr(parse_settings(Example, [setting]), key)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sed=3", "'sed' is unknown; did you mean 'seed'?"),
        ("optimizer.lr=1", "did you mean 'optimiser.lr'"),
        ("training.steps=5", "'training.steps' is unknown; did you mean 'optimiser.steps'?"),
        ("optimiser.lr.x=1", "'optimiser.lr.x' is unknown"),
        ("optimiser={lrr: 2}", "'optimiser.lrr' is unknown"),
        ("zzz=1", "there are: constants, couplings,"),
        ("seed=x", "'seed': wanted int, found 'x'"),
        ("seed=1.5", "'seed': wanted int, found '1.5'"),
        ("seed=null", "'seed': wanted int, found None"),
        ("seed=", "'seed': wanted int, found ''"),
        ("optimiser=3", "'optimiser': wanted Optimiser"),
        ("train=maybe", "'train': wanted bool"),
        ("shape=cube", "wanted one of disc, ball, found 'cube'"),
        ("integrator=euler", "'leapfrog', 'rk4'"),
        ("widths=[a]", "'widths': wanted Tuple[int, ...]"),
        ("couplings=[1,", "no list or mapping"),
        ("couplings=[&a 1, *a]", "no list or mapping"),
        ("name=${oc.env:HOME}", "write the value itself"),
        ("couplings=['${seed}']", "write the value itself"),
        ("seed", "written as key=value"),
        ("=3", "written as key=value"),
        ("optimiser.lr=-1", "lr: wanted a number above zero"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(setting, words):
    with pytest.raises(ValueError) as caught:
        parse_settings(Example, [setting])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_defaults_stay_and_the_result_is_as_frozen_as_its_class():
    parsed = parse_settings(Example, ["seed=1"])
    assert parsed == Example(seed=1)
    with pytest.raises(FrozenInstanceError):
        parsed.seed = 2


def test_what_has_no_default_is_asked_for():
    with pytest.raises(InputError, match="'source' has no default; give it as source=VALUE"):
        parse_settings(Required, ["seed=1"])
    assert parse_settings(Required, ["source=a"]) == Required("a")


def test_yaml_gives_back_what_was_saved(tmp_path):
    config = parse_settings(
        Example, ["shape=ball", "out=/a/b", "name=yes", "constants.k=1e-30", "widths=[7]"]
    )
    assert load_yaml(Example, save_yaml(config, tmp_path / "config.yaml")) == config


def test_the_command_line_goes_over_the_file(tmp_path):
    path = save_yaml(Example(seed=1, name="file"), tmp_path / "config.yaml")
    assert parse_settings(Example, ["seed=2"], file=path) == Example(seed=2, name="file")


def test_a_mapping_is_plain_and_complete():
    mapping = as_mapping(Example(shape=Shape.ball))
    assert mapping["shape"] == "ball"
    assert mapping["out"] == "runs"
    assert mapping["optimiser"] == {"lr": 1e-3, "steps": 10}


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("seed: [", "no YAML"),
        ("- 1\n- 2\n", "wanted 'key: value' lines"),
        ("out: !!python/object/apply:os.system ['true']\n", "no YAML"),
        (BOMB, "aliases"),
        ("[" * 100_000, "no YAML"),
        ("x" * (1 << 21), "larger than"),
        ("sed: 1\n", "did you mean 'seed'"),
        ("optimiser:\n  lrr: 1\n", "'optimiser.lrr' is unknown"),
        ("name: ${oc.env:HOME}\n", "write the value itself"),
        (b"name: \xff\xfe\n", "no YAML"),
    ],
)
def test_a_hostile_or_wrong_file_is_refused_by_name(tmp_path, content, words):
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        parse_settings(Example, file=path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Parts:
    early: Optimiser = Optimiser()
    late: Optimiser = Optimiser()


@pytest.mark.parametrize("typed", ["lade.steps", "latte.steps", "lat.steps"])
def test_of_the_same_key_in_several_parts_the_nearest_is_named_first(typed):
    with pytest.raises(InputError) as refused:
        parse_settings(Parts, [f"{typed}=1"])
    assert "did you mean 'late.steps' or 'early.steps'?" in str(refused.value)


def test_did_you_mean_names_all_where_none_is_near():
    assert did_you_mean("spirng", ["spring", "charge"]) == "did you mean 'spring'?"
    assert did_you_mean("zzz", ["b", "a"]) == "there are: a, b"
