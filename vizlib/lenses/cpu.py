"""CPUs and their TLBs: which translations each remembers, and which of them are stale."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sim.ops import FlushTlb, HandleIpi, Invlpg, Op
from sim.structs import Cpu, TlbEntry
from sim.wording import times
from vizlib.layout import TITLE, Box, Places, rows
from vizlib.lenses import Lens, Part
from vizlib.moments import Actor, Moment, Run, cpu_name
from vizlib.names import flushed_pages, listed, page_name, pages_name
from vizlib.scene import Mark, Text

MOST = 8
SLOT_WIDTH, SLOT_HEIGHT, SLOT_GAP = 40, 20, 4
HEIGHT = TITLE + 66


class CpuLens(Lens):
    """CPUs with a thread on them, at most :data:`MOST`."""

    def __init__(self, run: Run, places: Places) -> None:
        self.run = run
        self.places = places
        threads = [it for it in run.actors if it.kind != "handler"]
        everybody = sorted({it.cpu for it in threads}, key=_number)
        self.cpus = everybody[:MOST]
        self.hidden = len(everybody) - len(self.cpus)
        self.threads: dict[Cpu, list[Actor]] = {cpu: [it for it in threads if it.cpu is cpu] for cpu in self.cpus}
        across = -(-len(self.cpus) // rows(len(self.cpus), 4)) if self.cpus else 1
        for at in range(0, len(self.cpus), across):
            part = self.cpus[at : at + across]
            notes = [f"node {run.first.get(cpu.node, 0)}" for cpu in part]
            if self.hidden and at + across >= len(self.cpus):
                notes[-1] = f"and {self.hidden} more"
            places.row([f"cpu:{cpu}" for cpu in part], [cpu_name(cpu) for cpu in part], notes, HEIGHT, 12)
        self.slots: dict[tuple[Cpu, Any], Box] = {}
        self.order: dict[Cpu, list[Any]] = {cpu: [] for cpu in self.cpus}
        self.room = 0
        for cpu in self.cpus:
            panel = places.panels[f"cpu:{cpu}"]
            places.put(f"cpu:{cpu}", panel.id, Box(0, 0, panel.w, panel.h))
            self.room = int((panel.w - 42) // (SLOT_WIDTH + SLOT_GAP))
        for field in run.ever:
            if field.base == "tlb" and field.ref in self.order:
                keys = self.order[field.ref]
                x = 36 + (len(keys) % self.room) * (SLOT_WIDTH + SLOT_GAP)
                self.slots[field.ref, field.key] = Box(x, TITLE + 22, SLOT_WIDTH, SLOT_HEIGHT)
                keys.append(field.key)

    def parts(self) -> Iterator[Part]:
        """The CPUs and what each is busy with, the slots of its TLB, and the entries in them."""
        for cpu in self.cpus:
            yield partial(self._cpu, cpu)
            yield partial(self._slots, cpu)
            yield partial(self._entries, cpu)

    def _cpu(self, cpu: Cpu, moment: Moment) -> Iterator[Mark]:
        box = self.places.boxes[f"cpu:{cpu}"]
        on = self.threads[cpu][0]
        asleep = moment.finished(on) or (moment.waits_for(on) is not None and not _busy(on, moment))
        words, ink = _status(cpu, moment, narrow=box.w < 200)
        text = [
            Text(on.name, 10, TITLE + 13, 11.5, 700, ink=on.colour),
            Text("idle" if asleep else "", box.w - 10, TITLE + 13, 10.5, style="italic", anchor="end", ink="muted"),
            Text("TLB", 10, TITLE + 36, 9.5, 700, ink="muted"),
        ]
        if words:
            text.append(Text(words, 10, TITLE + 58, 10, 600 if ink != "muted" else 400, ink=ink))
        acts = isinstance(_flush_on(cpu, moment), HandleIpi)
        yield Mark(
            f"cpu:{cpu}",
            f"cpu:{cpu}",
            "rect",
            *box,
            text=tuple(it for it in text if it.s),
            stroke=on.colour if acts else "none",
            bold=acts,
            say=f"{cpu_name(cpu)}, {on.name}{', idle' if asleep else ''}{': ' + words if words else ''}",
        )

    def _slots(self, cpu: Cpu, _: Moment) -> Iterator[Mark]:
        for slot in range(self.room):
            box = Box(36 + slot * (SLOT_WIDTH + SLOT_GAP), TITLE + 22, SLOT_WIDTH, SLOT_HEIGHT)
            yield Mark(f"tlb:{cpu}:slot{slot}", f"cpu:{cpu}", "rect", *box, fill="paper", stroke="edge", radius=4)

    def _entries(self, cpu: Cpu, moment: Moment) -> Iterator[Mark]:
        shown: dict[Box, Mark] = {}
        for key in self.order[cpu]:
            entry = moment.get(cpu.tlb[key])
            if entry is not None:
                box = self.slots[cpu, key]
                shown[box] = self._entry(cpu, key, entry, box, moment)
        yield from shown.values()

    def _entry(self, cpu: Cpu, key: Any, entry: TlbEntry, box: Box, moment: Moment) -> Mark:
        mm, vpn = key
        stale = is_stale(mm, vpn, entry, moment)
        toucher = moment.toucher(cpu.tlb[key])
        ink = toucher.colour if toucher else "bad" if stale else "muted"
        state = "stale" if stale else "dirty" if entry.dirty else "clean"
        page = page_name(vpn)
        size = 9.5 if stale or len(page) > 4 else 11
        return Mark(
            f"tlb:{cpu}:{mm}:{vpn}",
            f"cpu:{cpu}",
            "rect",
            *box,
            text=(
                Text(page, box.middle, box.y + (9.5 if stale else 14), size, 700, anchor="middle"),
                *((Text("stale", box.middle, box.y + 17.5, 8.5, 700, anchor="middle", ink="bad"),) if stale else ()),
            ),
            fill="card" if stale else "well",
            stroke=ink,
            dashed=stale,
            bold=toucher is not None or stale,
            radius=4,
            face=state,
            tip=f"{cpu_name(cpu)} remembers that {page} is in frame {entry.page}"
            + (", which is no longer what the page table says" if stale else ""),
            say=f"TLB of {cpu_name(cpu)}: {page} → {entry.page}, {state}",
            layer=1,
        )


def _number(cpu: Cpu) -> tuple[int, str]:
    digits = "".join(it for it in cpu.name if it.isdigit())
    return int(digits or 0), cpu.name


def _busy(actor: Actor, moment: Moment) -> bool:
    """Whether a blocked thread keeps its CPU: it spins for a spinlock, or for answers to its interrupt."""
    field = moment.waits_for(actor)
    if field is None or field.lock is not None:
        return field is not None and field.lock is not None and not field.lock.sleeps
    return not getattr(moment.pending.get(actor.task), "sleeps", False)


def is_stale(mm: Any, vpn: int, entry: TlbEntry, moment: Moment) -> bool:
    """Whether *entry* says what the page table no longer says."""
    pte = moment.pte_of(mm, vpn)
    return pte is None or pte.kind != "present" or pte.page is not entry.page


def _flush_on(cpu: Cpu, moment: Moment) -> Op | None:
    """The step, if it takes entries out of the TLB of *cpu*."""
    its = (moment.flush_by(it) for it in moment.run.actors if it.cpu is cpu)
    return next((it for it in its if it is not None), None)


def _status(cpu: Cpu, moment: Moment, *, narrow: bool) -> tuple[str, str]:
    """What *cpu* is busy with, and the colour of the words."""
    requests = moment.get(cpu.call_single_queue)
    if requests:
        pages = listed(flushed_pages(it) for it in requests)
        return f"IPI: drop {pages}" if narrow else f"interrupt pending: drop {pages}", "bad"
    waiting = moment.get(cpu.csd_pending)
    if waiting:
        return f"waits for {times(waiting, 'answer')}", "wash-edge"
    if moment.get(cpu.is_lazy):
        return "lazy" if narrow else "lazy: no thread of it runs", "muted"
    op = _flush_on(cpu, moment)
    if isinstance(op, HandleIpi):
        keys = [it.key for it in moment.changed if it.base == "tlb" and isinstance(it.key, tuple)]
        dropped = f"dropped {listed(page_name(it[1]) for it in keys)}, " if keys else ""
        return f"{dropped}answered", "good"
    if isinstance(op, FlushTlb):
        return "made what it lacked" if moment.event and moment.event.answer else "lacks no flush", "muted"
    if isinstance(op, Invlpg):
        return f"dropped {pages_name(op.vpn, op.end)} itself", "muted"
    return "", "muted"
