"""A profile as a tree: who called whom, and with which share of all samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from vizlib import theme
from vizlib.charts.canvas import canvas, settled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A branch with a smaller share of all samples has no box of its own.
LEAST = 0.005


@dataclass
class _Node:
    count: float = 0
    below: dict[str, _Node] = field(default_factory=dict)


def _tree(chains: Mapping[Sequence[str], float]) -> _Node:
    """*chains* (functions, the one that all have in common first, to samples) as a tree."""
    root = _Node()
    for chain, count in chains.items():
        node = root
        node.count += count
        for name in chain:
            node = node.below.setdefault(name, _Node())
            node.count += count
    return root


def _boxes(node: _Node, left: float, depth: int) -> Iterator[tuple[str, float, float, int]]:
    """Each function with where its box begins, how wide it is and how deep, the widest first."""
    for name, below in sorted(node.below.items(), key=lambda it: (-it[1].count, it[0])):
        yield name, left, below.count, depth
        yield from _boxes(below, left, depth + 1)
        left += below.count


def profile_tree(
    chains: Mapping[Sequence[str], float], *, title: str = "", mode: theme.Mode = "light", ax: Axes | None = None
) -> Figure:
    """An icicle: each function as wide as its share, below the one that it was reached from.

    *chains* holds the samples of each call chain; a chain begins with what all have in common.
    """
    root = _tree(chains)
    total = root.count or 1
    boxes = [it for it in _boxes(root, 0.0, 0) if it[2] / total >= LEAST]
    depth = 1 + max((it[3] for it in boxes), default=0)
    figure, axes = canvas(mode, 10, 0.9 + 0.34 * depth, title, ax)
    for number, (name, left, width, level) in enumerate(boxes):
        colour = theme.colour(theme.soft(theme.task_colour(level)), mode)
        axes.barh(
            level, 100 * width / total, left=100 * left / total, height=0.92, color=colour,
            edgecolor=theme.colour("paper", mode), linewidth=1, zorder=2 + number / 1000,
        )  # fmt: skip
        words = f"{name} {100 * width / total:.4g} %"
        room = int(100 * width / total * 1.15)
        if room > 4:
            axes.text(
                100 * (left + width / 2) / total, level, words if len(words) <= room else name[: room - 1] + "…",
                ha="center", va="center", fontsize=8, color=theme.colour("ink", mode), zorder=9,
            )  # fmt: skip
    axes.set_ylim(depth - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_xlabel("% of samples")
    return settled(figure, ax)


def profile_text(chains: Mapping[Sequence[str], float]) -> str:
    """The text twin: the tree as perf report draws one, shares of all samples."""
    root = _tree(chains)
    total = root.count or 1
    lines = []
    for name, _, width, depth in _boxes(root, 0.0, 0):
        if width / total >= LEAST:
            lines.append(f"{100 * width / total:6.2f} %  {'   ' * depth}{name}")
    return "\n".join(lines)
