"""Two things at once: how fast, and in how many worlds something goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vizlib import theme
from vizlib.charts.canvas import aligned, canvas, settled
from vizlib.charts.plain import MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How far apart names must be, as shares of the axes: to the right, and upwards.
NEAR = (0.26, 0.075)


def plane(
    points: Mapping[str, tuple[float, int]],
    *,
    mine: str = "",
    x: str = "pages per second, simulated",
    y: str = "worlds that go wrong",
    title: str = "",
    mode: theme.Mode = "light",
    ax: Axes | None = None,
) -> Figure:
    """A point for each of *points*, (how fast, how many worlds go wrong): right and fast is at the bottom right.

    *mine* is the one that the picture is about: larger, and in bold.  What does not move stands at the left edge.
    """
    figure, axes = canvas(mode, 8, 4.4, title, ax)
    fast = [it for it, _ in points.values() if it > 0] or [1.0]
    low, high = min(fast) / 2, max(fast) * 2
    top = max(1, *(wrong for _, wrong in points.values()))
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(-0.12 * top, 1.15 * top)
    axes.axhspan(-0.12 * top, 0.06 * top, color=theme.colour("task2-soft", mode), alpha=0.5, zorder=0)
    places = _apart({name: (max(at, low), wrong) for name, (at, wrong) in points.items()}, low, high, top)
    for number, (name, (at, wrong)) in enumerate(points.items()):
        colour = theme.colour("bad" if name == mine and wrong else theme.task_colour(number), mode)
        size = 13 if name == mine else 8
        place, marker = (max(at, low), wrong), MARKERS[number % len(MARKERS)]
        axes.plot(*place, marker, color=colour, markersize=size, linestyle="", zorder=4)
        axes.annotate(
            f"{name} (yours)" if name == mine else name,
            place, (0, places[name]), textcoords="offset points", color=colour, fontsize=10, ha="center",
            fontweight="bold" if name == mine else "normal", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": theme.colour("edge", mode), "shrinkA": 0, "shrinkB": 4},
            bbox={"facecolor": theme.colour("paper", mode), "edgecolor": "none", "pad": 1, "alpha": 0.75},
        )  # fmt: skip
    axes.xaxis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:,.0f}"))
    axes.minorticks_off()
    ticks = [it for it in (1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7) if low <= it <= high]
    axes.set_xticks(ticks)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return settled(figure, ax)


def _apart(points: Mapping[str, tuple[float, float]], low: float, high: float, top: float) -> dict[str, float]:
    """How far above its point each name stands (points of type), so that no name covers another's."""
    from math import log

    taken: list[tuple[float, float]] = []
    found = {}
    for name, (at, wrong) in sorted(points.items(), key=lambda it: (it[1][1], it[1][0])):
        across, up = log(at / low) / log(high / low), wrong / top
        lift = 0
        while any(abs(across - a) < NEAR[0] and abs(up + lift * NEAR[1] - b) < NEAR[1] for a, b in taken):
            lift += 1
        taken.append((across, up + lift * NEAR[1]))
        found[name] = 10.0 + 20 * lift
    return found


def plane_table(points: Mapping[str, tuple[float, int]], *, x: str = "pages/s", y: str = "worlds that go wrong") -> str:
    """The text twin of :func:`plane`."""
    rows = [["", x, y], *([name, f"{at:,.0f}" if at else "stops", str(wrong)] for name, (at, wrong) in points.items())]
    return aligned(rows)
