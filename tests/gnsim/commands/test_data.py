"""``gnsim data``: its help, and a list that names every system with its own settings once."""

import pytest

from gnsim.cli import run
from gnsim.config import as_mapping
from gnsim.datasets import SOURCES, SYSTEMS, read
from gnsim.errors import ExitCode


def test_without_a_command_it_prints_its_help(capsys):
    assert run(["data"]) == ExitCode.BAD_INPUT
    out, err = capsys.readouterr()
    assert all(word in out + err for word in ("Usage:", "list", "check", "make"))
    assert "Missing command" not in err


@pytest.fixture
def listed(capsys):
    assert run(["data", "list"]) == 0
    return capsys.readouterr().out


def test_the_list_has_every_source_and_every_setting(listed):
    for name, source in SOURCES.items():
        assert f" {name} " in listed
        for key in as_mapping(source.settings()):
            assert f"{key}=" in listed


def test_what_all_systems_share_is_said_once(listed):
    systems = listed[listed.index(f"\n {next(iter(SYSTEMS))} ") :]
    for shared in ("noise=0.0", "velocities=true", "trajectories=50"):
        assert systems.count(shared) == 1
    assert systems.count("interval=") == len(SYSTEMS)
    assert "drag=null" in systems


def test_what_is_simulated_is_written_whole(tmp_path):
    command = ["data", "make", "string-ball", "trajectories=3", "frames=2", "bodies=3"]
    assert run([*command, "--out", str(tmp_path / "s.npz")]) == 0
    assert read(tmp_path / "s.npz").num_systems == 3
    assert run(["data", "make", "balls-sample", "--out", str(tmp_path / "b.npz")]) == 0
    assert read(tmp_path / "b.npz").num_systems == 15


def test_settings_as_they_are_listed_are_taken(tmp_path, capsys):
    command = ["data", "make", "damped", "trajectories=1", "frames=2", "drag=null"]
    command += ["equal_masses=false", "velocities=true", "--out", str(tmp_path / "d.npz")]
    assert run(command) == 0
    assert run(["data", "make", "--help"]) == 0
    assert "noise=0.01 velocities=false" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_exists_is_not_written_over(tmp_path, capsys):
    mine = tmp_path / "mine.npz"
    mine.write_bytes(b"measured for years")
    command = ["data", "make", "spring", "trajectories=1", "frames=3", "--out", str(mine)]
    assert run(command) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "mine.npz' exists; name another file" in said
    assert mine.read_bytes() == b"measured for years"
