"""GNS's pickled files: read on request alone, for their arrays alone, and never run."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnsim.cli import run
from gnsim.datasets import DataError, read, read_pickled
from gnsim.errors import ExitCode

METADATA = {"dt": 0.0025, "dim": 2, "bounds": [[0.1, 0.9], [0.1, 0.8]], "sequence_length": 6}
METADATA |= {"default_connectivity_radius": 0.015}


def row(bodies: int = 3, frames: int = 6, types=None, *more) -> tuple:
    q = np.random.default_rng(bodies).uniform(0.1, 0.9, (frames, bodies, 2))
    return q, np.array([3, *[6] * (bodies - 1)]) if types is None else types, *more


def objects(items) -> np.ndarray:
    array = np.empty(len(items), object)
    for place, item in enumerate(items):
        array[place] = item
    return array


def put(folder: Path, **arrays) -> Path:
    (folder / "metadata.json").write_text(json.dumps(METADATA))
    np.savez_compressed(folder / "train.npz", **arrays)
    return folder / "train.npz"


ONE, TWO = row(3), row(4)


@pytest.mark.parametrize(
    "arrays",
    [
        {"simulation_trajectory_0": objects(ONE), "simulation_trajectory_1": objects(TWO)},
        {"gns_data": objects([ONE, TWO])},
        {"gns_data": np.array([ONE, TWO], dtype=object)},
    ],
    ids=["an array each", "one array of tuples", "one table"],
)
def test_both_layouts_are_read_with_times_walls_and_kinematic_bodies(arrays, tmp_path):
    found = read_pickled(put(tmp_path, **arrays))
    assert found.t.tolist() == (0.0025 * np.arange(6)).tolist()
    assert found.batch.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert np.array_equal(found.q.numpy(), np.concatenate([ONE[0], TWO[0]], axis=1))
    assert found.attributes["particle_type"].tolist() == [3, 6, 6, 3, 6, 6, 6]
    assert found.attributes["fixed"].tolist() == [1, 0, 0, 1, 0, 0, 0]
    assert found.walls.tolist() == [[0.1, 0.1], [0.9, 0.8]]


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("types", [np.array([6, 3]), 5, np.int64(6)], ids=["array", "int", "numpy"])
def test_pickles_of_old_numpy_and_other_arrays_are_understood(protocol, types, tmp_path):
    q = np.asfortranarray(row(2)[0]).astype(">f4")
    content = pickle.dumps(objects([q, types, np.array([[0.3], [0.4]])]), protocol)
    old = content.replace(b"numpy._core", b"numpy.core") if protocol == 3 else content
    found = read_pickled(archive_of(tmp_path, old))
    assert np.array_equal(found.q.numpy(), q)
    assert found.attributes["particle_type"].tolist() == np.broadcast_to(types, 2).tolist()
    assert found.attributes["material_property"].tolist() == [0.3, 0.4]


def archive_of(folder: Path, pickled: bytes) -> Path:
    """One array of objects, of whatever bytes."""
    stream = io.BytesIO()
    head = {"descr": "|O", "fortran_order": False, "shape": (2,)}
    np.lib.format.write_array_header_1_0(stream, head)
    file = put(folder)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("simulation_trajectory_0.npy", stream.getvalue() + pickled)
    return file


class Calls:
    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def pickled_row(*items) -> bytes:
    return pickle.dumps(objects(items), 4)


LOOP: list = []
LOOP.append(LOOP)
HOSTILE = {
    "system": (pickled_row(*ONE, Calls(os.system, "touch sprung")), "the name 'posix system'"),
    "eval": (pickled_row(ONE[0], Calls(eval, "open('sprung', 'w')")), "'builtins eval'"),
    "nested": (pickled_row(ONE[0], ([Calls(os.mkdir, "sprung")],)), "'posix mkdir'"),
    "alone": (pickle.dumps(Calls(os.mkdir, "sprung")), "'posix mkdir'"),
    "old protocol": (pickle.dumps(objects([Calls(os.mkdir, "sprung")]), 0), "operation"),
    "instance": (b"(S'touch sprung'\nios\nsystem\n.", "operation STRING"),
    "in numpy": (pickled_row(ONE[0], Calls(np.load, "x.npy")), "'numpy load'"),
    "huge array": (pickled_row(ONE[0], Calls(np.ndarray, (10**15,))), "ndarray"),
    "huge type": (pickled_row(ONE[0], np.array("x" * 9)), "the type <U9"),
    "records": (pickled_row(ONE[0], np.zeros(3, dtype=[("a", float)])), "EMPTY_DICT"),
    "itself": (pickled_row(ONE[0], LOOP), "no array of numbers"),
    "text": (pickled_row(ONE[0], "abc"), "no array of numbers"),
    "four entries": (pickled_row(*ONE, *ONE), "4 entries"),
    "far memo": (b"K\x01r\xff\xff\xff\x7f.", "no array of objects"),
    "bytes that are not there": (b"\x8e" + (2**40).to_bytes(8, "little") + b".", "expected"),
    "state of a number": (b"K\x01K\x02b.", "a state of what is no array"),
    "nothing": (b".", "array"),
    "no end": (b"K\x01", "pickle exhausted"),
    "endless": (b"]" * 200_001 + b".", "more than 200000 operations"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_array_is_refused_in_a_line_and_not_run(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, words = HOSTILE[case]
    with pytest.raises(DataError) as caught:
        read_pickled(archive_of(tmp_path, content))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metadata.json", "train.npz"]


WHOLE = pickled_row(*ONE)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    places=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
    kept=st.integers(len(WHOLE) // 2, len(WHOLE)),
)
def test_damaged_pickles_raise_nothing_else(places, kept, tmp_path):
    content = bytearray(WHOLE)
    for place, value in places:
        content[place] = value
    file = archive_of(tmp_path, bytes(content[:kept]))
    try:
        read_pickled(file)
    except DataError as fault:
        assert str(fault).isprintable()


def test_lengths_and_metadata_that_do_not_fit_are_told(tmp_path):
    file = put(tmp_path, a=objects(row(3, 6)), b=objects(row(3, 5)))
    with pytest.raises(DataError, match=r"b/time: found 5 other times.*cut or resample"):
        read_pickled(file)
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(DataError, match=r"metadata\.json: dt: found nothing"):
        read_pickled(file)
    np.savez(file, q=np.ones((3, 2, 2)))
    (tmp_path / "metadata.json").write_text('{"dt": 1}')
    with pytest.raises(DataError, match=r"not pickled.*leave out --pickled"):
        read_pickled(file)


def test_test_files_have_the_metadata_of_rollouts(tmp_path):
    file = put(tmp_path, a=objects(ONE))
    apart = {"train": METADATA, "rollout": METADATA | {"dt": 0.5}}
    (tmp_path / "metadata.json").write_text(json.dumps(apart))
    file.with_name("test.npz").write_bytes(file.read_bytes())
    steps = [float(read_pickled(tmp_path / name).t[1]) for name in ("train.npz", "test.npz")]
    assert steps == [0.0025, 0.5]


def test_conversion_is_asked_for_by_a_flag_that_the_refusal_names(tmp_path, capsys):
    file, out = put(tmp_path, a=objects(ONE), b=objects(TWO)), tmp_path / "train.h5"
    command = ["data", "convert", str(file), "--out", str(out)]
    with pytest.raises(DataError, match="gnsim data convert --pickled"):
        read(file)
    assert run(command) == ExitCode.BAD_INPUT
    assert not out.exists()
    assert run([*command, "--pickled"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert read(out).attributes["fixed"].tolist() == [1, 0, 0, 1, 0, 0, 0]
    assert run([*command, "--pickled"]) == ExitCode.BAD_INPUT
    assert "exists" in capsys.readouterr().err
