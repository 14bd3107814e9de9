"""A family's reverse map as a picture, and a bench on which to grow one (lesson 2)."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets

from course.family import PAGES, Family, Refused, Visit
from course.kit import Shown, as_widget
from vizlib import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

#: Where the columns stand, and what stands in each: kind, width of a mark, height.
COLUMNS: Final = {
    "frame": (0.9, 1.3, 0.62),
    "anon_vma": (3.4, 1.3, 0.7),
    "AVC": (6.0, 0.9, 0.66),
    "VMA": (8.6, 2.0, 0.62),
}
HEADS: Final = {
    "frame": "frame",
    "anon_vma": "anon_vma",
    "AVC": "AVC, in tree order",
    "VMA": "VMA, its PTEs (page→frame)",
}
#: Buttons to choose from, each as wide as its word: in JupyterLab a list would lose its arrow keys to the notebook.
NARROW: Final = {"button_width": "auto", "description_width": "60px"}
#: How far an anon_vma is indented for each that its VMAs descend from.
INDENT: Final = 0.35


def picture(family: Family, visits: list[Visit] | None = None, frame: str = "") -> Figure:
    """The reverse map; of a walk for *frame* the stops made so far are numbered."""
    from matplotlib.figure import Figure  # here, because most lessons draw none, and it is slow to load

    graph = family.graph()
    kinds = {kind: [it for it in graph.nodes if graph.nodes[it]["kind"] == kind] for kind in COLUMNS}
    kinds["VMA"] = [family.names[it] for who in family.alive for it in family.vmas_of(who)]
    rows = max(map(len, kinds.values()))
    figure = Figure(figsize=(10, 0.75 * rows + 0.55), dpi=100, facecolor=theme.colour("paper"))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 10)
    axes.set_ylim(rows + 0.1, -0.6)
    axes.set_axis_off()
    at = {}
    for kind, names in kinds.items():
        x, *_ = COLUMNS[kind]
        axes.text(x, -0.35, HEADS[kind], ha="center", fontsize=10, color=theme.colour("muted"))
        for number, name in enumerate(names):
            deep = len(_older(family, name)) if kind == "anon_vma" else 0
            at[name] = (x + INDENT * deep, (number + 0.5) * rows / len(names))
    seen = {it.vma: number for number, it in enumerate(visits or (), 1)}
    walked = _ways(family, frame, list(seen)) if visits else set()
    for start, end in graph.edges:
        _arrow(axes, at[start], at[end], _width(graph, start), _width(graph, end), bold=(start, end) in walked)
    for kind, names in kinds.items():
        for name in names:
            _mark(axes, kind, at[name], _words(family, kind, name), bold=any(name in it for it in walked))
    for name, number in seen.items():
        x, y = at[name]
        axes.text(x + 1.2, y, str(number), va="center", fontsize=13, weight="bold", color=theme.colour("task0"))
    return figure


def _older(family: Family, anon_vma: str) -> list[Any]:
    """The anon_vmas that the VMAs of *anon_vma* are linked to besides, and that are older."""
    it = family.called(anon_vma)
    tree = family.tree(it)
    chain = family.get(family.get(tree[0].vma).anon_vma_chain) if tree else ()
    links = [family.get(avc.anon_vma) for avc in chain]
    return links[links.index(it) + 1 :] if it in links else []


def _ways(family: Family, frame: str, vmas: list[str]) -> set[tuple[str, str]]:
    """The arrows that a walk for *frame* has gone along when it has visited *vmas*."""
    anon_vma = family.names[family.get(family.called(frame).mapping)]
    found = {(frame, anon_vma)}
    for vma in vmas:
        avc = f"avc({vma},{anon_vma})"
        found |= {(anon_vma, avc), (avc, vma)}
    return found


def _width(graph: Any, name: str) -> float:
    return COLUMNS[graph.nodes[name]["kind"]][1]


def _words(family: Family, kind: str, name: str) -> tuple[str, str]:
    if kind == "frame":
        count = len(family.ptes(name))
        return name, f"{count} mapping{'s' * (count != 1)}"
    if kind == "anon_vma":
        return name, "root" if name in family.locks() else ""
    if kind == "AVC":
        return "AVC", ""
    vma = family.called(name)
    who = next(it for it in family.alive if vma in family.vmas_of(it))
    inside = range(family.get(vma.vm_start), family.get(vma.vm_end))
    ptes = [
        f"{page}→{frame}" for frame in family.frames for it, page in family.ptes(frame) if it == who and page in inside
    ]
    return name, "  ".join(sorted(ptes)) or "no PTE"


def _mark(axes: Axes, kind: str, at: tuple[float, float], words: tuple[str, str], *, bold: bool) -> None:
    from matplotlib.patches import Ellipse, FancyBboxPatch, Polygon

    (x, y), (_, w, h) = at, COLUMNS[kind]
    fill = {"frame": "page", "AVC": "wash"}.get(kind, "well")
    edge = {"frame": "page-edge", "AVC": "wash-edge"}.get(kind, "muted")
    style: dict[str, Any] = {
        "facecolor": theme.colour(fill),
        "edgecolor": theme.colour("task0" if bold else edge),
        "linewidth": 2.4 if bold else 1.0,
        "zorder": 2,
    }
    shape: Patch
    if kind == "anon_vma":
        shape = Ellipse((x, y), w, h, **style)
    elif kind == "AVC":
        shape = Polygon([(x - w / 2, y), (x, y - h / 2), (x + w / 2, y), (x, y + h / 2)], **style)
    else:
        box = "round,pad=0,rounding_size=0.08"
        shape = FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle=box, **style)
    axes.add_patch(shape)
    head, rest = words
    ink = theme.colour("ink")
    axes.text(
        x, y - 0.1 if rest else y, head, ha="center", va="center", fontsize=10, weight="bold", color=ink, zorder=3
    )
    if rest:
        muted = theme.colour("muted")
        axes.text(x, y + 0.16, rest, ha="center", va="center", fontsize=8.5, color=muted, zorder=3)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], w: float, v: float, *, bold: bool) -> None:
    ink = theme.colour("task0" if bold else "muted")
    style = {"arrowstyle": "-|>", "color": ink, "linewidth": 2.2 if bold else 0.9, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end[0] - v / 2, end[1]), (start[0] + w / 2, start[1]), arrowprops=style, zorder=1)


# --- the bench -----------------------------------------------------------------------------------------------------


class Bench(Shown):
    """Buttons that grow a family, its picture, and a walk that goes on a stop at a time."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._before: list[Family] = []
        self._visits: list[Visit] = []
        self._frame = ""
        self._who = widgets.ToggleButtons(description="process", options=("P",), style=NARROW)
        self._page = widgets.ToggleButtons(description="page", options=tuple(range(PAGES)), style=NARROW)
        grow = [self._button(*it) for it in (
            ("fork", "this process forks", self._fork),
            ("touch", "this process writes this page", lambda: self.family.touch(self._who.value, self._page.value)),
            ("munmap", "this process unmaps this page", lambda: self.family.munmap(self._who.value, self._page.value)),
            ("exit", "this process ends", lambda: self.family.exit(self._who.value)),
        )]  # fmt: skip
        undo = widgets.Button(description="Undo", tooltip="take back the last operation", layout={"width": "auto"})
        undo.on_click(lambda _: self.undo())
        self._frames = widgets.ToggleButtons(description="walk for", options=(), style=NARROW)
        self._frames.observe(lambda _: self._forget(), "value")
        step = widgets.Button(description="Next stop", tooltip="the walk visits its next VMA")
        step.on_click(lambda _: self.stop())
        self._said = widgets.HTML()
        self._picture = widgets.VBox([])
        self.box = widgets.VBox([
            widgets.HBox([self._who, self._page, *grow, undo], layout={"flex_flow": "row wrap"}),
            widgets.HBox([self._frames, step], layout={"flex_flow": "row wrap"}),
            self._said,
            self._picture,
        ])  # fmt: skip
        self._draw("Choose a process and what it does; then walk.")

    def _button(self, name: str, tip: str, do: Callable[[], Any]) -> widgets.Button:
        button = widgets.Button(description=name, tooltip=tip, layout={"width": "auto"})
        button.on_click(lambda _: self.do(do))
        return button

    def do(self, what: Callable[[], Any]) -> None:
        """Do something to the family; what it refuses is said, and changes nothing."""
        before = self.family.copy()
        try:
            what()
        except Refused as fault:
            self._said.value = f"<b>{html.escape(str(fault))}.</b>"
            return
        self._before.append(before)
        name, who, *rest = self.family.done[-1]
        self._draw(f"{who}: {name} {' '.join(map(str, rest))}")

    def _fork(self) -> None:
        child = next(it for it in "CGDEHKLMNQRSTUVWXYZ" if it not in self.family.mms)
        self.family.fork(self._who.value, child)

    def undo(self) -> None:
        """Take the last operation back."""
        if self._before:
            self.family = self._before.pop()
            self._draw("Taken back.")

    def stop(self) -> None:
        """Let the walk visit its next VMA; after the last it begins anew."""
        if not self._frames.value:
            self._said.value = "<b>No frame yet: let a process touch a page.</b>"
            return
        walk = self.family.walk(self._frames.value)
        if len(self._visits) == len(walk):
            self._visits = []
        self._visits = walk[: len(self._visits) + 1]
        it = self._visits[-1]
        found = f"its PTE of page {it.page} names {self._frames.value}" if it.mapped else "no PTE of it there"
        last = " That was the last one." if len(self._visits) == len(walk) else ""
        self._draw(f"Stop {len(self._visits)}: {it.vma}, {found}.{last}", keep=True)

    def _forget(self) -> None:
        if self._frames.value != self._frame:
            self._draw("", keep=False)

    def _draw(self, said: str, *, keep: bool = False) -> None:
        if not keep:
            self._visits = []
        chosen = self._who.value
        self._who.options = self.family.alive or ("P",)
        if chosen in self._who.options:
            self._who.value = chosen
        frames = self.family.frames
        self._frame = self._frames.value if self._frames.value in frames else (frames[0] if frames else "")
        self._frames.options = frames
        self._frames.value = self._frame or None
        self._said.value = html.escape(said)
        figure = picture(self.family, self._visits, self._frame)
        self._picture.children = (as_widget(figure), as_widget(self.family.told()))

    def text(self) -> str:
        """The family in words, and how to grow it without buttons."""
        told = (
            "Without buttons: bench.family.fork('P', 'C'), .touch('C'), .munmap('C'), .exit('P'); .told(), .walk('f0')"
        )
        return f"{self.family.told()}\n{told}"


def workbench(vmas: int = 1) -> Bench:
    """A bench with P, which has mapped two pages and written none."""
    return Bench(Family(vmas))
