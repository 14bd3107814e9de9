"""The page table: what each PTE says, in a word and a shape; arrows to the frames of the pages in play."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sim.ops import Field
from sim.structs import PTRS_PER_PTE, Mm, PageTable, Pmd, Pte
from vizlib.layout import TITLE, Box, Places, columns
from vizlib.lenses import Lens, Part
from vizlib.moments import Moment, Run
from vizlib.names import origin, page_name, pte_value, short_frame
from vizlib.scene import Mark, Text

MOST = 8
#: How many pages have an arrow to their frame.
MOST_ARROWS = 3
ACROSS = 4
HEIGHT = 46


class PteLens(Lens):
    """The PTEs of each address space, at most :data:`MOST`: those in play first, then their neighbours."""

    def __init__(self, run: Run, places: Places) -> None:
        self.places = places
        self.slots: list[tuple[Mm, int, Field]] = []
        slots = ptes(run)
        in_play = pages_in_play(run)
        self.arrows = set(in_play[:MOST_ARROWS])
        mms: list[Mm] = list(dict.fromkeys(mm for mm, _ in slots))
        panel = 0
        for mm in mms:
            shown = _window(mm, slots, in_play, run)
            for at in range(0, len(shown), 2 * ACROSS):
                ids, titles, notes = [], [], []
                for first in range(at, min(at + 2 * ACROSS, len(shown)), ACROSS):
                    part = shown[first : first + ACROSS]
                    ids.append(f"pt:{panel}")
                    titles.append(f"Page table of {mm}")
                    notes.append(f"{page_name(part[0])} to {page_name(part[-1])}" if len(part) > 1 else origin(mm, run))
                    panel += 1
                hidden = sum(1 for its, vpn in slots if its is mm and vpn not in shown)
                if hidden:
                    notes[-1] = f"{hidden} more not shown"
                places.row(ids, titles, notes, TITLE + HEIGHT + 8, 12)
                for name, first in zip(ids, range(at, len(shown), ACROSS), strict=False):
                    part = shown[first : first + ACROSS]
                    boxes = columns(Box(8, TITLE, places.panels[name].w - 16, HEIGHT), ACROSS, 6)
                    for vpn, box in zip(part, boxes, strict=False):
                        places.put(f"pte:{mm}:{vpn}", name, box)
                        self.slots.append((mm, vpn, _field(mm, vpn, slots, run)))
        places.bottom += 8

    def parts(self) -> Iterator[Part]:
        """The PTEs and their arrows."""
        for slot in self.slots:
            yield partial(self._slot, *slot)

    def _slot(self, mm: Mm, vpn: int, field: Field, moment: Moment) -> Iterator[Mark]:
        yield self._pte(mm, vpn, field, moment)
        if (mm, vpn) in self.arrows:
            yield from self._arrow(mm, vpn, field, moment)

    def _pte(self, mm: Mm, vpn: int, field: Field, moment: Moment) -> Mark:
        name = f"pte:{mm}:{vpn}"
        box = self.places.boxes[name]
        pte: Pte | None = moment.get(field)
        face, lines = _face(mm, vpn, pte, moment, was=field in moment.memory)
        toucher = moment.toucher(field)
        inks = {"migration": "task3", "prot_none": "task4", "cleared": "bad", "none": "edge"}
        stroke = toucher.colour if toucher else inks.get(face, "muted")
        ink = {"migration": "task3", "prot_none": "task4", "cleared": "bad", "none": "muted", "huge": "muted"}.get(
            face, "ink"
        )
        name_size = 11 if len(page_name(vpn)) < 5 else 9.5
        text = [Text(page_name(vpn), box.x + 6, box.y + 14, name_size, 700, ink="muted")]
        if pte is not None and face == "present":
            bits = ("w" if pte.write else "r") + ("d" if pte.dirty else "")
            text.append(Text(bits, box.right - 6, box.y + 14, 9, anchor="end", ink="muted", mono=True))
        first = box.y + (35 if len(lines) == 1 else 28)
        for number, line in enumerate(lines):
            weight, style = (400, "italic") if face == "none" else (700 if face != "present" else 400, "normal")
            text.append(
                Text(line, box.middle, first + 11.5 * number, _fit(line, box.w), weight, style, "middle", ink)  # type: ignore[arg-type]
            )
        return Mark(
            name,
            self.places.panel_of[name],
            "rect",
            *box,
            text=tuple(text),
            fill={"migration": "task3-soft", "prot_none": "task4-soft"}.get(face, "card"),
            stroke=stroke,
            dashed=face == "migration",
            dotted=face == "prot_none",
            bold=moment.changes(field) or face == "cleared",
            radius=6,
            face=face,
            tip=_tip(vpn, pte, face),
            say=f"PTE of {page_name(vpn)}: {' '.join(lines) if face != 'present' else pte_value(pte)}",
            layer=1,
        )

    def _arrow(self, mm: Mm, vpn: int, field: Field, moment: Moment) -> Iterator[Mark]:
        pte: Pte | None = moment.get(field)
        if pte is None:
            return
        say = f"{page_name(vpn)} {'is migrating from' if pte.kind == 'migration' else 'is in'} frame {pte.page}"
        yield from arrow_to_frame(self.places, f"map:{mm}:{vpn}", f"pte:{mm}:{vpn}", pte, moment.changes(field), say)


def arrow_to_frame(places: Places, name: str, start: str, entry: Pte | Pmd, bold: bool, say: str) -> Iterator[Mark]:
    """The arrow from the mark *start* of an *entry* to the frame that the entry names, if both have a place."""
    ends = (start, f"page:{entry.page}")
    source, frame = (places.on_plane(it) for it in ends)
    if source is None or frame is None:
        return
    migrating = entry.kind == "migration"
    yield Mark(
        name,
        "machine",
        "arrow",
        points=(
            (source.middle, source.bottom),
            (source.middle, source.bottom + 18),
            (frame.middle, frame.y - 22),
            (frame.middle, frame.y),
        ),
        stroke="task3" if migrating else "muted",
        dashed=migrating or entry.kind == "prot_none",
        bold=bold,
        ends=ends,
        layer=3,
        say=say,
    )


def ptes(run: Run) -> dict[tuple[Mm, int], Field]:
    """Every PTE of the run by address space and virtual page, in order of address."""
    found = {}
    for field in run.ever:
        slot: Any = run.tables.get(field.ref) if field.base == "pte" else None
        key: Any = field.key
        if slot is not None:
            found[slot.ref, slot.key * PTRS_PER_PTE + key] = field
    return dict(sorted(found.items(), key=lambda it: (it[0][0].name, it[0][1])))


def pages_in_play(run: Run) -> list[tuple[Mm, int]]:
    """The pages whose PTE the run changes, in the order in which it does."""
    names = {field: page for page, field in ptes(run).items()}
    seen: dict[tuple[Mm, int], None] = {}
    for event in run.events:
        for change in event.changes:
            if change.field in names:
                seen[names[change.field]] = None
    return list(seen)


def _window(mm: Mm, slots: dict[tuple[Mm, int], Field], in_play: list[tuple[Mm, int]], run: Run) -> list[int]:
    wanted = [vpn for its, vpn in in_play if its is mm]
    wanted += [vpn for its, vpn in slots if its is mm and vpn not in wanted]
    for vma in run.first.get(mm.mmap, ()):
        start, end = run.first.get(vma.vm_start, 0), run.first.get(vma.vm_end, 0)
        wanted += [vpn for vpn in range(start, min(end, start + MOST)) if vpn not in wanted and _table(mm, vpn, run)]
    return sorted(wanted[:MOST])


def _table(mm: Mm, vpn: int, run: Run) -> Any:
    values = run.ever.get(mm.pmd[vpn // PTRS_PER_PTE], [])
    return next((it for it in values if isinstance(it, PageTable)), None)


def _field(mm: Mm, vpn: int, slots: dict[tuple[Mm, int], Field], run: Run) -> Field:
    field = slots.get((mm, vpn))
    return field if field is not None else _table(mm, vpn, run).pte[vpn % PTRS_PER_PTE]


def _face(mm: Mm, vpn: int, pte: Pte | None, moment: Moment, *, was: bool) -> tuple[str, list[str]]:
    """The state of a PTE: a word for it, and the lines that say it; *was*: something has stood in it."""
    if isinstance(pmd := moment.get(mm.pmd[vpn // PTRS_PER_PTE]), Pmd) and moment.pte_of(mm, vpn) is not None:
        return "huge", ["in a huge page", f"of {short_frame(pmd.page)}"]
    if pte is None:
        if stale_cpus(mm, vpn, moment):
            return "cleared", ["cleared, yet", "in a TLB"]
        return ("cleared", ["cleared"]) if was and _has_data(vpn, moment) else ("none", ["none"])
    if pte.kind == "migration":
        return "migration", ["migration", f"entry → {short_frame(pte.page)}"]
    if pte.kind == "swap":
        return "swap", ["swapped out", f"→ {pte.page}"]
    if pte.kind == "prot_none":
        return "prot_none", ["no access", f"(hint) {short_frame(pte.page)}"]
    return "present", [f"→ {short_frame(pte.page)}"]


def _has_data(vpn: int, moment: Moment) -> bool:
    """Whether some frame still holds the data of *vpn*, so that its PTE is none only for a moment."""
    for page in moment.run.frames:
        data = moment.get(page.data)
        if data is not None and data[0] == vpn and not moment.get(page.life):
            return True
    return False


def stale_cpus(mm: Mm, vpn: int, moment: Moment) -> list[Any]:
    """The CPUs whose TLB still holds (*mm*, *vpn*)."""
    cpus = dict.fromkeys(it.cpu for it in moment.run.actors)
    return [cpu for cpu in cpus if moment.get(cpu.tlb[mm, vpn]) is not None]


def _fit(line: str, width: float) -> float:
    """The size in which *line* fits."""
    return max(7.5, min(10.5, (width - 6) / (0.6 * max(len(line), 1))))


def _tip(vpn: int, pte: Pte | None, face: str) -> str:
    page = page_name(vpn)
    match face:
        case "present" if pte is not None:
            rights = "readable and writable" if pte.write else "read-only"
            return f"{page} is in frame {pte.page}, {rights}{', written to' if pte.dirty else ''}"
        case "migration":
            return f"{page} is being moved: who touches it waits until the page lock of the old frame is released"
        case "swap":
            return f"{page} has been swapped out: who touches it brings it back from the swap slot"
        case "prot_none":
            return f"{page} may not be touched: the next access faults, so that the kernel sees who uses it"
        case "huge":
            return f"{page} is part of a huge page: this page table is not in use yet"
        case "cleared":
            return f"the PTE of {page} is cleared, and a CPU may still use what it remembers"
    return f"nothing is mapped at {page}"
