"""Curves, bars and lanes: the charts that every lesson uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vizlib import theme
from vizlib.charts.canvas import aligned, canvas, settled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vizlib.scene import Json

#: What tells series apart beside their colour.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))


def curves(
    series: Mapping[str, Mapping[float, float]],
    *,
    x: str = "threads",
    y: str = "pages per second, simulated",
    title: str = "",
    limits: Mapping[str, float] | None = None,
    mode: theme.Mode = "light",
    ax: Axes | None = None,
) -> Figure:
    """A line for each of *series*: for example throughput against threads, one line a variant.

    *series* holds the points of each name, x to y; *limits* are horizontal lines with their names, for example a
    bound that theory gives.  *x* and *y* say what the axes show, with the word "simulated" where it is so.
    """
    figure, axes = canvas(mode, 8, 4.4, title, ax)
    for number, (name, points) in enumerate(series.items()):
        colour = theme.colour(theme.task_colour(number), mode)
        xs = sorted(points)
        ys = [points[it] for it in xs]
        axes.plot(
            xs,
            ys,
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            linestyle=DASHES[number % len(DASHES)],
            linewidth=1.8,
            label=name,
        )
    _end_labels(axes, series, mode)
    for name, height in (limits or {}).items():
        axes.axhline(height, color=theme.colour("muted", mode), linewidth=1, linestyle=(0, (2, 2)))
        axes.annotate(
            name, (0, height), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
            color=theme.colour("muted", mode), fontsize=9, fontstyle="italic",
        )  # fmt: skip
    ticks = sorted({it for points in series.values() for it in points})
    axes.set_xscale("log", base=2) if len(ticks) > 2 and ticks[0] > 0 and ticks[-1] / ticks[0] >= 8 else None
    axes.set_xticks(ticks, [f"{it:g}" for it in ticks])
    axes.minorticks_off()
    nothing = not any(it for points in series.values() for it in points.values())
    axes.set_ylim(0, 1) if nothing else axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:,.0f}"))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return settled(figure, ax)


def _end_labels(axes: Axes, series: Mapping[str, Mapping[float, float]], mode: theme.Mode) -> None:
    """The name of each line at its right end, moved apart where two ends meet."""
    top = max((value for points in series.values() for value in points.values()), default=1) or 1
    ends = sorted((points[max(points)], number, name) for number, (name, points) in enumerate(series.items()) if points)
    last = -1.0
    for height, number, name in ends:
        place = max(height, last + top * 0.07)
        last = place
        axes.annotate(
            name,
            (max(series[name]), place),
            (8, -3),
            textcoords="offset points",
            color=theme.colour(theme.task_colour(number), mode),
            fontsize=10,
            fontweight="bold",
            annotation_clip=False,
            bbox={"facecolor": theme.colour("paper", mode), "edgecolor": "none", "pad": 1},
        )


def bars(
    shares: Mapping[str, Mapping[str, float]] | Mapping[str, float],
    *,
    title: str = "",
    unit: str = "%",
    mode: theme.Mode = "light",
    ax: Axes | None = None,
) -> Figure:
    """Horizontal bars of shares that add up: for example where context switches come from.

    *shares* holds for each part its share, or for each bar its parts.
    """
    rows, parts = _rows_and_parts(shares)
    figure, axes = canvas(mode, 8, 1.1 + 0.55 * len(rows) + 0.25 * len(parts), title, ax)
    for at, (_, row) in enumerate(rows.items()):
        left = 0.0
        for number, part in enumerate(parts):
            width = row.get(part, 0.0)
            colour = theme.colour(theme.soft(theme.task_colour(number)), mode)
            edge = theme.colour(theme.task_colour(number), mode)
            hatch = ("", "//", "..", "xx", "\\\\", "--", "oo", "||")[number % 8]
            axes.barh(at, width, left=left, color=colour, edgecolor=edge, hatch=hatch, label=part if at == 0 else None)
            axes.text(
                left + width / 2, at, f"{width:.4g} {unit}" if width else "", ha="center", va="center", fontsize=9,
                fontweight="bold", color=theme.colour("ink", mode),
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
            left += width
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    if ax is None:
        legend = figure.legend(loc="outside lower left", frameon=False, fontsize=9, ncols=1)
    else:
        legend = axes.legend(frameon=False, fontsize=9)
    for words in legend.get_texts():
        words.set_color(theme.colour("ink", mode))
    return settled(figure, ax)


def _rows_and_parts(
    shares: Mapping[str, Mapping[str, float]] | Mapping[str, float],
) -> tuple[dict[str, Mapping[str, float]], list[str]]:
    """The bars with their parts, and the names of all parts."""
    rows: dict[str, Mapping[str, float]] = {}
    for name, it in shares.items():
        rows[name] = it if isinstance(it, Mapping) else {name: it}
    if not any(isinstance(it, Mapping) for it in shares.values()):
        rows = {"": {name: float(it) for name, it in shares.items() if not isinstance(it, Mapping)}}
    return rows, list(dict.fromkeys(part for row in rows.values() for part in row))


def bars_table(shares: Mapping[str, Mapping[str, float]] | Mapping[str, float], *, unit: str = "%") -> str:
    """The shares of :func:`bars`: a row a bar, a column a part."""
    rows, parts = _rows_and_parts(shares)
    cells = [[f"{row[part]:.4g} {unit}" if row.get(part) else "·" for part in parts] for row in rows.values()]
    return aligned([["", *parts], *([name, *its] for name, its in zip(rows, cells, strict=True))])


#: Moments in a lane: what they are called, with which marker they are drawn, and how far above the middle.
MOMENTS: Final = {"flush": ("down: flushes", "v", 0.42), "interrupt": ("up: takes an interrupt", "^", -0.1)}


def lanes(
    tasks: Sequence[str], its: Sequence[Json], *, length: float, x: str = "steps", title: str = "",
    mode: theme.Mode = "light", key: bool = True,
    ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """A row a thread: solid while it holds a lock, dashed while it waits, dark where it copies; triangles are moments.

    *tasks* are the rows from top to bottom; *its* the bars, as :func:`vizlib.lanes.lanes` makes them (task, from, to,
    kind, label, colour); the axis ends at *length*, and beside its name *key* says what is what.
    """
    figure, axes = canvas(mode, 10, 1.2 + 0.42 * len(tasks), title, ax)
    rows = {name: at for at, name in enumerate(tasks)}
    for bar in its:
        if bar["task"] not in rows:
            continue
        if bar["kind"] in MOMENTS:
            _, marker, up = MOMENTS[bar["kind"]]
            ink = theme.colour("ink", mode)
            axes.plot([bar["from"]], [rows[bar["task"]] - up], marker=marker, color=ink, markersize=7, zorder=4)
            continue
        kind, strong = bar["kind"], theme.colour(bar["colour"], mode)
        pale = theme.colour(theme.soft(bar["colour"]), mode)
        look: dict[str, Any] = {
            "run": {"color": pale, "height": 0.25},
            "hold": {"facecolor": strong if bar.get("rank", 40) == 40 else pale, "edgecolor": strong, "height": 0.62},
            "wait": {"facecolor": "none", "edgecolor": strong, "linestyle": "--", "height": 0.5},
            "copy": {"color": theme.colour("ink", mode), "height": 0.62},
        }[kind]
        width = max(bar["to"] - bar["from"], length / 400)
        axes.barh(rows[bar["task"]], width, left=bar["from"], zorder=2 + bar.get("rank", 0) / 100, **look)
    axes.set_yticks(range(len(tasks)), list(tasks))
    axes.invert_yaxis()
    axes.set_xlim(0, length)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:,.0f}"))
    said = f"{x}      solid: holds a lock;  dashed: waits;  {'black' if mode == 'light' else 'white'}: copies"
    met = [words for kind, (words, *_) in MOMENTS.items() if any(bar["kind"] == kind for bar in its)]
    axes.set_xlabel(";  ".join([said, *met]) if key else x)
    return settled(figure, ax)


def lanes_table(tasks: Sequence[str], its: Sequence[Json], *, x: str = "steps") -> str:
    """The bars of :func:`lanes`: row by row who does what from when to when, in *x*."""
    said = {"run": "runs", "hold": "holds", "wait": "waits for", "copy": "copies"} | {it: it for it in MOMENTS}
    bars = sorted((bar for bar in its if bar["task"] in tasks), key=lambda bar: (tasks.index(bar["task"]), bar["from"]))
    rows = [
        [bar["task"], f"{said[bar['kind']]} {bar.get('label', '')}".strip(), f"{bar['from']:,}", f"{bar['to']:,}"]
        for bar in bars
    ]
    width = max((len(row[1]) for row in rows), default=0)
    return aligned(
        [["thread", "what".ljust(width), f"from ({x})", "to"], *([a, b.ljust(width), *c] for a, b, *c in rows)]
    )


def table(series: Mapping[str, Mapping[float, float]], *, x: str = "threads", digits: int = 0) -> str:
    """The numbers of :func:`curves` as aligned text: what a screen reader, and a test, can read."""
    xs = sorted({it for points in series.values() for it in points})
    rows = [[x, *series]]
    rows += [
        [f"{at:g}", *(f"{points[at]:,.{digits}f}" if at in points else "" for points in series.values())] for at in xs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
