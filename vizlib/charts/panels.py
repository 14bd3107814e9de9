"""Several axes side by side on one ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from vizlib import theme
from vizlib.renderers.mpl import SETTINGS, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def panels(mode: theme.Mode, number: int, title: str) -> tuple[Figure, list[Axes]]:
    """A figure with so many axes in a row, to hand to the charts as ``ax``; lay it out with ``settled`` when drawn."""
    with mpl.rc_context(SETTINGS):
        paper = theme.colour("paper", mode)
        figure = Picture(figsize=(5.6 * number, 4.4), dpi=100, facecolor=paper, layout="constrained")
        axes = [figure.add_subplot(1, number, at + 1) for at in range(number)]
        figure.suptitle(title, color=theme.colour("ink", mode), fontsize=12, fontweight="bold")
    return figure, axes
