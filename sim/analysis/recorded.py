"""What a recording of a real kernel says of a migration: counts and order of events, beside the model's.

The names are those of :data:`sim.engines.counts.COUNTS`, so that the two can be set side by side.  Counted is what
stands between the marks ``BEGIN`` and ``END`` (``trace_marker``), or the whole section if it has none.  Calls are those
of the function tracers; those that kprobes tell of count where no function was traced.  A count of 0 may also mean that
nobody recorded that function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sim.engines import counts
from sim.engines.timed_run import TimedRun
from sim.ftrace import MARK, Record
from sim.machine import Event
from sim.ops import CopyPage, HandleIpi, SendIpi

#: Which call counts as what: by function and caller, where "" is any.  Modern kernels inline remove_migration_ptes.
CALLS: Final[Mapping[tuple[str, str], str]] = {
    ("rmap_walk_anon", "try_to_migrate"): "unmap_walks",
    ("rmap_walk_anon", "try_to_unmap"): "unmap_walks",
    ("rmap_walk_anon", "migrate_folio_move"): "remap_walks",
    ("rmap_walk_anon", "migrate_pages_batch"): "remap_walks",
    ("rmap_walk_anon", "remove_migration_ptes"): "remap_walks",
    ("rmap_walk_anon", "rmap_walk"): "remap_walks",
    ("down_read_trylock", "folio_lock_anon_vma_read"): "anon_vma_locks",
    ("down_read", "folio_lock_anon_vma_read"): "anon_vma_locks",
    ("down_read_trylock", "rmap_walk_anon"): "anon_vma_locks",
    ("down_read", "rmap_walk_anon"): "anon_vma_locks",
    ("flush_tlb_mm_range", ""): "tlb_flushes",
    ("arch_tlbbatch_flush", ""): "tlb_flushes",
    ("folio_copy", ""): "page_copies",
    ("folio_mc_copy", ""): "page_copies",
    ("migrate_page_copy", ""): "page_copies",
    ("try_to_migrate_one", ""): "pte_visits_unmap",
    ("try_to_unmap_one", ""): "pte_visits_unmap",
    ("remove_migration_pte", ""): "pte_visits_remap",
    ("migration_entry_wait", ""): "migration_entry_waits",
}

#: What the order of events is told in.
UNMAP, SEND, RECEIPT, COPY, REMAP = "unmap", "send", "receipt", "copy", "remap"
_ORDER: Final = {"unmap_walks": UNMAP, "page_copies": COPY, "remap_walks": REMAP}

#: A kprobe does not say who called: the walk is that of the last of these that its thread has passed.
_WALKS: Final = {
    "try_to_migrate": "unmap_walks",
    "try_to_unmap": "unmap_walks",
    "migrate_folio_move": "remap_walks",
    "move_to_new_folio": "remap_walks",
    "move_to_new_page": "remap_walks",
    "remove_migration_ptes": "remap_walks",
}

#: So many events of an order are kept: a recording of a gigabyte shall not stay in memory.
LONGEST_ORDER: Final = 100_000
#: So many threads are remembered by the walk that they are at.
_THREADS: Final = 10_000

#: How many events a cycle has at most in :func:`in_short`.
_CYCLE: Final = 40

#: Counts that a recording does not have: faults of the program itself stand among those of the others.
LEFT_OUT: Final = ("faults",)


@dataclass
class Told:
    """How often each thing happened, and in what order, as far as :data:`LONGEST_ORDER`."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(counted_names(), 0))
    order: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """One more of what is called *name*."""
        self.counts[name] += 1
        if name in _ORDER:
            self.then(_ORDER[name])

    def then(self, what: str) -> None:
        """*what* is next."""
        if len(self.order) < LONGEST_ORDER:
            self.order.append(what)


@dataclass
class Section(Told):
    """One section of a recording: how often each thing happened, and in what order."""

    _over: bool = False
    _probed: Told = field(default_factory=Told)  # the same by kprobes
    _walk: dict[int, str] = field(default_factory=dict)  # which walk the thread is at, by its kprobes

    def see(self, record: Record) -> None:
        """Take one record into account."""
        if record.name == MARK:
            self._mark(record.detail)
        elif not self._over:
            if record.kind == "function":
                if (name := _counted(record)) is not None:
                    self.add(name)
            elif record.kind == "probe":
                self._probe(record)
            elif record.name == "tlb_flush":
                self._flush(record.detail)

    def _mark(self, said: str) -> None:
        if said.startswith("BEGIN"):
            self.counts, self.order, self._over = dict.fromkeys(counted_names(), 0), [], False
            self._probed, self._walk = Told(), {}
        elif said.startswith("END"):
            self._over = True

    def _probe(self, record: Record) -> None:
        if record.name in _WALKS:
            if len(self._walk) >= _THREADS:
                self._walk.clear()
            self._walk[record.pid] = _WALKS[record.name]
        name = _counted(record)
        if name is None and record.name == "rmap_walk_anon":
            name = self._walk.get(record.pid)
        if name is not None:
            self._probed.add(name)

    def _flush(self, said: str) -> None:
        for it in (self, self._probed):
            if "remote ipi send" in said:
                it.then(SEND)
            elif "remote shootdown" in said:
                it.counts["ipis_received"] += 1
                it.then(RECEIPT)

    def closed(self) -> Section:
        """The section at its end: what kprobes told takes the place of calls if there are none."""
        calls = [it for it in counted_names() if it != "ipis_received"]
        if not any(self.counts[it] for it in calls):
            self.counts, self.order = self._probed.counts, self._probed.order
        return self


def _counted(record: Record) -> str | None:
    """As what a call counts, by who called where that matters."""
    return CALLS.get((record.name, record.caller)) or CALLS.get((record.name, ""))


def counted_names() -> list[str]:
    """The counts that a recording and the model both have."""
    return [name for name in counts.COUNTS if name not in LEFT_OUT]


def sections(records: Iterable[Record]) -> dict[str, Section]:
    """The sections of a recording that have anything in them, by name."""
    found: dict[str, Section] = {}
    for record in records:
        found.setdefault(record.section, Section()).see(record)
    return {name: it for name, it in found.items() if any(it.closed().counts.values())}


def modelled(run: TimedRun) -> Section:
    """The same of a run of the model that recorded its events."""
    return Section({name: run.counts[name] for name in counted_names()}, list(_told(run.events)))


def _told(events: Iterable[Event]) -> Iterator[str]:
    """The order of a run.  A send is the tracepoint's, which newer kernels pass also if all whom they ask are lazy."""
    traced = False
    for event in events:
        for it in event.points:
            if counts.POINTS.get(it) in _ORDER:
                yield _ORDER[counts.POINTS[it]]
            elif it == "tlb_flush_remote_send":
                traced = True
                yield SEND
        match event.op:
            case CopyPage():
                yield COPY
            case SendIpi() if event.answer and not traced:
                yield SEND
            case HandleIpi():
                yield RECEIPT


def in_short(order: Sequence[str]) -> str:
    """An order with what repeats taken together: ``4 times (unmap, send, 3 times receipt, copy, remap)``."""
    parts, at = [], 0
    while at < len(order):
        times, length = _repeated(order, at)
        part = list(order[at : at + length])
        told = in_short(part) if length > 1 else part[0]
        parts.append(told if times == 1 else f"{times} times ({told})" if length > 1 else f"{times} times {told}")
        at += times * length
    return ", ".join(parts)


def _repeated(order: Sequence[str], at: int) -> tuple[int, int]:
    """How often how many of the next events repeat at once: the repetition that covers most, the shortest of those."""
    best = 1, 1
    for length in range(1, min(_CYCLE, (len(order) - at) // 2) + 1):
        cycle, times = order[at : at + length], 1
        while order[at + times * length : at + (times + 1) * length] == cycle:
            times += 1
        if times > 1 and times * length > best[0] * best[1]:
            best = times, length
    return best


def differences(recorded: Section, model: Section) -> list[dict[str, Any]]:
    """Where the two part: counts that differ, and the first place at which their orders do."""
    found: list[dict[str, Any]] = [
        {"what": name, "recorded": recorded.counts[name], "model": model.counts[name]}
        for name in counted_names()
        if recorded.counts[name] != model.counts[name]
    ]
    at = next((n for n, pair in enumerate(zip(recorded.order, model.order, strict=False)) if pair[0] != pair[1]), None)
    if at is None and len(recorded.order) != len(model.order):
        at = min(len(recorded.order), len(model.order))
    if at is not None:
        theirs, ours = (it.order[at] if at < len(it.order) else "nothing more" for it in (recorded, model))
        found.append({"what": f"order, event {at + 1}", "recorded": theirs, "model": ours})
    return found
