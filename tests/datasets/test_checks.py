"""Bad input: one line that names file, field, index, what was found and expected, and a remedy."""

from contextlib import nullcontext

import h5py
import numpy as np
import pytest

from gnsim.datasets import DataError, check, load, read
from gnsim.datasets.coincidence import first_coincidence
from gnsim.datasets.formats import read_raw
from gnsim.datasets.raw import to_trajectory
from gnsim.windows import WindowSampler


def good() -> dict[str, np.ndarray]:
    t = 0.1 * np.arange(20)
    phase = t[:, None] + np.array([0.0, 2.0, 4.0])
    q = np.stack([np.cos(phase), np.sin(phase)], axis=-1)
    v = np.stack([-np.sin(phase), np.cos(phase)], axis=-1)
    units = {"units_length": np.array("m"), "units_time": np.array("s")}
    return {"t": t, "q": q, "v": v, "mass": np.array([1.0, 2.0, 3.0]), **units}


def put(name: str, index, value):
    def change(arrays):
        arrays[name] = arrays[name].astype(float)
        arrays[name][index] = value

    return change


def replaced(name: str, value):
    return lambda arrays: arrays.__setitem__(name, value(arrays) if callable(value) else value)


def dropped(*names: str):
    return lambda arrays: [arrays.pop(name) for name in names]


def stack(arrays):
    for name in ("q", "v"):
        arrays[name] = np.stack([arrays[name]] * 4)


def stacked(change):
    def both(arrays):
        stack(arrays)
        change(arrays)

    return both


BAD = {
    "missing q": (dropped("q"), ["q", "only", "an array 'q'"]),
    "missing t": (dropped("t"), ["t", "an array 't'"]),
    "axes": (replaced("q", np.zeros((20, 3))), ["q", "2 axes (20, 3)", "[time, bodies, dim]"]),
    "nan": (put("q", (7, 1, 0), np.nan), ["q", "frame 7, body 1, axis 0", "nan", "finite"]),
    "inf": (put("v", (3, 2, 1), np.inf), ["v", "frame 3, body 2, axis 1", "inf", "finite"]),
    "nan in time": (put("t", 4, np.nan), ["t", "frame 4", "nan"]),
    "nan in batch": (
        stacked(put("q", (2, 7, 1, 0), np.nan)),
        ["q", "trajectory 2, frame 7, body 1, axis 0"],
    ),
    "nan charge": (replaced("charge", np.array([1, np.nan, 1])), ["charge", "body 1", "nan"]),
    "times": (put("t", 5, 0.2), ["t", "frame 5", "0.2 after 0.4", "increasing"]),
    "equal times": (put("t", 5, 0.4), ["t", "frame 5", "increasing"]),
    "t length": (replaced("t", np.arange(19.0)), ["t", "shape (19,)", "shape (20,)"]),
    "v shape": (replaced("v", np.zeros((20, 3, 3))), ["v", "(20, 3, 3)", "(20, 3, 2)"]),
    "mass length": (replaced("mass", np.ones(4)), ["mass", "shape (4,)", "shape (3,)"]),
    "zero mass": (put("mass", 2, 0), ["mass", "body 2", "0.0", "above zero"]),
    "negative mass": (put("mass", 0, -1), ["mass", "body 0", "-1.0", "above zero"]),
    "one body": (
        lambda a: a.update(q=a["q"][:, :1], v=a["v"][:, :1], mass=np.ones(1)),
        ["q", "one body", "at least two"],
    ),
    "same place": (
        lambda a: a["q"].__setitem__((6, 2), a["q"][6, 0]),
        ["q", "frame 6, body 0 and body 2", "different places"],
    ),
    "short": (
        lambda a: a.update(t=a["t"][:4], q=a["q"][:4], v=a["v"][:4]),
        ["t", "4 frame(s)", "at least 6", "window of 5"],
    ),
    "text": (replaced("q", np.array(["a", "b"])), ["q", "type <U1", "real numbers"]),
    "complex": (replaced("v", lambda a: a["v"] + 1j), ["v", "complex128", "real numbers"]),
    "odd name": (replaced("a\x1b[31m", np.ones(3)), ["odd name", "rename"]),
    "bad box": (replaced("box", np.array([1.0, 0.0])), ["box", "axis 1", "above zero"]),
    "bad walls": (
        replaced("walls", np.array([[-np.inf, 2.0], [5.0, 1.0]])),
        ["walls", "axis 1", "2.0 and 1.0", "a lower and an upper wall"],
    ),
    "walls and box": (
        lambda a: a.update(box=np.full(2, 9.0), walls=np.array([[-9.0, -9.0], [9.0, 9.0]])),
        ["walls", "a periodic box", "one of the two"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_named_in_one_line(case, tmp_path):
    arrays = good()
    change, words = BAD[case]
    change(arrays)
    file = tmp_path / "bad.npz"
    np.savez(file, **arrays)
    with pytest.raises(DataError) as caught:
        read(file, window=5)
    line = str(caught.value)
    assert line.startswith(f"{file}: {words[0]}" if case != "odd name" else str(file))
    assert all(word in line for word in [*words, "found", "expected", ";"]), line
    assert line.isprintable()
    report = check(file, window=5)
    assert not report.ok
    assert str(report.errors[0]) in line
    assert any(str(report.errors[0]) in text for text in report.lines())


SPELLED = {"q": "position", "v": "velocity", "t": "time"}


@pytest.mark.parametrize(
    "case", [k for k in BAD if "batch" not in k and k not in ("odd name", "text")]
)
def test_bad_hdf5_is_named_in_its_own_words(case, tmp_path):
    arrays = good()
    change, words = BAD[case]
    change(arrays)
    file = tmp_path / "bad.h5"
    with h5py.File(file, "w") as stream:
        for name, array in arrays.items():
            if array.dtype.kind != "U":
                stream[f"00000/{SPELLED.get(name, name)}"] = array
    with pytest.raises(DataError) as caught:
        read(file, window=5)
    field = str(caught.value).removeprefix(f"{file}: ").removeprefix("00000/")
    assert field.startswith(SPELLED.get(words[0], words[0]))


@pytest.mark.parametrize(
    "arrange", [lambda a: None, stack, stacked(replaced("mass", np.ones((4, 3))))]
)
def test_good_file_has_nothing_to_mend(arrange, tmp_path):
    arrays = good()
    arrange(arrays)
    np.savez(tmp_path / "good.npz", **arrays)
    report = check(tmp_path / "good.npz", window=5)
    assert report.ok
    assert not report.findings
    assert "20 frames, 3 bodies, 2D" in str(report)
    read(tmp_path / "good.npz", window=5)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.npz", None, ["nothing there"]),
        ("data.csv", b"1,2", ["'.csv'", ".npz or .h5"]),
        ("data.npz", b"1,2", ["damaged file, or one of another format", "numpy.savez"]),
        ("data.h5", b"1,2", ["OSError", "h5py"]),
    ],
)
def test_file_that_is_none(name, content, words, tmp_path):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(file)
    assert all(word in str(caught.value) for word in [str(file), *words])
    assert not check(file).ok
    with pytest.raises(DataError, match=r"a folder.*a source, as gnsim train takes it"):
        read(tmp_path)


@pytest.mark.parametrize(("jitter", "usable"), [(3e-7, True), (3e-6, True), (3e-5, False)])
def test_a_file_is_warned_of_exactly_where_training_refuses_its_times(jitter, usable, tmp_path):
    arrays = good()
    arrays["t"][7] += 0.1 * jitter
    np.savez(tmp_path / "times.npz", **arrays)
    told = [f for f in check(tmp_path / "times.npz").findings if "even steps" in str(f)]
    assert (not told) is usable
    whole = read_raw(tmp_path / "times.npz")
    with nullcontext() if usable else pytest.raises(ValueError, match="resample"):
        WindowSampler(to_trajectory(whole), 1)


def wrapped(arrays):
    """What moves on beyond the sides of a box that nobody gives."""
    arrays["q"] = (arrays["q"] + arrays["t"][:, None, None]) % 1.5
    arrays.pop("v")


def still(arrays):
    arrays["q"] = np.repeat(arrays["q"][:1], 20, axis=0)
    arrays.pop("v")


SUSPICIOUS = {
    "units of v": (replaced("v", lambda a: 1000 * a["v"]), "v", "median speed 1000"),
    "half a step late": (
        replaced("v", lambda a: np.roll(a["v"], 1, axis=0)),
        "v",
        "% of the speed",
    ),
    "walls inside": (
        replaced("walls", np.array([[-2.0, -2], [2, 0.5]])),
        "walls",
        "beyond a wall, 2 of",
    ),
    "wrapped": (wrapped, "q", "nearly all of the 1.4"),
    "kinds": (replaced("particle_type", np.array([0, 1.5, 1])), "particle_type", "whole number"),
    "held": (replaced("fixed", np.array([0, 0.5, 1])), "fixed", "held or driven"),
    "still": (still, "q", "no body that moves"),
    "only held": (replaced("fixed", np.ones(3)), "q", "no body that moves"),
    "no units": (dropped("units_length", "units_time"), "units_length", "units_time"),
}


@pytest.mark.parametrize("case", SUSPICIOUS)
def test_suspicious_file_is_read_with_a_word(case, tmp_path):
    arrays = good()
    change, field, word = SUSPICIOUS[case]
    change(arrays)
    np.savez(tmp_path / "odd.npz", **arrays)
    report = check(tmp_path / "odd.npz")
    assert report.ok
    finding = next(f for f in report.findings if f.field.startswith(field))
    assert finding.severity == ("note" if case == "no units" else "warning")
    assert word in str(finding)
    read(tmp_path / "odd.npz")


NO_FAULT = {
    "walls around": replaced("walls", np.array([[-1.0, -1.0], [1.0, np.inf]])),
    "a wall of bodies": lambda arrays: arrays.update(
        walls=np.array([[-2.0, -2], [2, 0.5]]), fixed=np.ones(3), q=arrays["q"] * [1.0, 0.5]
    ),
    "in a box": lambda arrays: (wrapped(arrays), arrays.update(box=np.array([1.5, 1.5]))),
    "fast": lambda arrays: arrays.update(q=arrays["q"] * (-1.0) ** np.arange(20)[:, None, None]),
    "kinds": replaced("particle_type", np.array([0, 7, 1])),
}


@pytest.mark.parametrize("case", NO_FAULT)
def test_what_only_looks_like_them_is_not_told(case, tmp_path):
    arrays = good()
    NO_FAULT[case](arrays)
    np.savez(tmp_path / "fine.npz", **arrays)
    told = " ".join(str(finding) for finding in check(tmp_path / "fine.npz").findings)
    assert not any(word in told for word in ("beyond a wall", "nearly all", "whole number"))


def test_coincidence_agrees_with_all_pairs_and_minds_systems_and_box():
    random = np.random.default_rng(0)
    for _ in range(200):
        q = random.integers(0, 4, (3, 6, 2)).astype(float)
        counts = np.array([2, 4])
        slow = [
            (f, i, j)
            for f in range(3)
            for i in range(6)
            for j in range(i + 1, 6)
            if (i < 2) == (j < 2) and (q[f, i] == q[f, j]).all()
        ]
        fast = first_coincidence(q, counts)
        assert (fast is None) == (not slow)
        assert fast is None or (fast in slow and fast[0] == slow[0][0])
    apart = np.array([[[0.0, 0.0], [1.0, 0.0]]])
    assert first_coincidence(apart, np.array([2])) is None
    assert first_coincidence(apart, np.array([2]), np.ones(2)) == (0, 0, 1)


def test_uneven_times_are_told_as_what_training_refuses(tmp_path):
    arrays = good()
    put("t", 19, 2.5)(arrays)
    np.savez(tmp_path / "uneven.npz", **arrays)
    report = check(tmp_path / "uneven.npz")
    assert report.ok
    (warning,) = [f for f in report.findings if "even steps" in str(f)]
    assert all(word in str(warning) for word in ("t", "frame 19", "resample", "gnsim discover"))


def times_of(frames, systems=1, velocities=True):
    t = 0.1 * np.arange(frames)
    phase = t[:, None] + np.arange(3.0) + np.arange(systems)[:, None, None]
    q = np.stack([np.cos(phase), np.sin(phase)], axis=-1)
    v = np.stack([-np.sin(phase), np.cos(phase)], axis=-1)
    return {"t": t, "q": q, **({"v": v} if velocities else {})}


@pytest.mark.parametrize(
    ("arrays", "word", "verdict"),
    [
        (times_of(5), "at least 6", "refuse it"),
        (times_of(5, systems=2), "at least 6", "refuse it"),
        (times_of(6), None, "usable"),
        (times_of(3, systems=3), None, "usable"),
        (times_of(42, velocities=False), "at least 9 in a part", "usable"),
        (times_of(43, velocities=False), None, "usable"),
        (times_of(8, systems=3, velocities=False), "or 'v'", "usable"),
        (times_of(9, systems=3, velocities=False), None, "usable"),
        (times_of(2, systems=3, velocities=False), "there are no velocities", "refuse it"),
        (times_of(2, systems=3), None, "usable"),
    ],
)
def test_too_few_frames_are_told_as_what_training_needs(arrays, word, verdict, tmp_path):
    np.savez(tmp_path / "few.npz", **arrays)
    report = check(tmp_path / "few.npz")
    assert report.ok
    told = [str(f) for f in report.findings if f.severity == "warning"]
    assert [word in line for line in told] == ([] if word is None else [True])
    assert verdict in report.lines()[-1]
    refused = "refuse" in verdict
    with pytest.raises(ValueError, match="wanted at least") if refused else nullcontext():
        load(str(tmp_path / "few.npz"))


def noisy(size: float, speed: float = 1.0) -> dict[str, np.ndarray]:
    """Circles with white noise; velocities in units of their own."""
    arrays, rng = times_of(200, systems=5), np.random.default_rng(0)
    noise = {name: size * rng.normal(size=arrays[name].shape) for name in "qv"}
    return {**arrays, "q": arrays["q"] + noise["q"], "v": speed * arrays["v"] + noise["v"]}


@pytest.mark.parametrize(
    ("size", "speed", "seen", "warned"),
    [(0.0, 1.0, False, False), (0.02, 1.0, True, False), (0.02, 3.6, True, True)],
)
def test_noise_is_named_and_not_taken_for_wrong_units(size, speed, seen, warned, tmp_path):
    np.savez(tmp_path / "noisy.npz", **noisy(size, speed))
    report = check(tmp_path / "noisy.npz")
    told = [line for line in report.contents if line.startswith("white noise")]
    assert bool(told) is seen
    assert not seen or told == [
        f"white noise: about {size:.2g} in each component of q, "
        f"about {size:.2g} in each component of v"
    ]
    assert any("check the units" in str(f) for f in report.findings) is warned


@pytest.mark.parametrize(
    ("axes", "place"),
    [((1, 0, 2), "axis 1"), ((2, 1, 0), "axis 2"), (None, None)],
)
def test_swapped_axes_are_told_by_the_length_of_time(axes, place, tmp_path):
    arrays = good()
    arrays["q"] = arrays["q"][:19] if axes is None else arrays["q"].transpose(axes)
    np.savez(tmp_path / "axes.npz", **arrays)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "axes.npz")
    assert ("transpose" in str(caught.value)) is (place is not None)
    assert place is None or f"whose {place} is as long as 't'" in str(caught.value)


def test_half_an_archive_is_called_damaged(tmp_path):
    np.savez(tmp_path / "whole.npz", **good())
    content = (tmp_path / "whole.npz").read_bytes()
    for length in (10, len(content) // 2, len(content) - 30):
        (tmp_path / "half.npz").write_bytes(content[:length])
        with pytest.raises(DataError, match="a damaged file, or one of another format"):
            read(tmp_path / "half.npz")
