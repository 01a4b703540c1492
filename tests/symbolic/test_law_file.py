import dataclasses
import json
import random

import pytest

from gnsim.symbolic.law import Law
from tests.symbolic.test_law import newton


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "law.json"
    newton(metadata={"seed": 3}).save(path)
    return path


def test_round_trip_is_exact(saved):
    assert Law.load(saved) == newton(metadata={"seed": 3})


def test_numbers_in_the_force_keep_their_last_bit(tmp_path):
    one = Law("0.1234567890123456789*r**-2.000000000000001", {}, 2)
    one.save(tmp_path / "law.json")
    assert Law.load(tmp_path / "law.json") == one


def test_a_law_with_nan_is_not_written_over_a_good_one(saved):
    before = saved.read_bytes()
    with pytest.raises(ValueError, match="must be finite"):
        dataclasses.replace(newton(), loss=float("nan")).save(saved)
    assert saved.read_bytes() == before


CHANGES = [
    ("format", "pickle"),
    ("schema", 2),
    ("schema", True),
    ("force", "__import__('os').system('touch /tmp/owned')"),
    ("force", "().__class__"),
    ("force", "G*mass_i*mass_j/r**9**9**9"),
    ("force", "G*mass_i*mass_j/r**2 + unknown"),
    ("force", 3),
    ("force", None),
    ("dim", 0),
    ("dim", 2.5),
    ("dim", "3"),
    ("units", {"length": 3}),
    ("units", {"colour": "red"}),
    ("units", []),
    ("constants", []),
    ("constants", {}),
    ("constants", {"G": 1.0}),
    ("constants", {"G": {"value": "1"}}),
    ("constants", {"G": {"value": 1e999}}),
    ("constants", {"G": {"value": True}}),
    ("constants", {"G": {"value": 10**400}}),
    ("constants", {"G": {"value": 1.0, "stderr": "big"}}),
    ("constants", {"G": {"value": 1.0}, "r": {"value": 1.0}}),
    ("constants", {"G": {"value": 1.0}, "x y": {"value": 1.0}}),
    ("hidden", {"mass": {"values": [1.0], "stderr": [], "names": ["a"]}}),
    ("hidden", {"mass": {"values": "1", "stderr": [], "names": []}}),
    ("hidden", {"mass": None}),
    ("complexity", -1),
    ("loss", "small"),
    ("verdict", {"verified": "yes", "status": "verified", "reasons": []}),
    ("verdict", {"verified": True, "status": "candidate", "reasons": []}),
    ("verdict", {"verified": True, "status": "verified", "reasons": "none"}),
    ("metadata", 4),
    ("metadata", {"attributes": "mass"}),
    ("metadata", {"attributes": [3]}),
    ("metadata", {"box": 2.0}),
    ("metadata", {"box": [2.0]}),
    ("metadata", {"bonds": [[0, 1]]}),
    ("metadata", {"bonds": [[0, 1], [1]]}),
    ("metadata", {"bonds": [[0, -1], [1, 2]]}),
]


@pytest.mark.parametrize(("field", "value"), CHANGES)
def test_a_wrong_field_is_named_in_one_line(saved, field, value):
    content = json.loads(saved.read_text())
    content[field] = value
    saved.write_text(json.dumps(content))
    with pytest.raises(ValueError) as refused:
        Law.load(saved)
    message = str(refused.value)
    assert "\n" not in message and "law.json" in message and "expected" in message
    assert "found" in message and message.endswith("run the discovery again")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"{} x"])
def test_what_is_no_json_object_is_refused(saved, text):
    saved.write_bytes(text)
    with pytest.raises(ValueError, match=r"law\.json"):
        Law.load(saved)


def test_damaged_files_end_in_a_value_error_only(saved):
    whole = saved.read_bytes()
    chance = random.Random(1)
    for _ in range(300):
        damaged = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
        for _ in range(chance.randrange(3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        saved.write_bytes(damaged)
        try:
            Law.load(saved)
        except ValueError:
            continue


def test_a_missing_file_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match="check the path"):
        Law.load(tmp_path / "nothing.json")
