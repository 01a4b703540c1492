"""What a run tells: numbers are the discovery's, hostile names stay text, verdicts are honest."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import sympy
import torch

from gnsim.report import metrics, summary, write_report
from gnsim.report.mathml import mathml
from gnsim.report.numbers import DASH, MINUS, TIMES, number, typeset, unit_text, with_error
from gnsim.report.page import page
from gnsim.report.scores import plain
from gnsim.report.text import table

COMMAND = "gnsim discover spring --seed 7"
MEGABYTES = 3
WIDEST = 100
_ASCII = str.maketrans({MINUS: "-", TIMES: "x", DASH: "."})


def ascii_of(text):
    """Typographic signs as the ones on a keyboard."""
    return text.translate(_ASCII)


def shown_page(discovery, command):
    """The page with its candidates as a run has them."""
    return page(discovery, command)


class Tags(HTMLParser):
    """The elements of a page and its text, as a browser would take them apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def text(with_couplings):
    return shown_page(with_couplings, COMMAND)


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without their figures, which take most of the time."""
    monkeypatch.setattr("gnsim.report.page.draw", lambda _: {})


@pytest.fixture(scope="module")
def hostile_page(hostile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gnsim.report.page.draw", lambda _: {})
        return shown_page(hostile, "gnsim discover '<script>evil()</script>'")


def test_the_report_is_the_page_as_one_file(discovery, tmp_path, undrawn):
    path = write_report(discovery, tmp_path, COMMAND)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8") == shown_page(discovery, COMMAND)


def test_the_page_needs_no_other_file(text):
    assert len(text) < MEGABYTES * 1e6
    content, tags = text, Tags(text).tags
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    sources = [a[k] for _, a in tags for k in ("src", "href") if k in a]
    assert sources and all(s.startswith("data:image/png;base64,") for s in sources)
    assert "http://" not in content and "https://" not in content
    assert "url(" not in content and "@import" not in content


def test_numbers_of_the_page_are_those_of_the_discovery(with_couplings, text):
    shown = Tags(text).text
    law = with_couplings.law
    for constant in law.constants.values():
        assert with_error(constant.value, constant.stderr) in shown
    assert number(with_couplings.errors["law"], 2) in shown
    assert number(with_couplings.rollouts["network"].energy_error, 2) in shown
    assert number(with_couplings.selection.chosen.error, 2) in shown
    assert f"{MINUS}1.0 {TIMES} 10⁻⁴" in shown  # the Sun against its reference
    assert with_couplings.dataset.content_hash[:16] in shown
    for said in (COMMAND, "windows: 60"):
        assert said in shown


def test_candidates_are_written_in_the_symbols_of_the_law(discovery, undrawn):
    content = shown_page(discovery, COMMAND)
    chosen = re.search(r'<tr class="chosen"><td>(.*?)</td>', content, re.DOTALL)[1]
    assert chosen == mathml(discovery.law.expr)
    listed = Tags(content.partition("How the law was chosen")[2]).text
    assert "k*r (size 3) was rejected" in listed
    assert "of k*(r - r0) (size 6)" in listed
    assert "c0" not in listed.partition("How it was made")[0]


def test_reasons_name_candidates_as_the_table_does(discovery, undrawn):
    shown = Tags(shown_page(discovery, COMMAND)).text
    assert "k*(r - r0) (size 6) replaces k*r (size 3)" in shown
    assert " c0" not in shown


def test_numbers_of_a_page_are_of_one_style(discovery, undrawn):
    shown = Tags(shown_page(discovery, COMMAND)).text.partition("All settings")[0]
    assert re.findall(r"\d\.?\d*e[+-]\d+", shown) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("an error of 1.6e-05 of it (at most 0.05)", "an error of 1.6 x 10⁻⁵ of it (at most 0.05)"),
        ("0.0042, by 5 errors, 0%", "4.2 x 10⁻³, by 5 errors, 0%"),
        ("-0.0287784285799082*q - c1/r**2", "-0.02878*q - c1/r**2"),
        ("version 2.13.0, step-1.ckpt", "version 2.13.0, step-1.ckpt"),
    ],
)
def test_a_sentence_has_its_numbers_typeset(said, expected):
    assert ascii_of(typeset(said)) == expected


def test_other_numbers_make_another_page(with_couplings, text, undrawn):
    name, constant = next(iter(with_couplings.law.constants.items()))
    constants = {**with_couplings.law.constants, name: replace(constant, value=17.25)}
    law = replace(with_couplings.law, constants=constants)
    shown = Tags(shown_page(replace(with_couplings, law=law), COMMAND)).text
    assert with_error(17.25, constant.stderr) in shown
    assert with_error(17.25, constant.stderr) not in Tags(text).text


def test_the_law_is_mathematics(text):
    assert re.search(r'<math display="block">.*<mi>F</mi>.*<msub>.*</math>', text, re.DOTALL)


def test_references_are_said_to_be_for_scoring(text, discovery, undrawn):
    said = "Reference values are for scoring only and were not seen"
    assert said in " ".join(Tags(text).text.split())
    assert said not in " ".join(Tags(shown_page(discovery, COMMAND)).text.split())


@pytest.mark.parametrize("attack", ["<script>", "<img src=x", "<h1>data", "<b>m", "<u>N", "<i>kg"])
def test_hostile_names_stay_text(hostile_page, attack):
    assert attack not in hostile_page
    assert not {"script", "u", "i"} & {tag for tag, _ in Tags(hostile_page).tags}


def test_hostile_names_are_shown(hostile_page):
    shown = Tags(hostile_page).text
    assert "<script>alert(1)</script>" in shown and "</style><script>" in shown


def test_symbols_of_an_expression_cannot_be_markup():
    content = mathml(sympy.Symbol("<script>") + sympy.Symbol("a&b"), "F")
    assert "<script>" not in content and "&lt;script&gt;" in content and "a&amp;b" in content


def test_masses_are_set_as_symbols_with_indices():
    content = mathml(sympy.Symbol("mass_i") * sympy.Symbol("r") ** -2)
    assert "<msub><mi>m</mi><mi>i</mi></msub>" in content and "<mfrac>" in content


def test_a_verdict_of_nothing_found_is_said_as_such(not_a_law, undrawn):
    content, told = shown_page(not_a_law, COMMAND), summary(not_a_law)
    assert "No law found" in content and "Law verified" not in content
    assert "not a law" in content and "does not equal it" in content
    assert "verified: false" in told.splitlines() and "no law found" in told
    assert metrics(not_a_law)["verified"] is False
    assert metrics(not_a_law)["equals_true_law"] is False


def test_metrics_are_json_and_say_what_was_measured(with_couplings):
    numbers = metrics(with_couplings)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert numbers["verified"] is with_couplings.law.verified
    assert numbers["equals_true_law"] is True
    assert numbers["seed"] == 7 and numbers["config"]["symbolic"]["windows"] == 60
    assert numbers["data_hash"] == with_couplings.dataset.content_hash
    assert numbers["errors"] == dict(with_couplings.errors)
    earth = numbers["couplings"][1]
    assert earth["body"] == "Earth"
    assert earth["relative_error"] == pytest.approx(1 / (1 - 1e-3) - 1)


def test_position_errors_are_the_largest_over_the_systems(discovery):
    error = discovery.rollouts["network"].position_error
    told = metrics(discovery)["rollouts"]["network"]["position_error"]
    for place, row in enumerate(told):
        assert row["max"] == float(error[:, place::3].max())
        assert row["final"] == float(error[-1, place::3].max())


def test_what_is_not_finite_or_not_reached_is_null(discovery):
    rollout = replace(
        discovery.rollouts["law"],
        diverged="stopped",
        energy_error=float("inf"),
        position_error=torch.full_like(discovery.rollouts["law"].position_error, float("nan")),
    )
    numbers = metrics(replace(discovery, rollouts={"law": rollout}))["rollouts"]["law"]
    assert numbers["energy_error"] is None and numbers["diverged"] == "stopped"
    assert numbers["position_error"][0] == {"body": "body 0", "max": None, "final": None}
    assert plain({1: (float("nan"), True, 2)}) == {"1": [None, True, 2]}


def test_the_summary_has_law_verdict_and_masses(with_couplings):
    lines = summary(with_couplings).splitlines()
    assert f"verified: {str(with_couplings.law.verified).lower()}" in lines
    assert any(line.startswith("  F(r) = k*(r - r0)") for line in lines)
    moon = next(line.split() for line in lines if line.startswith("  Moon "))
    assert moon == ["Moon", "4.00000000e-07", "3.0e-07", "3.0e-08", "5.00000000e-07", "-2.0e-01"]


@pytest.mark.parametrize("grouping", ["time", "system"])
def test_a_scatter_between_systems_is_not_called_one_by_time(with_couplings, grouping):
    law = with_couplings.law
    table = {**law.metadata["couplings"], "first_grouping": grouping}
    found = replace(with_couplings, law=replace(law, metadata={"couplings": table}))
    assert f"by {grouping} only" in summary(found)
    shown = Tags(shown_page(found, COMMAND)).text
    assert f"the one by {grouping} is the first part alone" in " ".join(shown.split())
    assert ("between stretches of time" in " ".join(shown.split())) is (grouping == "time")
    assert metrics(found)["couplings"][0]["first_grouping"] == grouping


def test_the_summary_is_narrow_and_of_one_line_a_name(hostile):
    told = summary(hostile)
    assert max(map(len, told.splitlines())) <= WIDEST
    assert "\n" + '"b"' not in told


def test_columns_are_aligned():
    lines = table(["body", "x"], [["a", "1"], ["longer", "-10"]])
    assert lines == ["  body      x", "  a         1", "  longer  -10"]


@pytest.mark.parametrize(
    ("value", "stderr", "expected"),
    [
        (2.9591220828e-4, 1.4e-9, "(2.959122 ± 0.000014) x 10⁻⁴"),
        (1.99999054, 2.04e-5, "1.999991 ± 0.000020"),
        (-53.2, 45.0, "-53 ± 45"),
        (4.1e-8, 5.2e-8, "(4.1 ± 5.2) x 10⁻⁸"),
        (1.0, 0.0, "1.0000000 ± 0"),
        (0.5, None, "0.50000000"),
    ],
)
def test_values_have_the_digits_that_their_errors_allow(value, stderr, expected):
    assert ascii_of(with_error(value, stderr)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (None, "."), (float("nan"), "."), (9.999, "10.0"), (-1.5e-7, "-1.50 x 10⁻⁷")],
)
def test_numbers_are_rounded_before_they_are_scaled(value, expected):
    assert ascii_of(number(value)) == expected


def test_powers_of_units_are_raised():
    assert unit_text("AU^3 day^-2 (mass of Sun)^-1") == "AU³ day⁻² (mass of Sun)⁻¹"
