"""One page to print: a chart, and text below it."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from vizlib import theme
from vizlib.charts.canvas import canvas
from vizlib.renderers.mpl import SETTINGS, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A4 upright, in inches; the margins, and the part of the height that the chart has.
WIDTH, HEIGHT = 8.27, 11.69
MARGIN, CHART = 0.07, 0.30

#: Characters in a line of text at the largest size (points), which they fill the page with.
COLUMNS, LARGEST = 112, 7.5


def sheet(draw: Callable[[Axes], object], title: str, below: str, text: str) -> Figure:
    """A page: *title*, the line *below* it, what *draw* draws into axes, and *text* in a type of one width.

    Long lines are broken; the more there is to say, the smaller it is said.
    """
    lines = [part for line in text.splitlines() for part in wrap(line, COLUMNS, subsequent_indent="    ") or [""]]
    room = HEIGHT * 72 * (0.80 - CHART)
    size = min(LARGEST, room / (1.25 * max(1, len(lines))))
    ink = theme.colour("ink", "light")
    with mpl.rc_context(SETTINGS):
        figure = Picture(figsize=(WIDTH, HEIGHT), dpi=100, facecolor=theme.colour("paper", "light"))
        figure.text(MARGIN, 0.965, title, color=ink, fontsize=14, fontweight="bold", va="top")
        figure.text(MARGIN, 0.94, below, color=theme.colour("muted", "light"), fontsize=8.5, va="top")
        axes = figure.add_axes((MARGIN + 0.04, 0.90 - CHART, 0.95 - 2 * MARGIN, CHART))
        canvas("light", 0, 0, "", axes)
        draw(axes)
        figure.text(
            MARGIN, 0.84 - CHART, "\n".join(lines), color=ink, fontsize=size, family="DejaVu Sans Mono", va="top",
            linespacing=1.25,
        )  # fmt: skip
    return figure
