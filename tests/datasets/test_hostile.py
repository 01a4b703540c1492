"""Files made to harm: refused with one line, without running, allocating or opening anything."""

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnsim.datasets import DataError, check, read, read_pickled


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trap-was-sprung"),))


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(shape: str, descr: str = "<f8") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


GOOD = {"t.npy": npy(np.arange(4.0)), "q.npy": npy(np.random.default_rng(0).random((4, 2, 2)))}
NPZ = {
    "pickle": ({"q.npy": npy(np.array([Trap()], dtype=object))}, "objects"),
    "pickle by name": ({"q.npy": pickle.dumps(Trap())}, "magic"),
    "huge shape": ({"q.npy": header("(1000000000, 100, 3)")}, "declares 2400000000000 bytes"),
    "overflowing shape": ({"q.npy": header("(4294967296, 4294967296, 3)")}, "declares"),
    "negative shape": ({"q.npy": header("(-1, -2, 3)")}, "declares"),
    "records": ({"q.npy": npy(np.zeros(3, dtype=[("a", float)]))}, "records"),
    "code in header": ({"q.npy": header("__import__('os').getcwd()")}, "malformed"),
    "bomb": (
        {"q.npy": header("(25000000, 1, 1)") + bytes(8 * 25_000_000)},
        "bytes declared in a file",
    ),
    "deep name": ({"../../x.npy": npy(np.zeros(2))}, "odd name"),
}


@pytest.mark.parametrize("case", NPZ)
def test_hostile_npz_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    members, word = NPZ[case]
    file = tmp_path / "bad.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**GOOD, **members}.items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match=word):
        read(file)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.npz"]


def test_the_same_archive_without_the_trap_is_read(tmp_path):
    file = tmp_path / "good.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in GOOD.items():
            archive.writestr(name, content)
    assert len(read(file)) == 4


def external_link(group: h5py.Group, folder: Path) -> None:
    group["mass"] = h5py.ExternalLink(str(folder / "secret.h5"), "/mass")


def soft_link(group: h5py.Group, folder: Path) -> None:
    group["mass"] = h5py.SoftLink("/00000/mass")


def external_storage(group: h5py.Group, folder: Path) -> None:
    (folder / "secret.bin").write_bytes(bytes(16))
    group.create_dataset("mass", (2,), "f8", external=[(str(folder / "secret.bin"), 0, 16)])


def virtual(group: h5py.Group, folder: Path) -> None:
    layout = h5py.VirtualLayout((2,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "mass", (2,))
    group.create_virtual_dataset("mass", layout)


def objects(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("mass", data=["a", "b"], dtype=h5py.string_dtype())


def references(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("mass", data=[group.ref, group.ref], dtype=h5py.ref_dtype)


def hollow(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("mass", (2**40,), "f8", chunks=(1024,))


def nested(group: h5py.Group, folder: Path) -> None:
    group["loop"] = group


def stray(group: h5py.Group, folder: Path) -> None:
    group.file["x"] = np.zeros(3)


HDF5 = {
    external_link: "ExternalLink",
    soft_link: "SoftLink",
    external_storage: "other files",
    virtual: "other files",
    objects: "objects",
    references: "objects",
    hollow: "bytes declared",
    nested: "Group",
    stray: "Dataset",
}


@pytest.mark.parametrize("harm", HDF5, ids=lambda harm: harm.__name__)
def test_hostile_hdf5_is_refused(harm, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["mass"] = np.ones(2)
    bad = tmp_path / "bad.h5"
    for spoil in (lambda group, folder: None, harm):
        with h5py.File(bad, "w") as file:
            file["00000/position"] = np.random.default_rng(0).random((4, 2, 2))
            file["00000/time"] = np.arange(4.0)
            spoil(file["00000"], tmp_path)
        if spoil is not harm:
            assert len(read(bad)) == 4
    with pytest.raises(DataError, match=HDF5[harm]):
        read(bad)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[" * 100_000, "values of other types"),
        ('{"dt": -1}', "dt is -1"),
        ('{"dt": "x"}', "dt is 'x'"),
        ('{"dt": 1e999}', "dt is inf"),
        (f'{{"dt": 1{"0" * 400}}}', "dt is 10000"),
        ('{"dt": 1, "write_every": null}', "write_every is None"),
        ('{"dt": 1, "default_connectivity_radius": 0}', "default_connectivity_radius is 0"),
        ('{"dt": 1, "bounds": [[0, 1], [0]]}', r"bounds is \[\[0, 1\], \[0\]\]"),
        ('{"dt": 1, "periodic_boundary_conditions": [true]}', "no bounds"),
        ("[1]", "values of other types"),
        ('{"dt":\n 1,}', "no JSON in line 2"),
        ("\x00", "no JSON in line 1, column 1"),
    ],
)
def test_hostile_metadata_is_refused(content, told, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["00000/position"] = np.random.default_rng(0).random((4, 2, 2))
    (tmp_path / "metadata.json").write_text(content)
    with pytest.raises(DataError, match=rf"metadata\.json: file: (found )?({told})") as caught:
        read(tmp_path / "a.h5")
    assert "Error" not in str(caught.value)


def whole(ending: str) -> bytes:
    stream = io.BytesIO()
    if ending == "npz":
        np.savez_compressed(stream, t=np.arange(4.0), q=np.random.default_rng(0).random((4, 2, 2)))
    else:
        with h5py.File(stream, "w") as file:
            file["00000/position"] = np.random.default_rng(0).random((4, 2, 2))
            file["00000/time"] = np.arange(4.0)
    return stream.getvalue()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ending=st.sampled_from(["npz", "h5"]),
    places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6),
    kept=st.floats(0.1, 1),
)
def test_damage_never_escapes_as_another_exception(ending, places, kept, tmp_path):
    content = bytearray(whole(ending))
    for place, value in places:
        content[int(place * len(content))] = value
    file = tmp_path / f"damaged.{ending}"
    file.write_bytes(content[: int(kept * len(content))])
    report = check(file)
    assert all(line.isprintable() for line in report.lines())
    if report.ok:
        read(file)


def damaged_headers(count: int) -> Iterator[bytes]:
    """Arrays of whose header one to three characters are others."""
    random, sound = np.random.default_rng(0), GOOD["q.npy"]
    for _ in range(count):
        content = bytearray(sound)
        for place in random.integers(8, 80, random.integers(1, 4)):
            content[place] = random.choice(list(b"()[]{}'\"\\,:#0L \t\n\x00\xff"))
        yield bytes(content)


@pytest.mark.filterwarnings("ignore")  # numpy and Python warn of what looks like old headers
@pytest.mark.parametrize("reader", [read, read_pickled])
def test_damage_of_a_header_is_an_error_of_the_file(reader, tmp_path):
    (tmp_path / "metadata.json").write_text('{"dt": 1}')
    refused = 0
    for q in (*damaged_headers(400), header("()")[:-9] + b"}\n", header("(2, ", "'")):
        with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
            for name, content in {"q.npy": q, "t.npy": GOOD["t.npy"]}.items():
                archive.writestr(name, content)
        try:
            reader(tmp_path / "bad.npz")
        except DataError as fault:
            assert str(fault).isprintable()
            refused += 1
    assert refused > 300
