"""The ground on which every chart is drawn: one style, light and dark, the same bytes for the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from vizlib import theme
from vizlib.renderers.mpl import SETTINGS, Picture, printed, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def settled(figure: Figure, axes: Axes | None = None) -> Figure:
    """*figure* with its layout done once and for all: matplotlib's would move a little each time it is drawn."""
    if axes is not None:
        return figure  # the caller's own: it lays itself out
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def canvas(mode: theme.Mode, width: float, height: float, title: str, axes: Axes | None = None) -> tuple[Figure, Axes]:
    """A figure of that size in inches with axes in the house's style; or the figure of *axes*, styled likewise."""
    figure: Figure
    if axes is not None:
        figure = axes.get_figure(root=True) or Figure()
        return figure, _styled(axes, mode, title)
    with mpl.rc_context(SETTINGS):
        figure = Picture(figsize=(width, height), dpi=100, facecolor=theme.colour("paper", mode), layout="constrained")
        axes = figure.add_subplot()
    return figure, _styled(axes, mode, title)


def _styled(axes: Axes, mode: theme.Mode, title: str) -> Axes:
    ink, muted = theme.colour("ink", mode), theme.colour("muted", mode)
    axes.set_facecolor(theme.colour("card", mode))
    axes.tick_params(colors=muted, labelcolor=ink, labelsize=9)
    axes.grid(visible=True, color=theme.colour("well", mode), linewidth=1)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.colour("edge", mode))
    axes.xaxis.label.set_color(muted)
    axes.yaxis.label.set_color(muted)
    if title:
        axes.set_title(title, loc="left", color=ink, fontsize=12, fontweight="bold")
    return axes


def save_chart(figure: Figure, path: str | Path) -> None:
    """Write *figure* as .svg or .png, the same bytes every time."""
    save(figure, Path(path))


def as_svg(figure: Figure) -> str:
    """*figure* as SVG, the same text every time."""
    return printed(figure, "svg").decode()


def aligned(rows: list[list[str]]) -> str:
    """Cells as a table in plain text: the first column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
