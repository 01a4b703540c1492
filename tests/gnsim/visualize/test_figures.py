"""Figures show the discovery's numbers, leave no state behind, and survive any name."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch

from gnsim.bodies import couplings
from gnsim.metrics import energy_change
from gnsim.visualize import FIGURES, draw, rendered, write_figures
from gnsim.visualize.errors import largest_so_far
from gnsim.visualize.messages import law_values, spans_decades
from gnsim.visualize.rollout import inner_bodies, view
from gnsim.visualize.style import canvas, label_ends, spread

ROUNDING = 1e-12
PNG, PDF = b"\x89PNG", b"%PDF"


def lines(figure):
    """The data of all lines of a figure's only panel, by label."""
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}


def test_figures_are_written_as_png_and_pdf(discovery, tmp_path, monkeypatch):
    some = {name: FIGURES[name] for name in ("held_out", "masses")}
    monkeypatch.setattr("gnsim.visualize.figures.FIGURES", some)
    files = write_figures(discovery, tmp_path / "figures")
    # there are no masses to show
    assert [file.name for file in files] == ["held_out.png", "held_out.pdf"]
    for file in files:
        assert file.read_bytes()[:4] == {".png": PNG, ".pdf": PDF}[file.suffix]


def test_drawing_leaves_settings_alone_and_repeats_to_the_byte(discovery):
    before = dict(mpl.rcParams)
    first, second = (rendered(FIGURES["front"](discovery)) for _ in range(2))
    assert first == second
    assert dict(mpl.rcParams) == before


def test_hostile_names_are_drawn_as_text(hostile):
    figures = draw(hostile)
    # three bodies need no second panel
    assert set(figures) == set(FIGURES) - {"rollout_outer"}
    for name, figure in figures.items():
        assert rendered(figure, dpi=40)[:4] == PNG, name


@pytest.mark.parametrize("frames", [1, 2])
def test_rollouts_that_end_at_once_are_drawn_as_far_as_they_go(discovery, frames):
    cut = {
        name: replace(
            rollout,
            trajectory=rollout.trajectory.frames(slice(frames)),
            position_error=rollout.position_error[:frames],
            diverged="stopped",
        )
        for name, rollout in discovery.rollouts.items()
    }
    names = ("rollout", "error_law", "energy")
    figures = [FIGURES[name](replace(discovery, rollouts=cut)) for name in names]
    assert (figures[2] is None) == (frames == 1)
    assert all(rendered(figure, dpi=40)[:4] == PNG for figure in figures if figure)


def test_names_in_other_scripts_are_drawn_without_a_warning():
    figure, axes = canvas("太陽 ☉ 🪐")
    label_ends(axes, ["木星"], [0.5], ["#000000"])
    assert rendered(figure, dpi=40)[:4] == PNG


def test_messages_are_drawn_against_the_law(discovery):
    drawn = lines(FIGURES["message"](discovery))
    table = discovery.messages
    cloud = next(data for label, data in drawn.items() if label.startswith("message"))
    np.testing.assert_array_equal(cloud, np.column_stack([table.X[:, 0], table.y]))
    r, force = drawn["law"].T
    k, r0 = (discovery.law.values[name] for name in ("k", "r0"))
    np.testing.assert_allclose(force, k * (r - r0), atol=ROUNDING)


def test_a_law_with_attributes_is_drawn_against_its_own_value(discovery):
    """There is no one curve over distance when the force depends on charges."""
    constants = {"k": discovery.law.constants["k"]}
    law = replace(discovery.law, force="k*charge_i*charge_j*r", constants=constants)
    r, ci, cj = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 2.0]), np.array([1.0, 3.0, 0.5])
    force = law.values["k"] * ci * cj * r
    X = np.column_stack([r, ci, cj])
    names = ("r", "charge_i", "charge_j")
    table = replace(discovery.messages, names=names, X=X, y=force + 0.25)
    changed = replace(discovery, law=law, messages=table)
    np.testing.assert_allclose(law_values(changed), force, atol=ROUNDING)
    drawn = lines(FIGURES["message"](changed))
    cloud = next(data for label, data in drawn.items() if label.startswith("message, "))
    np.testing.assert_allclose(cloud[:, 1] - cloud[:, 0], 0.25, atol=ROUNDING)


def test_logarithmic_axes_only_for_one_sign_over_decades():
    r = np.geomspace(0.01, 100, 500)
    assert spans_decades(r**-2) and spans_decades(-(r**-2))
    assert not spans_decades(r - 1) and not spans_decades(1 + 1 / (1 + r))


def test_the_chosen_candidate_is_marked(discovery):
    chosen = discovery.selection.chosen
    ring = lines(FIGURES["held_out"](discovery))["chosen"]
    np.testing.assert_allclose(ring, [[chosen.complexity, chosen.error]])
    cloud = lines(FIGURES["held_out"](discovery))["candidate"]
    assert len(cloud) == len(discovery.selection.scored) > 1


def test_errors_are_those_of_the_worst_system_so_far(discovery):
    found = largest_so_far(discovery, "law")
    error = discovery.rollouts["law"].position_error
    assert found.shape == (len(error), 3)
    assert (np.diff(found, axis=0) >= 0).all()
    assert found[-1, 1] == float(error[:, 1::3].max())


def test_energy_error_is_that_of_the_rollout(discovery):
    rollout = discovery.rollouts["law"]
    hamiltonian = discovery.law.hamiltonian()
    error = energy_change(hamiltonian, rollout.trajectory).abs()
    assert float(error.max()) == pytest.approx(rollout.energy_error, rel=1e-6)
    # a wrong law does not conserve its energy along the motion of another
    wrong = replace(discovery.law, force="-k*(r - r0)").hamiltonian()
    assert float(energy_change(wrong, rollout.trajectory).abs().max()) > 10 * float(error.max())


def test_paths_are_seen_from_the_centre_along_axes_of_largest_spread(discovery):
    """Lengths survive the projection of plane motion; what all paths share is their start."""
    seen = view(discovery)
    truth = discovery.dataset.test.systems(torch.tensor([0]))
    apart = (truth.q[:, 0] - truth.q[:, 1]).norm(dim=-1).numpy()
    drawn = np.linalg.norm(seen.paths["truth"][:, 0] - seen.paths["truth"][:, 1], axis=-1)
    np.testing.assert_allclose(drawn, apart, atol=ROUNDING)
    np.testing.assert_allclose(seen.paths["law"][0], seen.paths["truth"][0], atol=ROUNDING)


def test_inner_and_outer_bodies_are_told_apart():
    planets = np.array([0.006, 0.39, 0.72, 1.0, 1.0, 1.52, 5.2, 9.5, 19.0, 30.0, 35.0])
    assert inner_bodies(planets).tolist() == [True] * 6 + [False] * 5
    assert inner_bodies(np.array([1.0, 1.5, 2.0, 2.5])).all()


def test_couplings_are_compared_with_references_of_the_same_thing_only(with_couplings):
    rows = couplings(with_couplings)
    assert [row["body"] for row in rows] == ["Sun", "Earth", "Moon"]
    assert rows[2]["relative_error"] == pytest.approx(-0.2)
    law = with_couplings.law
    other = {**law.metadata["couplings"], "meaning": "strength over mass"}
    changed = replace(with_couplings, law=replace(law, metadata={"couplings": other}))
    assert all(row["relative_error"] is None for row in couplings(changed))


def test_labels_move_apart_in_order_and_stay_inside():
    placed = spread([0.99, 0.5, 0.51, 1.0, 0.0], 0.05)
    assert np.argsort(placed).tolist() == [4, 1, 2, 0, 3]
    assert np.diff(sorted(placed)).min() >= 0.05 - 1e-5
    assert min(placed) >= 0 and max(placed) <= 1
    assert spread([0.2, 0.8], 0.05) == [0.2, 0.8]
