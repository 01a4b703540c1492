"""Settings are listed with default and meaning, and each help page has a fitting example."""

import re

import pytest

from gnsim.cli import run
from gnsim.commands.settings import _MEANINGS, described
from gnsim.discovery import DiscoveryConfig
from gnsim.recipe import Recipe


def test_every_setting_has_a_meaning():
    known = [f"{part}.{name}" for part, c in vars(DiscoveryConfig()).items() for name in vars(c)]
    listed = {name: meaning for name, _, meaning in described()}
    assert [name for name in listed if not name.startswith("data.")] == known
    silent = [name for name, meaning in listed.items() if not meaning]
    assert silent == [], "name them in backquotes in the docstring of their class"


def test_no_meaning_is_of_a_setting_that_is_gone():
    assert set(_MEANINGS) <= {name.partition(".")[2] for name, *_ in described()}


def test_the_defaults_that_are_listed_are_taken(tmp_path, capsys):
    settings = [f"{name}={value}" for name, value, _ in described() if name[:5] != "data."]
    assert Recipe.of("spring", 0, settings).config == DiscoveryConfig()
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
        ("data make", "seed=1"),
    ],
)
def test_a_command_has_an_example_that_it_takes(command, example, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    page = shown(command, capsys)
    assert f"as {example}." in page
    assert "range>" not in page
    assert re.findall(r"as (\S+=\S+)\.", page) == [example]
