"""Users' files: what is written is read back, and missing velocities are estimated well."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnsim.datasets import DataError, check, load, read, velocities, write
from gnsim.datasets.velocities import estimate
from gnsim.state import Trajectory, Units

ENDINGS = (".npz", ".h5")
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


RECIPE = st.fixed_dictionaries(
    {
        "shape": st.tuples(*(st.integers(a, b) for a, b in ((1, 3), (2, 4), (1, 3), (2, 12)))),
        "seed": st.integers(0, 2**32 - 1),
        "names": st.sets(st.sampled_from(["charge", "spin", "mass"])),
        "space": st.sampled_from(["open", "box", "walls"]),
        "units": st.sampled_from([(), ("AU", "day", "kg"), ("µm",)]),
        "named": st.booleans(),
    }
)


def cooked(shape, seed, names, space, units, named) -> Trajectory:
    systems, bodies, dim, frames = shape
    random = np.random.default_rng(seed)
    nodes = systems * bodies

    def numbers(*shape: int) -> torch.Tensor:
        return torch.from_numpy(10.0 ** random.integers(-9, 9) * random.standard_normal(shape))

    attributes = {name: numbers(nodes) for name in names - {"mass"}}
    if "mass" in names:
        attributes["mass"] = torch.from_numpy(np.exp(3 * random.standard_normal(nodes)))
    return Trajectory(
        t=torch.from_numpy(np.cumsum(random.uniform(0.1, 1.0, frames))),
        q=numbers(frames, nodes, dim),
        p=numbers(frames, nodes, dim),
        batch=torch.arange(systems).repeat_interleave(bodies),
        attributes=attributes,
        box=torch.full((dim,), 3.0, dtype=torch.float64) if space == "box" else None,
        walls=torch.tensor([[-torch.inf] * dim, [7.5] * dim], dtype=torch.float64)
        if space == "walls"
        else None,
        units=Units(*units),
        names=tuple(f"Körper {k}" for k in range(nodes)) if named else (),
    )


def same(a: Trajectory, b: Trajectory) -> bool:
    tensors = [(a.t, b.t), (a.q, b.q), (a.p, b.p), (a.batch, b.batch)]
    tensors += [(a.attributes[name], b.attributes[name]) for name in a.attributes]
    tensors += [] if a.box is None or b.box is None else [(a.box, b.box)]
    tensors += [] if a.walls is None or b.walls is None else [(a.walls, b.walls)]
    plain, other = (
        (x.units, x.names, x.velocity_given, set(x.attributes), x.box is None, x.walls is None)
        for x in (a, b)
    )
    return plain == other and all(torch.equal(x, y) for x, y in tensors)


@pytest.mark.parametrize("ending", ENDINGS)
@QUICK
@given(recipe=RECIPE)
def test_a_file_gives_back_what_was_written(ending, recipe, tmp_path):
    trajectory = cooked(**recipe)
    file = tmp_path / f"round{ending}"
    write(file, trajectory)
    once = read(file)
    assert same(once, trajectory) or "mass" in trajectory.attributes
    torch.testing.assert_close(once.p, trajectory.p, rtol=1e-15, atol=0)
    write(file, once)
    assert same(read(file), once)
    changed = Trajectory(**{**once.__dict__, "q": once.q + 1e-3 * once.q.abs().max()})
    assert not same(changed, once)


def test_formats_agree_and_systems_of_different_size_need_hdf5(tmp_path):
    t, v = torch.arange(4.0, dtype=torch.float64), torch.randn(4, 5, 2, dtype=torch.float64)
    trajectory = Trajectory(t=t, q=v.cumsum(0), p=v, batch=torch.tensor([0, 0, 1, 1, 1]))
    write(tmp_path / "a.h5", trajectory)
    assert same(read(tmp_path / "a.h5"), trajectory)
    with pytest.raises(ValueError, match=r"2 to 3; write \.h5"):
        write(tmp_path / "a.npz", trajectory)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5"]
    with pytest.raises(ValueError, match=r"did you mean '\.npz'"):
        write(tmp_path / "a.npy", trajectory)


def test_lagrangebench_folder_takes_time_and_box_from_metadata(tmp_path):
    random = np.random.default_rng(0)
    for part in ("train", "valid", "test"):
        with h5py.File(tmp_path / f"{part}.h5", "w") as file:
            for key in ("00000", "00001"):
                file[f"{key}/position"] = random.random((11, 6, 2)).astype(np.float32)
                file[f"{key}/particle_type"] = np.arange(6)
    metadata = '{"dt": 0.01, "write_every": 5, "bounds": [[0, 1], [0, 2]]'
    (tmp_path / "metadata.json").write_text(
        metadata + ', "periodic_boundary_conditions": [true, true]}'
    )
    data = load(str(tmp_path))
    assert data.train.q.dtype == torch.float64
    assert data.valid.num_systems == 2
    assert not data.test.velocity_given
    torch.testing.assert_close(data.train.t, 0.05 * torch.arange(11, dtype=torch.float64))
    assert data.train.box.tolist() == [1.0, 2.0]
    assert data.train.attributes["particle_type"].tolist() == [*range(6), *range(6)]
    (tmp_path / "metadata.json").write_text(metadata + ', "dim": 2}')
    data = load(str(tmp_path))
    assert data.train.box is None
    assert data.train.walls.tolist() == [[0.0, 0.0], [1.0, 2.0]]


def lagrangebench(file: Path, dim: int, counts: tuple[int, ...]) -> None:
    """As their generator writes it: single precision, wrapped into the box, all sides periodic.

    The first body is of a wall, the second of one that moves; the next two are in one place.
    """
    sides, random = np.array([2.0, 1.0, 0.5])[:dim], np.random.default_rng(0)
    metadata = {"dt": 0.0003, "write_every": 100, "dim": dim, "num_particles_max": max(counts)}
    metadata |= {"periodic_boundary_conditions": [True] * 3, "default_connectivity_radius": 0.029}
    metadata["bounds"] = [[0.0, side] for side in sides.tolist()]
    (file.parent / "metadata.json").write_text(json.dumps(metadata))
    with h5py.File(file, "w") as stream:
        for key, count in enumerate(counts):
            types = np.array([1, 2, *[0] * (count - 2)], dtype=np.int32)[:count]
            q = random.random((count, dim)) + (types == 0)[:, None] * np.arange(11)[:, None, None]
            q[:, 3:4] = q[:, 2:3]
            stream[f"{key:05d}/particle_type"] = types
            group = stream[f"{key:05d}"]
            group.create_dataset("position", data=np.mod(q, sides), dtype="f4", compression="gzip")


@pytest.mark.parametrize("dim", [2, 3])
def test_files_of_lagrangebench_are_read_as_they_are(dim, tmp_path):
    lagrangebench(tmp_path / "train.h5", dim, (6, 1, 8))
    found = read(tmp_path / "train.h5")
    assert found.batch.bincount().tolist() == [6, 1, 8]
    fixed = found.attributes["fixed"]
    assert fixed.tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert found.t[-1].item() == pytest.approx(10 * 0.03)
    assert found.box.tolist() == [2.0, 1.0, 0.5][:dim]
    assert torch.allclose(found.velocity[:, fixed == 1], torch.zeros(1, dtype=torch.float64))
    report = check(tmp_path / "train.h5")
    assert report.lines()[-1].strip() == "usable"
    assert "held or driven bodies (fixed): 5" in str(report)


@pytest.mark.parametrize("periodic", [True, False])
def test_bounds_of_more_axes_than_positions_are_cut(periodic, tmp_path):
    lagrangebench(tmp_path / "train.h5", 2, (4,))
    bounds = [[-3.0, 5.0], [-3.0, 6.0], [-3.0, 7.0]]
    metadata = {"dt": 1, "write_every": 1, "bounds": bounds}
    metadata["periodic_boundary_conditions"] = [periodic] * 3
    for more in ({}, {"dim": 2}, {"dim": 3}):
        (tmp_path / "metadata.json").write_text(json.dumps(metadata | more))
        found = read(tmp_path / "train.h5")
        if periodic:
            assert found.box.tolist() == [8.0, 9.0]
        else:
            assert found.walls.tolist() == [[-3.0, -3.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"bounds": [[0, 9]]}, "bounds: found 1 axes, expected 2, as positions have"),
        ({"dim": 1}, "bounds: found 1 axes, expected 2, as positions have"),
        ({"dim": 3}, "bounds of 2 axes, and dim 3"),
        *(({"dim": dim}, f"bounds of 2 axes, and dim {dim}") for dim in (0, -1, 1.5, "2", True)),
    ],
)
def test_bounds_that_are_too_few_and_dimensions_that_are_none_are_told(more, told, tmp_path):
    lagrangebench(tmp_path / "train.h5", 2, (4,))
    metadata = {"dt": 1, "bounds": [[-9, 9], [-9, 9]], **more}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match=rf"metadata\.json: .*{told}"):
        read(tmp_path / "train.h5")


def test_what_a_file_says_is_fixed_stands_and_other_types_are_held_in_gns(tmp_path):
    lagrangebench(tmp_path / "train.h5", 2, (4,))
    with h5py.File(tmp_path / "train.h5", "a") as stream:
        stream["00000/fixed"] = np.array([0.0, 0, 0, 1])
    assert read(tmp_path / "train.h5").attributes["fixed"].tolist() == [0, 0, 0, 1]
    (tmp_path / "metadata.json").write_text('{"dt": 1, "default_connectivity_radius": 1}')
    with h5py.File(tmp_path / "train.h5", "a") as stream:
        del stream["00000/fixed"]
        stream["00000/particle_type"][:] = [1, 3, 5, 3]
    assert read(tmp_path / "train.h5").attributes["fixed"].tolist() == [0, 1, 0, 1]


def test_estimates_of_many_bodies_are_those_of_each(monkeypatch):
    t, q = 0.1 * np.arange(12), np.random.default_rng(0).random((12, 7, 2))
    whole = estimate(t, q, np.ones(2))
    monkeypatch.setattr(velocities, "_PART", 1)
    monkeypatch.setattr(velocities, "_BLOCK", 5)
    assert np.array_equal(estimate(t, q, np.ones(2)), whole)


def error(t: np.ndarray, points: int = 9) -> tuple[float, float]:
    """Largest error inside and at the ends, for two phases on circles of unit speed."""
    phase = t[:, None] + np.array([0.0, 1.0])
    q = np.stack([np.cos(phase), np.sin(phase)], axis=-1)
    v = np.stack([-np.sin(phase), np.cos(phase)], axis=-1)
    off = np.abs(estimate(t, q, points=points) - v).max(axis=(1, 2))
    return float(off[4:-4].max()), float(off.max())


def test_estimated_velocities_converge_with_order_eight():
    steps = np.array([0.4, 0.3, 0.2, 0.15])
    inside, ends = np.array([error(h * np.arange(60)) for h in steps]).T
    slopes = [np.polyfit(np.log(steps), np.log(e), 1)[0] for e in (inside, ends)]
    assert np.allclose(slopes, 8, atol=0.3)
    second = [error(h * np.arange(60), points=3)[0] for h in steps]
    assert np.isclose(np.polyfit(np.log(steps), np.log(second), 1)[0], 2, atol=0.1)


def test_estimated_velocities_at_uneven_times_use_the_times():
    random = np.random.default_rng(1)
    t = 0.1 * np.arange(200) + random.uniform(-0.04, 0.04, 200)
    q = np.stack([np.cos(t), np.sin(t)], axis=-1)[:, None]
    v = np.stack([-np.sin(t), np.cos(t)], axis=-1)[:, None]
    assert np.abs(estimate(t, q) - v).max() < 1e-7
    assert np.abs(estimate(0.1 * np.arange(200), q) - v).max() > 1e-2


@pytest.mark.parametrize("frames", [2, 3, 4, 8, 9])
def test_few_frames_give_the_highest_order_they_allow(frames):
    t = np.sort(np.random.default_rng(frames).uniform(0, 2, frames))
    polynomial = np.polynomial.Polynomial(np.arange(1.0, frames + 1))
    v = estimate(t, polynomial(t)[:, None, None])[:, 0, 0]
    np.testing.assert_allclose(v, polynomial.deriv()(t), rtol=1e-6)


def test_velocities_in_a_periodic_box_do_not_jump():
    t = 0.1 * np.arange(50)
    q = np.mod(np.array([[0.9, 0.1]]) + t[:, None] * np.array([[0.7, -1.3]]), 1.0)[:, None]
    assert np.abs(estimate(t, q, np.ones(2)) - [0.7, -1.3]).max() < 1e-12
    assert np.abs(estimate(t, q) - [0.7, -1.3]).max() > 1


def test_a_file_without_velocities_is_marked(tmp_path):
    t = 0.1 * np.arange(40)
    q = np.stack([np.cos(t), np.sin(t)], axis=-1)[:, None] * np.array([[1.0], [-1.0]])
    np.savez(tmp_path / "orbit.npz", t=t, q=q)
    trajectory = read(tmp_path / "orbit.npz")
    assert not trajectory.velocity_given
    write(tmp_path / "again.npz", trajectory)
    assert "v" not in np.load(tmp_path / "again.npz")
    assert same(read(tmp_path / "again.npz"), trajectory)
