"""What a law leaves of the acceleration of one body, with the correction that was found."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from gnsim.visualize.style import LAW, MINUS, TRUTH, canvases, label_axes, short, styled, with_unit

if TYPE_CHECKING:
    from gnsim.discovery.beyond import Beyond


@styled
def residual_acceleration_figure(found: "Beyond") -> Figure:
    """Of the body of which most is left over its noise: along the line to the body that pulls it
    most, and across it, over their distance.

    Grey what the law alone leaves, blue what the correction makes of it.
    """
    body = found.most_telling
    seen = found.projected(body)
    names = found.bodies
    figure, panels = canvases(2, f"What the law leaves of the acceleration of {short(names[body])}")
    units = found.dataset.test.units
    acceleration = f"{units.length} / {units.time}²" if units.length and units.time else ""
    order = np.argsort(seen.r)
    for axes, where, left, made in zip(
        panels,
        (f"along the line to {short(names[seen.partner])}", "across it"),
        seen.left.T[:2],
        seen.made.T[:2],
        strict=True,
    ):
        axes.plot(seen.r[order], left[order], ".", color=TRUTH, ms=4, label=f"data {MINUS} law")
        if found.law is not None:
            axes.plot(seen.r[order], made[order], ".", color=LAW, ms=1.5, label="the correction")
        label_axes(axes, "", with_unit(where, acceleration))
    panels[-1].set_xlabel(with_unit("distance r", units.length), parse_math=False)
    panels[0].legend(markerscale=2)
    return figure
