"""The reverse map: from a frame through its anon_vma and the AVCs of its interval tree to the VMAs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sim.structs import AnonVma, AnonVmaChain, Page, Struct, Vma
from vizlib.layout import PLANE, TITLE, Box, Places
from vizlib.lenses import Lens, Part, anon_vma, avc, vma
from vizlib.lenses.kinship import descent, ever_above, is_there, pointers, points_anew
from vizlib.lenses.page import exists, lifetimes, slots_of
from vizlib.lenses.pte import pages_in_play, ptes
from vizlib.moments import Moment, Run
from vizlib.names import held_page, short_frame
from vizlib.scene import Mark, Panel, Text

WIDTH = 352
ROW = 52
MOST_PAGES = 2
MOST_ROWS = 4
MOST_FRAMES = 3
SIZES = {Page: (66.0, 44.0), AnonVma: (78.0, 40.0), AnonVmaChain: (52.0, 36.0), Vma: (92.0, 42.0)}


#: With a family of anon_vmas there are more AVCs than VMAs: each VMA has one to each of its ancestors.
MOST_AVCS = 6
#: Where the columns of a family stand, on the whole plane: frames, anon_vmas (indented by generation), AVCs, VMAs.
FAMILY, INDENT = (8.0, 104.0, 270.0, 400.0), 18.0
WIDE_VMA = 150.0


class ReverseMapLens(Lens):
    """The graph of the pages in play: frames, anon_vmas, AVCs and VMAs, a column each.

    In a family of anon_vmas (a fork makes one) each stands below and right of the one that it descends from; its
    generation comes from the AVCs, since a VMA has one to its own anon_vma and one to each of its ancestors.
    """

    def __init__(self, run: Run, places: Places) -> None:
        self.run = run
        self.places = places
        found = {struct: list(dict.fromkeys(it.ref for it in run.ever if type(it.ref) is struct)) for struct in SIZES}
        hidden = len(found[Vma]) - MOST_ROWS
        family = descent(run, [it for it in found[AnonVma][:MOST_ROWS] if isinstance(it, AnonVma)])
        self.wide = len(family) > 1
        order = {it: at for at, it in enumerate(family)}
        avcs = found[AnonVmaChain][: MOST_AVCS if self.wide else MOST_ROWS]
        if self.wide:
            avcs.sort(key=lambda it: min((order.get(above, len(order)) for above in ever_above(run, it)), default=0))
        frames = _frames(run)
        slots = slots_of(lifetimes(run), frames)
        columns: list[list[Struct]] = [
            [it for it in frames if slots[it] < MOST_FRAMES], list(family), [*avcs], [*found[Vma][:MOST_ROWS]]
        ]  # fmt: skip
        self.nodes: list[Struct] = [it for column in columns for it in column]
        height = TITLE + max((_rows(column, slots) for column in columns), default=1) * ROW + 10
        width = PLANE if self.wide else WIDTH
        note = f"{hidden} more VMAs not shown" if hidden > 0 else "frame → anon_vma → AVC → VMA"
        y = places.bottom + 12
        places.panel(Panel("rmap", "Reverse map", 0, y, width, height, inside="machine", note=note, frame=True))
        area = height - TITLE - 8
        for x, column in zip(FAMILY if self.wide else (8, 90, 184, 250), columns, strict=True):
            pitch = area / max(_rows(column, slots), 1)
            for number, node in enumerate(column):
                row = slots[node] if isinstance(node, Page) else number
                w, h = SIZES[type(node)]
                indent = INDENT * family[node] if self.wide and isinstance(node, AnonVma) else 0
                w = WIDE_VMA if self.wide and isinstance(node, Vma) else w
                places.put(f"rm:{_id(node)}", "rmap", Box(x + indent, TITLE + pitch * (row + 0.5) - h / 2, w, h))

    def parts(self) -> Iterator[Part]:
        """The objects that exist now, and the pointers between them."""
        for node in self.nodes:
            yield partial(self._node, node)
        for node in self.nodes:
            yield partial(self._arrows, node)

    def _shows(self, node: Struct, moment: Moment) -> bool:
        if isinstance(node, Page):
            return node in self.nodes and exists(node, moment)
        return node in self.nodes and is_there(node, moment)

    def _node(self, node: Struct, moment: Moment) -> Iterator[Mark]:
        if not self._shows(node, moment):
            return
        name = f"rm:{_id(node)}"
        box = self.places.boxes[name]
        match node:
            case Page():
                yield self._page(node, name, box, moment)
            case AnonVma():
                yield anon_vma.mark(node, name, box, moment)
            case AnonVmaChain():
                yield avc.mark(node, name, box, moment)
            case Vma():
                yield vma.mark(node, name, box, moment)

    def _arrows(self, node: Struct, moment: Moment) -> Iterator[Mark]:
        """The pointers that leave *node*; for an anon_vma those within its tree."""
        if not self._shows(node, moment):
            return
        to = moment.get(node.mapping) if isinstance(node, Page) else None
        for start, end in ((node, to),) if to is not None else pointers((node,), moment):
            if self._shows(start, moment) and self._shows(end, moment):
                yield self._arrow(start, end, moment)

    def _page(self, page: Page, name: str, box: Box, moment: Moment) -> Mark:
        toucher = moment.toucher(page)
        held = held_page(page, moment)
        count = moment.get(page._mapcount) + 1
        entries = moment.get(page.migration_ptes)
        words = f"{entries} entr{'y' if entries == 1 else 'ies'}" if entries else f"{count} mapping{'s' * (count != 1)}"
        return Mark(
            name,
            "rmap",
            "rect",
            *box,
            text=(
                Text(
                    held or "empty",
                    box.x + 6,
                    box.y + 14,
                    11 if held else 10,
                    700 if held else 400,
                    "normal" if held else "italic",
                    ink="page-edge" if held else "muted",
                ),
                Text(short_frame(page), box.x + 6, box.y + 26.5, 9.5, ink="muted", mono=True),
                Text(words, box.x + 6, box.y + 39, 9, ink="muted"),
            ),
            fill="page" if held else "well",
            stroke=toucher.colour if toucher else "page-edge" if held else "muted",
            bold=toucher is not None,
            radius=5,
            tip=f"frame {page}: mapcount {count}, {moment.get(page._count)} references, index {moment.get(page.index)}",
            say=f"frame {page}{f' with {held}' if held else ''}: {words}, references: {moment.get(page._count)}",
            layer=1,
        )

    def _arrow(self, start: Struct, end: Struct, moment: Moment) -> Mark:
        one, other = (self.places.boxes[f"rm:{_id(it)}"] for it in (start, end))
        if one.right < other.x:
            points = ((one.right, one.centre), (other.x, other.centre))
        elif one.y < other.y:
            points = ((one.middle, one.bottom), (other.middle, other.y))
        else:  # the left child of an AVC that stands above it
            points = ((one.middle, one.y), (other.middle, other.bottom))
        fresh = points_anew(start, end, moment)
        return Mark(
            f"rm:{_id(start)}>{_id(end)}",
            "rmap",
            "arrow",
            points=points,
            stroke=fresh.colour if fresh else "ink",
            bold=fresh is not None,
            layer=3,
            say=f"{start} → {end}" + (" in the interval tree" if isinstance(end, AnonVmaChain) else ""),
        )


def _rows(column: Sequence[Struct], slots: dict[Page, int]) -> int:
    """How many rows a column needs: frames that never exist together share one."""
    return max((slots[it] + 1 if isinstance(it, Page) else at + 1 for at, it in enumerate(column)), default=0)


def _id(node: Struct) -> str:
    return f"page:{node}" if isinstance(node, Page) else node.name


def _frames(run: Run) -> list[Page]:
    """The frames of the pages in play: at most :data:`MOST_PAGES` pages, each with the frames that it is in."""
    slots = ptes(run)
    found: dict[Page, None] = {}
    for page in pages_in_play(run)[:MOST_PAGES]:
        its = dict.fromkeys(it.page for it in run.ever[slots[page]] if it is not None and it.kind != "swap")
        found.update(dict.fromkeys(list(its)[:2]))
    return list(found)
