"""All figures of a discovery, by name, and the files that they become."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from gnsim.atomic import write_atomic
from gnsim.visualize.energy import energy_figure
from gnsim.visualize.errors import law_error_figure, network_error_figure
from gnsim.visualize.front import front_figure, held_out_figure
from gnsim.visualize.masses import mass_figure
from gnsim.visualize.messages import message_figure, residual_figure
from gnsim.visualize.rollout import outer_rollout_figure, rollout_figure
from gnsim.visualize.style import rendered

if TYPE_CHECKING:
    from gnsim.discovery import Discovery

#: in the order in which a report shows them; None stands for a figure that the data do not need
FIGURES: Mapping[str, Callable[["Discovery"], Figure | None]] = {
    "message": message_figure,
    "message_residual": residual_figure,
    "front": front_figure,
    "held_out": held_out_figure,
    "rollout": rollout_figure,
    "rollout_outer": outer_rollout_figure,
    "error_law": law_error_figure,
    "error_network": network_error_figure,
    "energy": energy_figure,
    "masses": mass_figure,
}


def draw(discovery: "Discovery") -> dict[str, Figure]:
    """Every figure of `FIGURES` that the discovery has data for."""
    drawn = {name: figure(discovery) for name, figure in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def write_figures(discovery: "Discovery", folder: Path) -> list[Path]:
    """Each figure as PNG and as PDF in `folder`, which is made if need be; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_atomic(folder / f"{name}.{kind}", rendered(figure, kind))
        for name, figure in draw(discovery).items()
        for kind in ("png", "pdf")
    ]
