"""What is counted in a run: one function, for the timed engine and for traces alike.

Counting starts after set-up.  Two more counts need a clock, because a schedule does not say who slept: the timed
engine adds ``anon_vma_lock_waits`` and ``context_switches``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sim.invariants import Memory
from sim.machine import BLOCKED, Event
from sim.ops import Acquire, CopyPage, Field, HandleIpi, Op, TryAcquire
from sim.structs import PTRS_PER_PTE, AnonVma, PageTable, Pmd, Pte

#: What a schedule determines, and what each count means.
COUNTS: Final[dict[str, str]] = {
    "unmap_walks": "walks of try_to_unmap_anon through an interval tree",
    "remap_walks": "walks of rmap_walk_anon through an interval tree",
    "anon_vma_locks": "how often a root anon_vma's lock was taken, in any mode",
    "tlb_flushes": "calls of flush_tlb_page",
    "ipis_received": "interrupt handlers run",
    "page_copies": "pages copied from frame to frame",
    "pte_visits_unmap": "PTEs looked at by an unmap walk",
    "pte_visits_remap": "PTEs looked at by a remap walk",
    "faults": "page faults",
    "migration_entry_waits": "faults that waited for a page to finish moving",
}

#: What only a clock determines.
TIMED_COUNTS: Final[dict[str, str]] = {
    "anon_vma_lock_waits": "how often a root anon_vma's lock could not be had at once by who had to have it",
    "context_switches": "how often a thread gave up its CPU: each sleep, and its exit",
}

#: Which count each tracepoint adds to.
POINTS: Final[dict[str, str]] = {
    "unmap_walk": "unmap_walks",
    "remap_walk": "remap_walks",
    "tlb_flush": "tlb_flushes",
    "pte_visit_unmap": "pte_visits_unmap",
    "pte_visit_remap": "pte_visits_remap",
    "fault": "faults",
    "migration_entry_wait": "migration_entry_waits",
}


def counted(op: Op, answer: Any) -> str | None:
    """The count that *op* adds one to, given its *answer*; None if it adds to none."""
    if isinstance(op, HandleIpi):
        return "ipis_received"
    if isinstance(op, CopyPage):
        return "page_copies"
    if isinstance(op, Acquire):
        return "anon_vma_locks" if is_anon_vma_lock(op) and answer is not BLOCKED else None
    if isinstance(op, TryAcquire):
        return "anon_vma_locks" if is_anon_vma_lock(op) and answer else None
    return None


def is_anon_vma_lock(op: Acquire | TryAcquire) -> bool:
    """Whether *op* takes the lock of an anon_vma."""
    return isinstance(op.lock.ref, AnonVma)


def count(events: Iterable[Event], first_points: Iterable[str] = ()) -> dict[str, int]:
    """The counts of *events*; *first_points* are the tracepoints passed before the first of them."""
    counts = dict.fromkeys(COUNTS, 0)
    for name in first_points:
        if name in POINTS:
            counts[POINTS[name]] += 1
    for event in events:
        if event.outcome != "bug" and (what := counted(event.op, event.answer)) is not None:
            counts[what] += 1
        for point in event.points:
            if point in POINTS:
                counts[POINTS[point]] += 1
    return counts


def pages_migrated(before: Memory, after: Mapping[Field, Any]) -> int:
    """How many frames took the place of a frame of another node; a frame that relatives share counts once.

    Of a huge page each frame counts, whether it has moved whole or in pieces.
    """
    moved = set()
    for place, value in before.items():
        if place.base == "pte" or isinstance(value, Pmd):
            for old, new in zip(_ptes(before, value), _ptes(after, after.get(place)), strict=False):
                if _maps(old) and _maps(new) and _node(before, old) != _node(after, new):
                    moved.add(new.page)
    return len(moved)


def _ptes(memory: Mapping[Field, Any], value: Any) -> Iterator[Any]:
    """The PTEs in a page table, or what PTEs would say of a huge page; or the one PTE."""
    if isinstance(value, Pmd):
        yield from (Pte(value.kind, page) for page in (value.page, *memory.get(value.page.tails, ())))
    elif isinstance(value, PageTable):
        yield from (memory.get(value.pte[number]) for number in range(PTRS_PER_PTE))
    else:
        yield value


def _maps(pte: Pte | None) -> bool:
    return pte is not None and pte.kind in {"present", "prot_none"}


def _node(memory: Mapping[Field, Any], pte: Pte) -> int:
    return int(memory.get(pte.page.node, pte.page.node.default))
