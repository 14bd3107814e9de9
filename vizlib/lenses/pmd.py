"""The page directory, where it maps huge pages: what each entry says, and an arrow to the huge page's head.

A run without huge pages has no such panel: there the page directory holds page tables, and :mod:`vizlib.lenses.pte`
shows what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sim.ops import Field
from sim.structs import PTRS_PER_PTE, Mm, Pmd
from vizlib.layout import TITLE, Box, Places, columns
from vizlib.lenses import Lens, Part
from vizlib.lenses.pte import arrow_to_frame
from vizlib.moments import Moment, Run
from vizlib.names import page_name, pmd_value, short_frame
from vizlib.scene import Mark, Text

MOST = 2
BESIDE = 2
HEIGHT = 46
NOTE = "one entry for 2 MiB"

#: For each state of an entry: the colour of its edge, and its two lines, the second of which may name the frame.
FACES: dict[str, tuple[str, str, str]] = {
    "huge": ("muted", "huge page", "→ {frame}"),
    "splitting": ("bad", "splitting", "→ {frame}"),
    "not_present": ("bad", "closed, splitting", "→ {frame}"),
    "prot_none": ("task4", "no access", "(hint) {frame}"),
    "migration": ("task3", "migration", "entry → {frame}"),
    "table": ("muted", "page table", "{frame}"),
    "none": ("edge", "none", ""),
}


class PmdLens(Lens):
    """The entries that map a huge page at some time, at most :data:`MOST` of each address space."""

    def __init__(self, run: Run, places: Places) -> None:
        self.places = places
        self.slots: list[tuple[Mm, int, Field]] = []
        by_mm: dict[Mm, list[Field]] = {}
        for field in huge_slots(run):
            by_mm.setdefault(field.ref, []).append(field)  # type: ignore[arg-type]  # pmd is a field of Mm
        mms = list(by_mm)
        for at in range(0, len(mms), BESIDE):
            part = mms[at : at + BESIDE]
            notes = [f"{len(by_mm[mm]) - MOST} more not shown" if len(by_mm[mm]) > MOST else NOTE for mm in part]
            titles = [f"Page directory of {mm}" for mm in part]
            places.row([f"pd:{mm}" for mm in part], titles, notes, TITLE + HEIGHT + 8, 12)
        for mm in mms:
            boxes = columns(Box(8, TITLE, places.panels[f"pd:{mm}"].w - 16, HEIGHT), MOST, 6)
            for field, box in zip(by_mm[mm], boxes, strict=False):
                number: Any = field.key
                places.put(f"pmd:{mm}:{number}", f"pd:{mm}", box)
                self.slots.append((mm, number, field))
        if by_mm:
            places.bottom += 8

    def parts(self) -> Iterator[Part]:
        """The entries and their arrows."""
        for slot in self.slots:
            yield partial(self._slot, *slot)

    def _slot(self, mm: Mm, number: int, field: Field, moment: Moment) -> Iterator[Mark]:
        value = moment.get(field)
        yield self._entry(mm, number, field, value, moment)
        if isinstance(value, Pmd):
            yield from self._arrow(mm, number, field, value, moment)

    def _entry(self, mm: Mm, number: int, field: Field, value: Any, moment: Moment) -> Mark:
        name = f"pmd:{mm}:{number}"
        box = self.places.boxes[name]
        face = _face(value)
        edge, first, second = FACES[face]
        toucher = moment.toucher(field)
        frame = short_frame(value.page) if isinstance(value, Pmd) else str(value)
        lines = [it for it in (first, second.format(frame=frame)) if it]
        pages = f"{page_name(number * PTRS_PER_PTE)} to {page_name((number + 1) * PTRS_PER_PTE - 1)}"
        text = [Text(pages, box.x + 6, box.y + 13, 9, 700, ink="muted")]
        if isinstance(value, Pmd):
            bits = ("w" if value.write else "r") + ("d" if value.dirty else "")
            text.append(Text(bits, box.right - 6, box.y + 13, 9, anchor="end", ink="muted", mono=True))
        for at, line in enumerate(lines):
            text.append(Text(line, box.middle, box.y + 27 + 12 * at, 10, 700 if at == 0 else 400, anchor="middle"))
        return Mark(
            name,
            self.places.panel_of[name],
            "rect",
            *box,
            text=tuple(text),
            fill={"migration": "task3-soft", "prot_none": "task4-soft"}.get(face, "card"),
            stroke=toucher.colour if toucher else edge,
            dashed=face == "migration",
            dotted=face == "prot_none",
            bold=moment.changes(field) or face in {"splitting", "not_present"},
            radius=6,
            face=face,
            tip=_tip(pages, value, face, frame),
            say=f"PMD of {pages}: {pmd_value(value)}",
            layer=1,
        )

    def _arrow(self, mm: Mm, number: int, field: Field, value: Pmd, moment: Moment) -> Iterator[Mark]:
        say = f"the huge page {'is migrating from' if value.kind == 'migration' else 'begins with'} frame {value.page}"
        name, start = f"map:{mm}:huge:{number}", f"pmd:{mm}:{number}"
        yield from arrow_to_frame(self.places, name, start, value, moment.changes(field), say)


def huge_slots(run: Run) -> list[Field]:
    """The places in page directories that map a huge page at some time, in order of address."""
    found = [it for it, values in run.ever.items() if it.base == "pmd" and any(isinstance(at, Pmd) for at in values)]
    return sorted(found, key=lambda it: (it.ref.name, it.key))


def _face(value: Any) -> str:
    if not isinstance(value, Pmd):
        return "none" if value is None else "table"
    if value.kind == "present":
        return "splitting" if value.splitting else "huge"
    return value.kind


def _tip(pages: str, value: Any, face: str, frame: str) -> str:
    match face:
        case "huge":
            rights = "readable and writable" if value.write else "read-only"
            return f"{pages} are one huge page from frame {frame} on, {rights}{', written to' if value.dirty else ''}"
        case "splitting":
            return f"the huge page of {pages} is being split: user code goes on, the kernel waits"
        case "not_present":
            return f"the huge page of {pages} is closed for a moment, so that no TLB knows it huge and small at once"
        case "prot_none":
            return f"{pages} may not be touched: the next access faults, so that the kernel sees who uses the huge page"
        case "migration":
            return (
                f"the huge page of {pages} is being moved whole: who touches it waits until its page lock is released"
            )
        case "table":
            return f"{pages} are small pages, in page table {frame}"
    return f"nothing is mapped at {pages}"
