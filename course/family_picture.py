"""A family's reverse map as a picture, and a bench on which to grow one (lesson 2)."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any, Final

import ipywidgets as widgets

from course.family import PAGES, Family, Refused, Visit
from course.kit import Drawing, Shown, as_widget
from vizlib import theme

Place = tuple[float, float]

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
#: As wide as what stands in it: the buttons stay beside their word, and the word off the next buttons.
UNBROKEN: Final = {"min_width": "max-content"}
#: How far an anon_vma is indented for each that its VMAs descend from.
INDENT: Final = 0.35


#: Pixels of a unit across, and down; the picture is ten units wide.
ACROSS: Final = 100
DOWN: Final = 76
#: How much of a unit is above the first row, for the heads of the columns, and below the last.
ABOVE, BELOW = 0.6, 0.1


def picture(family: Family, visits: list[Visit] | None = None, frame: str = "") -> Drawing:
    """The reverse map; of a walk for *frame* the stops made so far are numbered."""
    graph = family.graph()
    kinds = {kind: [it for it in graph.nodes if graph.nodes[it]["kind"] == kind] for kind in COLUMNS}
    kinds["VMA"] = [family.names[it] for who in family.alive for it in family.vmas_of(who)]
    rows = max(map(len, kinds.values()))
    at: dict[str, Place] = {}
    for kind, names in kinds.items():
        for number, name in enumerate(names):
            deep = len(_older(family, name)) if kind == "anon_vma" else 0
            at[name] = (COLUMNS[kind][0] + INDENT * deep, (number + 0.5) * rows / len(names))
    seen = {it.vma: number for number, it in enumerate(visits or (), 1)}
    walked = _ways(family, frame, list(seen)) if visits else set()
    drawn = [_words_at((COLUMNS[kind][0], -0.35), HEADS[kind], 14, "muted") for kind in kinds]
    drawn += [
        _arrow(at[start], at[end], _width(graph, start), _width(graph, end), bold=(start, end) in walked)
        for start, end in graph.edges
    ]
    drawn += [
        _mark(kind, at[name], _words(family, kind, name), bold=any(name in it for it in walked))
        for kind, names in kinds.items()
        for name in names
    ]
    drawn += [_words_at((at[it][0] + 1.2, at[it][1]), str(number), 18, "task0", 700) for it, number in seen.items()]
    return Drawing("".join(drawn), 10 * ACROSS, (rows + ABOVE + BELOW) * DOWN, "the reverse map; in words below")


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


def _px(at: Place) -> Place:
    """Where a place of the picture is, in pixels."""
    return at[0] * ACROSS, (at[1] + ABOVE) * DOWN


def _words_at(at: Place, words: str, size: float, colour: str, weight: int = 400) -> str:
    x, y = _px(at)
    style = f'font-size="{size:g}" font-weight="{weight}" fill="{theme.colour(colour)}"'
    return f'<text x="{x:.1f}" y="{y + size * 0.36:.1f}" text-anchor="middle" {style}>{html.escape(words)}</text>'


def _mark(kind: str, at: Place, words: tuple[str, str], *, bold: bool) -> str:
    _, w, h = COLUMNS[kind]
    (x, y), width, height = _px(at), w * ACROSS, h * DOWN
    fill = {"frame": "page", "AVC": "wash"}.get(kind, "well")
    edge = "task0" if bold else {"frame": "page-edge", "AVC": "wash-edge"}.get(kind, "muted")
    style = f'fill="{theme.colour(fill)}" stroke="{theme.colour(edge)}" stroke-width="{3.2 if bold else 1.4}"'
    if kind == "anon_vma":
        shape = f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}" {style}/>'
    elif kind == "AVC":
        corners = ((x - width / 2, y), (x, y - height / 2), (x + width / 2, y), (x, y + height / 2))
        shape = _polygon(corners, style)
    else:
        place = f'x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}"'
        shape = f'<rect {place} rx="7" {style}/>'
    head, rest = words
    below = _words_at((at[0], at[1] + 0.17), rest, 12, "muted") if rest else ""
    return shape + _words_at((at[0], at[1] - (0.1 if rest else 0)), head, 14, "ink", 700) + below


def _polygon(corners: tuple[Place, ...], style: str) -> str:
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}" {style}/>'


def _arrow(start: Place, end: Place, w: float, v: float, *, bold: bool) -> str:
    (x, y), (to, down) = _px((start[0] + w / 2, start[1])), _px((end[0] - v / 2, end[1]))
    ink, long = theme.colour("task0" if bold else "muted"), max(1.0, ((to - x) ** 2 + (down - y) ** 2) ** 0.5)
    along, aside = ((to - x) / long * 9, (down - y) / long * 9), ((down - y) / long * 4, (x - to) / long * 4)
    back = to - along[0], down - along[1]
    tip = ((to, down), (back[0] + aside[0], back[1] + aside[1]), (back[0] - aside[0], back[1] - aside[1]))
    line = f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{back[0]:.1f}" y2="{back[1]:.1f}"'
    return f'{line} stroke="{ink}" stroke-width="{3 if bold else 1.3}"/>' + _polygon(tip, f'fill="{ink}"')


# --- the bench -----------------------------------------------------------------------------------------------------


class Bench(Shown):
    """Buttons that grow a family, its picture, and a walk that goes on a stop at a time."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._before: list[Family] = []
        self._visits: list[Visit] = []
        self._frame = ""
        self._who = widgets.ToggleButtons(description="process", options=("P",), style=NARROW, layout=UNBROKEN)
        pages = tuple(range(PAGES))
        self._page = widgets.ToggleButtons(description="page", options=pages, style=NARROW, layout=UNBROKEN)
        grow = [self._button(*it) for it in (
            ("fork", "this process forks", self._fork),
            ("touch", "this process writes this page", lambda: self.family.touch(self._who.value, self._page.value)),
            ("munmap", "this process unmaps this page", lambda: self.family.munmap(self._who.value, self._page.value)),
            ("exit", "this process ends", lambda: self.family.exit(self._who.value)),
        )]  # fmt: skip
        undo = widgets.Button(description="Undo", tooltip="take back the last operation", layout={"width": "auto"})
        undo.on_click(lambda _: self.undo())
        self._frames = widgets.ToggleButtons(description="walk for", options=(), style=NARROW, layout=UNBROKEN)
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
