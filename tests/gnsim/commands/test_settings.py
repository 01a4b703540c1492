"""Settings are listed with default and meaning, and each help page has a fitting example."""

import re

import pytest

from gnsim.cli import run
from gnsim.commands.settings import _MEANINGS, described
from gnsim.discovery import DiscoveryConfig
from gnsim.recipe import Recipe
from gnsim.simulators import SimulatorRecipe, SimulatorSettings


def test_every_setting_has_a_meaning():
    parts = {**vars(DiscoveryConfig()), **vars(SimulatorSettings())}
    known = [f"{part}.{name}" for part, c in parts.items() for name in vars(c)]
    listed = {name: meaning for name, _, meaning in described()}
    assert [name for name in listed if not name.startswith("data.")] == known
    silent = [name for name, meaning in listed.items() if not meaning]
    assert silent == [], "name them in backquotes in the docstring of their class"


def test_no_meaning_is_of_a_setting_that_is_gone():
    names = [name for name, *_ in described()]
    assert set(_MEANINGS) <= {*names, *(name.partition(".")[2] for name in names)}


def test_the_defaults_that_are_listed_are_taken(tmp_path, capsys):
    settings = [f"{name}={value}" for name, value, _ in described() if name[:5] != "data."]
    of_simulators = [s for s in settings if s.startswith("simulator.")]
    others = [s for s in settings if s not in of_simulators]
    assert Recipe.of("spring", 0, others).config == DiscoveryConfig()
    assert SimulatorRecipe.of("spring", 0, of_simulators).config == SimulatorSettings()
    assert run(["settings"]) == 0
    out = capsys.readouterr().out
    assert all(setting in out for setting in settings)


def shown(command: str, capsys: pytest.CaptureFixture) -> str:
    assert run([*command.split(), "--help"]) == 0
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("discover", "training.steps=500"),
        ("train", "training.steps=500"),
        ("distill", "symbolic.runs=4"),
        ("evaluate", "data.bodies=8"),
        ("data make", "seed=1"),
    ],
)
def test_a_command_has_an_example_that_it_takes(command, example, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    page = shown(command, capsys)
    assert f"as {example}." in page
    assert "range>" not in page
    assert re.findall(r"as (\S+=\S+)\.", page) == [example]
