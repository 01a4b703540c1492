"""Figures of a run."""

from gnsim.visualize.figures import FIGURES, draw, write_figures
from gnsim.visualize.style import rendered

__all__ = ["FIGURES", "draw", "rendered", "write_figures"]
