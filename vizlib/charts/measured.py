"""Charts of what was measured under the clock, and of what theory says about it.  All times are simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vizlib import theme
from vizlib.charts.canvas import aligned, canvas, settled
from vizlib.charts.plain import DASHES, MARKERS, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The shares of waits that the text twin names.
QUANTILES = (0.5, 0.9, 0.99, 1.0)

#: So many names of series find a free corner of a chart.
IN_A_CORNER = 6

Points = Mapping[float, float]


def throughput(
    measured: Mapping[str, Points],
    theory: Mapping[str, Points],
    *,
    bounds: Mapping[float, tuple[float, float]] | None = None,
    knee: float | None = None,
    title: str = "",
    y: str = "pages per second, simulated",
    mode: theme.Mode = "light",
    ax: Axes | None = None,
) -> Figure:
    """Measured points on the curves that theory gives: threads to throughput.

    *bounds* is for each number of threads the least and the most that any order of service can reach; *knee* is the
    number of threads from which on the slowest resource is always busy.
    """
    figure, axes = canvas(mode, 8, 4.4, title, ax)
    if bounds:
        xs = sorted(bounds)
        low, high = ([bounds[it][side] for it in xs] for side in (0, 1))
        axes.fill_between(xs, low, high, color=theme.colour("well", mode), label="between the bounds")
    for number, (name, points) in enumerate(theory.items()):
        xs = sorted(points)
        colour = theme.colour("muted", mode)
        axes.plot(xs, [points[it] for it in xs], color=colour, linewidth=1.4, linestyle=DASHES[number % 4], label=name)
    for number, (name, points) in enumerate(measured.items()):
        xs = sorted(points)
        colour = theme.colour(theme.task_colour(number), mode)
        axes.plot(
            xs, [points[it] for it in xs], color=colour, linestyle="none", marker=MARKERS[number % 8], markersize=7,
            label=name,
        )  # fmt: skip
    if knee is not None:
        axes.axvline(knee, color=theme.colour("muted", mode), linewidth=1, linestyle=":", label=f"knee: {knee:.1f}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threads")
    axes.set_ylabel(y)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:,.0f}"))
    _legend(axes, mode)
    return settled(figure, ax)


def throughput_table(measured: Mapping[str, Points], theory: Mapping[str, Points], *, digits: int = 0) -> str:
    """The text twin: each measured series, each theory, and how far the first is from it in per cent."""
    xs = sorted({it for points in measured.values() for it in points})
    pairs = [(name, law) for name in measured for law in theory]
    rows = [["threads", *measured, *theory, *(f"{name} : {law}" for name, law in pairs)]]
    for at in xs:
        row = [f"{at:g}"]
        row += [
            f"{points[at]:,.{digits}f}" if at in points else "" for points in (*measured.values(), *theory.values())
        ]
        for name, law in pairs:
            here, there = measured[name].get(at), theory[law].get(at)
            row.append("" if here is None or not there else f"{100 * (here / there - 1):+.1f} %")
        rows.append(row)
    return aligned(rows)


def utilisation(
    shares: Mapping[str, Points], *, title: str = "", mode: theme.Mode = "light", ax: Axes | None = None
) -> Figure:
    """How busy each lock (or CPU) is: threads to a share of the time, 0 to 1.  Its text twin is ``table``."""
    per_cent = {name: {at: 100 * it for at, it in points.items()} for name, points in shares.items()}
    return curves(
        per_cent, y="busy, % of the simulated time", title=title, limits={"always busy": 100}, mode=mode, ax=ax
    )


def waits(
    samples: Mapping[str, Sequence[float]], *, title: str = "", mode: theme.Mode = "light", ax: Axes | None = None
) -> Figure:
    """How many waits were longer than so long: nanoseconds to a share, both on logarithmic scales.

    *samples* holds for each series its waits in ns.  What looks alike on average differs here, at the right end.
    """
    figure, axes = canvas(mode, 8, 4.4, title, ax)
    for number, (name, its) in enumerate(samples.items()):
        sizes = sorted(its)
        shares = [1 - at / len(sizes) for at in range(len(sizes))]
        colour = theme.colour(theme.task_colour(number), mode)
        axes.step(
            sizes, shares, where="post", color=colour, linewidth=1.8, linestyle=DASHES[number % 4],
            label=f"{name} ({len(sizes):,} waits)",
        )  # fmt: skip
    if any(min(its, default=0) > 0 for its in samples.values()):
        axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("ns, simulated")
    axes.set_ylabel("share of waits that took at least so long")
    _legend(axes, mode)
    return settled(figure, ax)


def waits_table(samples: Mapping[str, Sequence[float]]) -> str:
    """The text twin: how many waits, and within how many ns half of them, 90 %, 99 % and all were over."""
    rows = [["", "waits", "50 %", "90 %", "99 %", "all"]]
    for name, its in samples.items():
        sizes = sorted(its)
        cells = [f"{sizes[max(0, -int(-share * len(sizes) // 1) - 1)]:,.0f}" if sizes else "" for share in QUANTILES]
        rows.append([name, f"{len(sizes):,}", *cells])
    return aligned(rows)


def heatmap(
    values: Mapping[str, Mapping[str, float]],
    *,
    title: str = "",
    unit: str = "",
    mode: theme.Mode = "light",
    ax: Axes | None = None,
) -> Figure:
    """Numbers by row and column, darker where they are larger, and written in: for example who waits for whom."""
    columns = _columns(values)
    figure, axes = canvas(mode, 2.6 + 1.0 * len(columns), 1.4 + 0.45 * len(values), title, ax)
    grid = [[row.get(column, 0.0) for column in columns] for row in values.values()]
    paper, strong = theme.colour("card", mode), theme.colour("task0", mode)
    axes.imshow(grid, cmap=LinearSegmentedColormap.from_list("house", [paper, strong]), aspect="auto", vmin=0)
    most = max((it for row in grid for it in row), default=0) or 1
    for y, row in enumerate(grid):
        for x, it in enumerate(row):
            ink = theme.colour("paper" if it > 0.6 * most else "ink", mode)
            axes.text(x, y, f"{it:,.4g}" if it else "·", ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(values)), list(values))
    axes.grid(visible=False)
    if unit:
        axes.set_xlabel(unit)
    return settled(figure, ax)


def heatmap_table(values: Mapping[str, Mapping[str, float]]) -> str:
    """The text twin."""
    columns = _columns(values)
    rows = [["", *columns]]
    return aligned(
        rows + [[name, *(f"{row[it]:,.4g}" if row.get(it) else "·" for it in columns)] for name, row in values.items()]
    )


def staircase(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str = "ns, simulated",
    y: str = "pages moved",
    title: str = "",
    mode: theme.Mode = "light",
    ax: Axes | None = None,
) -> Figure:
    """What changes in steps: from each time on the value that holds then."""
    figure, axes = canvas(mode, 8, 4.0, title, ax)
    for number, (name, its) in enumerate(series.items()):
        colour = theme.colour(theme.task_colour(number), mode)
        axes.step(
            [at for at, _ in its], [it for _, it in its], where="post", color=colour, linewidth=1.8,
            linestyle=DASHES[number % 4], label=name,
        )  # fmt: skip
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:,.0f}"))
    _legend(axes, mode)
    return settled(figure, ax)


def staircase_table(series: Mapping[str, Sequence[tuple[float, float]]], rows: int = 10) -> str:
    """The text twin: the value at *rows* times, evenly spread from the first to the last."""
    last = max((its[-1][0] for its in series.values() if its), default=0.0)
    times = [last * at / max(rows - 1, 1) for at in range(rows)]
    cells = [["ns", *series]]
    found = [[f"{time:,.0f}", *(f"{_value_at(its, time):,.4g}" for its in series.values())] for time in times]
    return aligned(cells + found)


def _value_at(its: Sequence[tuple[float, float]], time: float) -> float:
    value = 0.0
    for at, it in its:
        if at > time:
            break
        value = it
    return value


def _columns(values: Mapping[str, Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(column for row in values.values() for column in row))


def _legend(axes: Axes, mode: theme.Mode) -> None:
    """The names in a free corner; so many that there is none stand beside the axes."""
    many = len(axes.get_legend_handles_labels()[1]) > IN_A_CORNER
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if many else {}
    for words in axes.legend(frameon=False, fontsize=9, **beside).get_texts():
        words.set_color(theme.colour("ink", mode))
