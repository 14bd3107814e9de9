"""Frames on their nodes, and the user's page in them: the one thing in the picture that travels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

from sim.ops import Alloc, CopyPage, Field
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable, Pte
from vizlib.layout import TITLE, Box, Places, grid, rows
from vizlib.lenses import Lens, Part
from vizlib.lenses.pmd import huge_slots
from vizlib.lenses.pte import pages_in_play, ptes
from vizlib.moments import Moment, Run, cpu_name
from vizlib.names import page_name, short_frame
from vizlib.scene import Mark, Text

ACROSS = 4
MOST_ROWS = 2
HEIGHT, GAP = 60, 6
TOKEN_HEIGHT = 21


class PageLens(Lens):
    """Frames in slots of their node.  A new frame takes the first free slot, and keeps it until it is freed."""

    def __init__(self, run: Run, places: Places) -> None:
        self.run = run
        self.places = places
        self.frames: list[Page] = []
        self.empty: list[tuple[str, str]] = []
        self.ptes = ptes(run) | whole_huge_pages(run)
        self.copies = copied(run)
        self.copies_of = run
        births = lifetimes(run)
        nodes = range(1 + max((node for node, *_ in births.values()), default=0))
        nodes = range(max(len(nodes), 1 + max(run.first.get(it.cpu.node, 0) for it in run.actors)))
        across = ACROSS if len(nodes) <= 4 else 2
        slots = _slots(births, run)
        deepest = max((slot for slot in slots.values()), default=0) + 1
        shown_rows = min(MOST_ROWS if len(nodes) <= 2 else 1, max(1, rows(deepest, across)))
        self.room = across * shown_rows
        beside = 2 if len(nodes) <= 4 else 4
        cpus: dict[int, list[Any]] = {}
        for actor in run.actors:
            its = cpus.setdefault(run.first.get(actor.cpu.node, 0), [])
            if actor.cpu not in its:
                its.append(actor.cpu)
        for at in range(0, len(nodes), beside):
            part = nodes[at : at + beside]
            notes = []
            for node in part:
                more = sum(1 for page, slot in slots.items() if births[page][0] == node and slot >= self.room)
                names = ", ".join(cpu_name(it) for it in cpus.get(node, [])[:4]) or "no CPU in use"
                notes.append(f"{more} more not shown" if more else names)
            titles = [f"Node {node}" for node in part]
            height = TITLE + shown_rows * (HEIGHT + GAP) + 4
            places.row([f"node:{node}" for node in part], titles, notes, height, 12)
        for node in nodes:
            panel = f"node:{node}"
            area = Box(8, TITLE + 2, places.panels[panel].w - 16, 0)
            boxes = grid(area, self.room, across, HEIGHT, GAP)
            for number, box in enumerate(boxes):
                self.empty.append((places_name(node, number), panel))
                places.put(places_name(node, number), panel, box)
            for page, slot in slots.items():
                if births[page][0] == node and slot < self.room:
                    places.put(f"page:{page}", panel, boxes[slot])
                    self.frames.append(page)
        shown = set(self.frames)
        self.tokens = [
            page for page in self.ptes if any(it is not None and it.page in shown for it in run.ever[self.ptes[page]])
        ]
        self.in_play = set(pages_in_play(run)[:3])
        self.own = own_frames(run, self.ptes)
        self.lodgers = self._lodgers()

    def parts(self) -> Iterator[Part]:
        """Slots, frames, and the pages in them, each with its copy to another."""
        yield self._slots
        for frame in self.frames:
            yield partial(self._frame, frame)
        for page in self.tokens:
            yield partial(self._page, *page)

    def _slots(self, _: Moment) -> Iterator[Mark]:
        for name, panel in self.empty:
            yield Mark(name, panel, "rect", *self.places.boxes[name], fill="paper", stroke="edge", radius=6)

    def _page(self, mm: Mm, vpn: int, moment: Moment) -> Iterator[Mark]:
        frame = self._where(mm, vpn, moment)
        if frame is not None and f"page:{frame}" in self.places.boxes:
            yield self._token(mm, vpn, frame, moment)
            if (mm, vpn) in self.in_play:
                yield from self._copy(mm, vpn, frame, moment)

    def _lodgers(self) -> dict[Page, list[tuple[Mm, int]]]:
        """The pages that are ever in a frame, by frame."""
        found: dict[Page, list[tuple[Mm, int]]] = {}
        for mm, vpn in self.tokens:
            for frame in self.own[mm, vpn]:
                found.setdefault(frame, []).append((mm, vpn))
        return found

    def _lives_in(self, frame: Page | None, moment: Moment) -> list[int]:
        """The pages that are in *frame* now."""
        lodgers = () if frame is None else self.lodgers.get(frame, ())
        return [vpn for mm, vpn in lodgers if self._where(mm, vpn, moment) is frame]

    def _where(self, mm: Mm, vpn: int, moment: Moment) -> Page | None:
        """The frame in which the page is now: what the PTE says, and while it migrates the newest copy."""
        pte: Pte | None = moment.get(self.ptes[mm, vpn])
        if pte is not None and pte.kind == "swap":
            cached: Page | None = moment.get(pte.page.page_tree)
            return cached
        if pte is not None and pte.kind in {"present", "prot_none"}:
            mapped: Page = pte.page
            return mapped
        its = self.own[mm, vpn]
        copies = [it for it in its if exists(it, moment) and (moment.get(it.data) or (None,))[0] == vpn]
        if copies:
            newest: Page = copies[-1]
            return newest
        if pte is None:
            return None
        old: Page = pte.page  # never written: no frame says whose it is
        return old

    def _frame(self, page: Page, moment: Moment) -> Iterator[Mark]:
        if not exists(page, moment):
            return
        name = f"page:{page}"
        box = self.places.boxes[name]
        data = moment.get(page.data)
        holder = moment.get(page.PG_locked)
        lives_here = self._lives_in(page, moment)
        part = data is not None and not lives_here and bool(self._lives_in(moment.get(page.first_page), moment))
        copied_away = data is not None and not lives_here and not part
        empty = data is None and not lives_here
        toucher = moment.toucher(page)
        locker = moment.run.actor.get(holder)
        text = [Text(short_frame(page), box.x + 5, box.y + 12, 9, ink="muted", mono=True)]
        if copied_away:
            text.append(
                Text(
                    old := f"old {page_name(data[0])}",
                    box.middle,
                    box.y + 30,
                    10.5 if len(old) < 8 else 9,
                    600,
                    "italic",
                    "middle",
                    "muted",
                )
            )
        elif part:
            text.append(Text(page_name(data[0]), box.middle, box.y + 30, 13, 700, anchor="middle", ink="page-edge"))
        elif empty:
            text.append(Text("empty", box.middle, box.y + 30, 10.5, 400, "italic", "middle", "muted"))
        if data is not None:
            text.append(Text(f"write {data[1]}", box.middle, box.y + 46, 9, anchor="middle", ink="muted"))
        if holder is not None:
            ink = locker.colour if locker else "ink"
            text.append(Text("locked", box.middle, box.y + 56, 9, 700, anchor="middle", ink=ink))
        contents = (
            page_name(lives_here[0])
            if lives_here
            else f"{page_name(data[0])}, in a huge page"
            if part
            else f"old {page_name(data[0])}"
            if data
            else "empty"
        )
        yield Mark(
            name,
            self.places.panel_of[name],
            "rect",
            *box,
            text=tuple(text),
            fill="well",
            stroke=toucher.colour if toucher else locker.colour if locker else "muted",
            bold=toucher is not None or holder is not None,
            dotted=empty,
            dashed=copied_away,
            radius=6,
            face="empty" if empty else "old" if copied_away else "full",
            tip=f"frame {page} on node {_node(page, moment)}: {contents}"
            + (f"; its page lock is held by {holder}" if holder else ""),
            say=f"frame {page}: {contents}"
            + (f", write {data[1]}" if data else "")
            + (f", locked by {holder}" if holder else ""),
            layer=1,
        )

    def _token(self, mm: Mm, vpn: int, frame: Page, moment: Moment) -> Mark:
        box = self.places.boxes[f"page:{frame}"]
        name = page_name(vpn)
        return Mark(
            f"token:{mm}:{vpn}",
            self.places.panel_of[f"page:{frame}"],
            "token",
            box.x + 8,
            box.y + 15,
            box.w - 16,
            TOKEN_HEIGHT,
            text=(
                Text(name, box.middle, box.y + 30, 13 if len(name) < 4 else 11, 700, anchor="middle", ink="page-edge"),
            ),
            fill="page",
            stroke="page-edge",
            bold=(mm, vpn) in self.in_play,
            radius=6,
            tip=f"the user's page {name} of {mm}: its data is in frame {frame}",
            say=f"{name} is in frame {frame} on node {_node(frame, moment)}",
            layer=5,
        )

    def _copies(self, vpn: int, moment: Moment) -> list[tuple[int, Page, Page]]:
        """The copies of a page; in a run of any order, those that could come now."""
        if self.copies_of is not moment.run:
            self.copies, self.copies_of = copied(moment.run), moment.run
        found = self.copies.get(vpn, [])
        if not moment.run.any_order:
            return found
        return [it for it in found if exists(it[1], moment) and exists(it[2], moment)]

    def _copy(self, mm: Mm, vpn: int, frame: Page, moment: Moment) -> Iterator[Mark]:
        """Where the page will be copied to, from the moment it is unmapped; the copy itself is drawn solid."""
        pte: Pte | None = moment.get(self.ptes[mm, vpn])
        mapped = pte is not None and pte.kind in {"present", "prot_none"}
        if mapped and moment.toucher(frame) is None:
            return
        its = (it for it in self._copies(vpn, moment) if frame in it[1:])  # and not those of another's page
        coming = next((it for it in its if it[0] >= moment.step), None)
        if coming is None:
            return
        at, dst, src = coming
        now = at == moment.step and not moment.run.any_order
        if not now and (moment.get(dst.data) or (None,))[0] == vpn:
            return  # it is there already
        if not now and (mapped or not exists(dst, moment)):
            return
        ends = (f"page:{src}", f"page:{dst}")
        start, end = (self.places.on_plane(it) for it in ends)
        if start is None or end is None:
            return
        high = min(start.y, end.y) - 27
        colour = moment.actor.colour if now and moment.actor else "good"
        words = "copies 4 KiB" if now else "to be copied" if pte is not None else "no copy before the flush"
        yield Mark(
            f"copy:{mm}:{vpn}",
            "machine",
            "arrow",
            points=((start.middle, start.y), ((start.middle + end.middle) / 2, high - 22), (end.middle, end.y)),
            text=(Text(words, (start.middle + end.middle) / 2, high - 1, 10.5, 700, "italic", "middle", colour),),
            stroke=colour,
            dotted=not now,
            bold=True,
            ends=ends,
            layer=4,
            say=f"{page_name(vpn)}: {words}, from frame {src} to frame {dst}",
        )


def places_name(node: int, slot: int) -> str:
    """The id of an empty slot."""
    return f"slot:node{node}:{slot}"


def exists(page: Page, moment: Moment) -> bool:
    """Whether *page* is in use: allocated, and not freed.  The tail of a huge page is counted in its head."""
    head = moment.get(page.first_page)
    return not moment.get(page.life) and moment.get((head or page)._count) > 0


def own_frames(run: Run, ptes: Mapping[tuple[Mm, int], Field]) -> dict[tuple[Mm, int], list[Page]]:
    """For each page the frames that it is ever in: those that its PTE leads to, and the copies of these, in order.

    What is in a frame has the page's number only, and another process has a page of that number too.
    """
    copies: dict[Page, list[Page]] = {}
    for _, dst, src in chain.from_iterable(copied(run).values()):
        copies.setdefault(src, []).append(dst)
    order = {frame: at for at, frame in enumerate(run.frames)}
    found: dict[tuple[Mm, int], list[Page]] = {}
    for page, field in ptes.items():
        its: dict[Page, None] = {}
        for pte in filter(None, run.ever[field]):
            its |= dict.fromkeys(run.ever.get(pte.page.page_tree, ()) if pte.kind == "swap" else (pte.page,))
        todo = [it for it in its if it in order]
        for frame in todo:  # it grows meanwhile
            todo += [it for it in copies.get(frame, ()) if it not in todo]
        found[page] = sorted(set(todo), key=order.__getitem__)
    return found


def whole_huge_pages(run: Run) -> dict[tuple[Mm, int], Field]:
    """The entries of huge pages that are never split, each as that of its first page."""
    found: dict[tuple[Mm, int], Field] = {}
    for field in huge_slots(run):
        mm, number = field.ref, field.key
        if not any(isinstance(it, PageTable) for it in run.ever[field]):
            found[mm, number * PTRS_PER_PTE] = field  # type: ignore[index,operator]  # slots of an Mm, by number
    return found


def _node(page: Page, moment: Moment) -> int:
    return int(moment.get(page.node))


def lifetimes(run: Run) -> dict[Page, tuple[int, int, int]]:
    """For each frame its node and the steps between which it exists."""
    births = {
        page: (int(run.first.get(page.node, 0)), 0, run.length) for page in run.frames if page._count in run.first
    }
    for step, event in enumerate(run.events, 1):
        if isinstance(event.op, Alloc) and isinstance(event.answer, Page):
            node: Any = dict(event.op.init).get("node", 0)
            its = [it.field.ref for it in event.changes if it.field.base == "first_page"]  # of a huge page
            births |= dict.fromkeys((event.answer, *its), (int(node), 0 if run.any_order else step, run.length))
        for change in () if run.any_order else event.changes:
            if change.field.base == "life" and isinstance(change.field.ref, Page) and change.field.ref in births:
                where, first, _ = births[change.field.ref]
                births[change.field.ref] = (where, first, step)
    return births


def _slots(births: dict[Page, tuple[int, int, int]], run: Run) -> dict[Page, int]:
    """A slot of its node for each frame; among those that are there from the start first those that the run touches."""
    slots: dict[Page, int] = {}
    for node in {node for node, *_ in births.values()}:
        its = [page for page, (its_node, *_) in births.items() if its_node == node]
        slots |= slots_of(births, sorted(its, key=lambda it: (births[it][1], it not in run.touched)))
    return slots


def slots_of(births: dict[Page, tuple[int, int, int]], pages: list[Page]) -> dict[Page, int]:
    """A slot for each of *pages*: the first that is free when it comes; it keeps it until it is freed."""
    taken: list[list[tuple[int, int]]] = []
    slots: dict[Page, int] = {}
    for page in pages:
        _, born, dies = births[page]
        free = (at for at, spans in enumerate(taken) if all(dies < first or born > last for first, last in spans))
        slot = next(free, len(taken))
        if slot == len(taken):
            taken.append([])
        taken[slot].append((born, dies))
        slots[page] = slot
    return slots


def copied(run: Run) -> dict[int, list[tuple[int, Page, Page]]]:
    """For each virtual page the copies of it: step, to, from."""
    copies: dict[int, list[tuple[int, Page, Page]]] = {}
    for step, event in enumerate(run.events, 1):
        if isinstance(event.op, CopyPage):
            assert isinstance(event.op.dst, Page) and isinstance(event.op.src, Page)
            for change in event.changes:
                if change.field is event.op.dst.data and change.new is not None:
                    copies.setdefault(change.new[0], []).append((step, event.op.dst, event.op.src))
    return copies
