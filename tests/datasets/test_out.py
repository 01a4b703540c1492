"""Files for other programs: VTK for ParaView, and rollouts under LagrangeBench's names."""

from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from gnsim.atomic import write_atomic
from gnsim.cli import run
from gnsim.datasets import write, write_rollouts, write_vtk
from gnsim.errors import ExitCode
from gnsim.state import Trajectory


@pytest.fixture
def water() -> Trajectory:
    """Two systems in the plane, of two and of three bodies of mass 2, in twelve frames."""
    q = torch.randn(12, 5, 2, dtype=torch.float64)
    return Trajectory(
        t=0.1 * torch.arange(12, dtype=torch.float64),
        q=q,
        p=2.0 * q.flip(0),
        batch=torch.tensor([0, 0, 1, 1, 1]),
        attributes={
            "mass": torch.full((5,), 2.0, dtype=torch.float64),
            "particle_type": torch.tensor([0.0, 1, 0, 0, 2], dtype=torch.float64),
        },
    )


def numbers(array: ElementTree.Element) -> np.ndarray:
    """As VTK reads them: the number of bytes, and the bytes."""
    content = b64decode(array.text or "")
    assert int.from_bytes(content[:8], "little") == len(content) - 8
    values = np.frombuffer(content[8:], {"Float64": "<f8", "Int64": "<i8"}[array.attrib["type"]])
    return values.reshape(-1, int(array.attrib["NumberOfComponents"]))


def test_paraview_gets_times_and_the_points_of_each_frame(water, tmp_path):
    """Of several systems each of its own."""
    paths = write_vtk(tmp_path / "water.pvd", water)
    assert [path.name for path in paths] == ["water_0.pvd", "water_1.pvd"]
    water = water.systems(torch.tensor([1]))
    frames = list(ElementTree.parse(paths[1]).getroot()[0])
    assert [float(frame.attrib["timestep"]) for frame in frames] == water.t.tolist()
    root = ElementTree.parse(tmp_path / frames[3].attrib["file"]).getroot()
    arrays = {array.attrib["Name"]: numbers(array) for array in root.iter("DataArray")}
    assert np.array_equal(arrays["Points"], np.pad(water.q[3].numpy(), ((0, 0), (0, 1))))
    assert np.array_equal(arrays["velocity"][:, :2], water.velocity[3].numpy())
    assert arrays["particle_type"][:, 0].tolist() == [0, 0, 2]
    assert arrays["connectivity"][:, 0].tolist() == [0, 1, 2]
    assert arrays["offsets"][:, 0].tolist() == [1, 2, 3]
    assert next(root.iter("Piece")).attrib == {"NumberOfPoints": "3", "NumberOfVerts": "3"}


def drawn(collection: Path) -> list[ElementTree.Element]:
    """The frames that a collection names; all that are in its folder."""
    named = [frame.attrib["file"] for frame in ElementTree.parse(collection).getroot()[0]]
    there = collection.with_suffix("").glob("*.vtp")
    assert {collection.parent / name for name in named} == set(there)
    return [ElementTree.parse(collection.parent / name).getroot() for name in named]


def test_a_collection_is_replaced_whole_or_not_at_all(water, tmp_path, monkeypatch):
    water, film = water.systems(torch.tensor([0])), tmp_path / "film.pvd"
    assert write_vtk(film, water) == [film]
    (film.with_suffix("") / "mine.vtp.txt").touch()
    before = [ElementTree.tostring(frame) for frame in drawn(film)]

    def full(path: Path, data: bytes) -> None:
        if "_2." in path.name:
            raise OSError("no space left")
        write_atomic(path, data)

    shorter = replace(water.frames(slice(5)), q=water.q[:5] + 1.0)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space"):
        patched.setattr("gnsim.datasets.vtk.write_atomic", full)
        write_vtk(film, shorter)
    assert [ElementTree.tostring(frame) for frame in drawn(film)] == before
    write_vtk(film, shorter)
    assert len(drawn(film)) == 5
    assert (film.with_suffix("") / "mine.vtp.txt").exists()


def test_names_are_escaped_and_what_cannot_be_drawn_is_refused(water, tmp_path):
    odd = replace(water, attributes={'a<"&>': water.mass})
    (path, _) = write_vtk(tmp_path / "a&b.pvd", odd)
    (first, *_) = ElementTree.parse(path).getroot()[0]
    text = (tmp_path / first.attrib["file"]).read_text()
    assert 'Name="a&lt;&quot;&amp;&gt;"' in text
    with pytest.raises(ValueError, match=r"wanted a file ending in \.pvd"):
        write_vtk(tmp_path / "a.vtk", water)
    with pytest.raises(ValueError, match="at most 3 dimensions, found 4"):
        write_vtk(
            tmp_path / "a.pvd", replace(water, q=torch.ones(12, 5, 4), p=torch.ones(12, 5, 4))
        )


@pytest.mark.parametrize(
    ("ending", "names"),
    [
        (".h5", ("position", "velocity", "time", "names", "box", "walls", "bonds", "q")),
        (".npz", ("t", "q", "v", "names", "box", "walls", "bonds", "units_mass")),
        (".pvd", ("velocity", "Points")),
    ],
)
def test_attributes_do_not_replace_arrays_of_the_same_name(ending, names, water, tmp_path):
    put = write_vtk if ending == ".pvd" else write
    for name in names:
        with pytest.raises(ValueError, match=f"'{name}': .*rename the attribute"):
            put(tmp_path / f"water{ending}", replace(water, attributes={name: water.mass}))
    assert not list(tmp_path.iterdir())


def test_a_file_is_converted_for_paraview_and_nothing_is_written_over(water, tmp_path, capsys):
    write(tmp_path / "water.h5", water)
    command = ["data", "convert", str(tmp_path / "water.h5"), "--out"]
    assert run([*command, str(tmp_path / "water.pvd")]) == 0
    assert len(list((tmp_path / "water_1").glob("*.vtp"))) == len(water)
    for out, told in {"water.pvd": "exists", "water.vtu": ".h5, .hdf5, .npz, .pvd"}.items():
        assert run([*command, str(tmp_path / out)]) == ExitCode.BAD_INPUT
        assert told in capsys.readouterr().err


def test_rollouts_are_written_for_each_system_under_the_names_of_lagrangebench(water, tmp_path):
    predicted = replace(water, q=water.q + 1.0)
    paths = write_rollouts(tmp_path, predicted, water)
    assert [path.name for path in paths] == ["rollout_0.npz", "rollout_1.npz"]
    with np.load(paths[1], allow_pickle=False) as rollout:
        assert rollout["predicted_rollout"].dtype == np.float32
        assert np.allclose(rollout["predicted_rollout"], predicted.q[:, 2:], atol=1e-6)
        assert np.allclose(rollout["ground_truth_rollout"], water.q[:, 2:], atol=1e-6)
        assert rollout["particle_type"].tolist() == [0, 0, 2]
    bare = replace(water, attributes={})
    with np.load(write_rollouts(tmp_path, bare, bare)[0]) as rollout:
        assert rollout["particle_type"].tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"shape \(12, 5, 2\) of the truth, found \(6, 5, 2\)"):
        write_rollouts(tmp_path, water.frames(slice(6)), water)
    with pytest.raises(ValueError, match="wanted an existing folder"):
        write_rollouts(tmp_path / "none", water, water)
