"""Flushes that are put off: what a batch costs, what it remembers, and what others do about it."""

from __future__ import annotations

from typing import Any

import pytest

from sim.engines.timed import run as timed_run
from sim.invariants import FLUSHED_BEFORE_FORGOTTEN, Violation
from sim.kernel.batch.pgtable_generic import ptep_clear_flush
from sim.kernel.batch.rmap import (
    exit_tlb_ubc,
    flush_tlb_batched_pending,
    init_tlb_ubc,
    set_tlb_ubc_flush_pending,
    should_defer_flush,
    try_to_unmap_flush,
    try_to_unmap_flush_dirty,
)
from sim.kernel.migrate import sys_move_pages
from sim.kernel.mmap import sys_munmap
from sim.kernel.mprotect import PROT_READ, sys_mprotect
from sim.kernel.mremap import sys_mremap
from sim.kernel.swap import put_page
from sim.ops import CopyPage, Free, HandleIpi, Invlpg, SendIpi, Until
from sim.structs import Cpu, Mm, PageTable, Pte, TlbEntry, TlbflushUnmapBatch
from sim.user import user_write

PT = PageTable("pt0")
BATCH = "batch_2mb"
CPU1, CPU2 = Cpu("cpu1"), Cpu("cpu2")


def mover(b: Any, *vpns: int, passes: int = 10) -> None:
    b.spawn("mover", lambda k: sys_move_pages(k, b.p, vpns, 1, passes))


def touched(b: Any, run: Any, *vpns: int) -> None:
    """CPU 1 has these pages in its TLB, as they stand in the page table."""
    for vpn in vpns:
        pte = run[PT.pte[vpn]]
        run.machine.memory[b.cpu1.tlb[b.p, vpn]] = TlbEntry(pte.page, pte.write, pte.dirty)


def idle(b: Any) -> None:
    """Somebody of P on CPU 1, who does nothing but keep it in the mask."""
    b.spawn("idler", lambda k: user_write(k, 7), cpu=1)


# --- what a batch costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spinners", "ipis"), [(1, 1), (3, 3)])
def test_two_mib_take_1024_locks_and_one_flush(spinners: int, ipis: int) -> None:
    """512 pages: two walks and two locks each as ever, and one round of interrupts for all."""
    counts = timed_run("move_pages", BATCH, pages=512, spinners=spinners).counts
    assert (counts["unmap_walks"], counts["remap_walks"], counts["page_copies"]) == (512, 512, 512)
    assert (counts["anon_vma_locks"], counts["tlb_flushes"], counts["ipis_received"]) == (1024, 1, ipis)


def test_a_page_more_than_2_mib_is_a_batch_more() -> None:
    """513 pages: two flushes."""
    counts = timed_run("move_pages", BATCH, pages=513, spinners=1).counts
    assert (counts["tlb_flushes"], counts["page_copies"]) == (2, 513)


def test_a_process_on_one_cpu_is_not_batched(bench: Any) -> None:
    """Nobody would be interrupted, so each PTE is dropped from this CPU's TLB at once."""
    b = bench()
    for vpn in range(3):
        b.page(b.heap, vpn, node=0, written=1)
    mover(b, 0, 1, 2)
    run = b.start(BATCH)
    assert run.all() is None
    assert (run.points["tlb_flush"], run.ops(Invlpg), run.ops(SendIpi), b.results["mover"]) == (3, 3, 0, 0)


def test_all_are_unmapped_then_flushed_then_copied_and_freed_last(bench: Any) -> None:
    """The order that the rules B1 and B2 ask for."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, written=1) for vpn in range(3)]
    mover(b, 0, 1, 2)
    idle(b)
    run = b.start(BATCH)
    touched(b, run, 0, 1, 2)
    run.only("mover")
    at = [i for i, event in enumerate(run.events) if type(event.op) is CopyPage]
    freed = [i for i, event in enumerate(run.events) if type(event.op) is Free]
    (sent,) = (i for i, event in enumerate(run.events) if type(event.op) is SendIpi)
    (waited,) = (i for i, event in enumerate(run.events) if type(event.op) is Until)
    unmapped = max(
        i for i, event in enumerate(run.events) for change in event.changes if change.new == Pte("migration", pages[2])
    )
    assert unmapped < sent < waited < at[0] <= at[-1] < freed[0]
    assert run.ops(HandleIpi) == 1
    assert [run[b.cpu1.tlb[b.p, vpn]] for vpn in range(3)] == [None] * 3


def test_what_does_not_go_in_a_batch_goes_singly(bench: Any) -> None:
    """A page that somebody has pinned, and a page that somebody has locked: put back, and tried again."""
    b = bench()
    pinned = b.page(b.heap, 0, node=0, written=1, pins=1)
    b.page(b.heap, 1, node=0, written=1)
    mover(b, 0, 1)

    def unpin(k: Any) -> Any:
        yield pinned.pins.add(-1)
        yield from put_page(k, pinned)

    b.spawn("device", unpin, cpu=1)
    run = b.start(BATCH)
    run.only("mover", until=lambda event: any(change.new == Pte("present", pinned) for change in event.changes))
    run.only("device")
    assert run.all() is None
    assert b.results["mover"] == 0
    assert run[PT.pte[0]].page is not pinned
    assert run.taken("mutex") == 2 * 2 + 2  # both in the batch, one of them again


# --- what a batch remembers ----------------------------------------------------------------------------------------


def test_a_batch_remembers_pages_cpus_and_whether_any_can_write(alone: Any, bench: Any) -> None:
    """Pages that follow each other are one range; the CPUs are those of every address space in it."""
    b = bench()
    other = Mm("Q")
    it = alone({**b.memory, b.p.cpu_vm_mask: (CPU1,), other.cpu_vm_mask: (CPU2,)})
    assert it.call(init_tlb_ubc(it.k)) is True
    assert it.call(init_tlb_ubc(it.k)) is False
    for mm, vpn, dirty in [(b.p, 3, False), (b.p, 4, True), (other, 9, False)]:
        it.call(set_tlb_ubc_flush_pending(it.k, mm, vpn, dirty))
    batch = it.get(it.k.current.tlb_ubc)
    assert batch == TlbflushUnmapBatch(True, True, (CPU1, CPU2), ((b.p, 3, 5), (other, 9, 10)))
    assert (it.get(b.p.tlb_flush_batched), it.get(other.tlb_flush_batched)) == ((3, 5), (9, 10))


def test_one_interrupt_tells_a_cpu_of_all_address_spaces(bench: Any) -> None:
    """Pages of P and of Q are pending: one round, and both are dropped."""
    b = bench()
    q = b.mm("Q")

    def flush(k: Any) -> Any:
        yield from init_tlb_ubc(k)
        yield from set_tlb_ubc_flush_pending(k, b.p, 0, True)
        yield k.current.tlb_ubc.set(TlbflushUnmapBatch(True, True, (b.cpu1,), ((b.p, 0, 1), (q, 5, 6))))
        yield from try_to_unmap_flush(k)
        yield from exit_tlb_ubc(k)

    b.spawn("flusher", flush)
    idle(b)
    page = b.page(b.heap, 0, node=0)
    run = b.start(BATCH)
    for mm, vpn in [(b.p, 0), (q, 5)]:
        run.machine.memory[b.cpu1.tlb[mm, vpn]] = TlbEntry(page, True, True)
    run.machine.memory[PT.pte[0]] = None
    run.only("flusher")
    assert (run.ops(SendIpi), run.ops(HandleIpi), run.points["tlb_flush"]) == (1, 1, 1)
    assert [run[b.cpu1.tlb[mm, vpn]] for mm, vpn in [(b.p, 0), (q, 5)]] == [None, None]


def test_only_what_can_be_written_is_flushed_by_the_lesser_flush(alone: Any, bench: Any) -> None:
    """Clean entries may wait: the hardware asks the page table before a first write."""
    b = bench()
    it = alone({**b.memory, b.p.cpu_vm_mask: (Cpu("cpu0"), CPU1), PT.pte[0]: None})
    it.call(init_tlb_ubc(it.k))
    for dirty, flushes in [(False, 0), (True, 1)]:
        it.call(set_tlb_ubc_flush_pending(it.k, b.p, 0, dirty))
        steps = it.steps(try_to_unmap_flush_dirty(it.k))
        sent = [op for op in steps if type(op) is SendIpi or (type(op) is Until and it.memory.update({op.field: 0}))]
        assert len(sent) == flushes


def test_outside_a_batch_every_pte_is_flushed_at_once(alone: Any, bench: Any) -> None:
    """Copy on write clears a PTE by the same function."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone({**b.memory, b.p.cpu_vm_mask: (Cpu("cpu0"),)})
    assert it.call(ptep_clear_flush(it.k, b.heap, 0, PT.pte[0])) == Pte("present", page, True, False)
    assert (it.points, it.get(PT.pte[0]), it.get(b.p.tlb_flush_batched)) == (["tlb_flush"], None, None)
    assert it.call(should_defer_flush(it.k, b.p)) is False


def test_a_batch_that_is_forgotten_before_it_is_flushed_stops_the_machine(bench: Any) -> None:
    """Rule B6, at the moment at which it is broken."""
    b = bench()
    b.page(b.heap, 0, node=0)

    def forget(k: Any) -> Any:
        yield from init_tlb_ubc(k)
        yield from ptep_clear_flush(k, b.heap, 0, PT.pte[0])
        yield from exit_tlb_ubc(k)

    b.spawn("forgetful", forget)
    idle(b)
    run = b.start(BATCH)
    touched(b, run, 0)
    run.only("forgetful")
    found = run.violation
    assert isinstance(found, Violation)
    assert (found.kind, found.rule) == ("stale TLB entry", FLUSHED_BEFORE_FORGOTTEN)


# --- what others do about it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [lambda k: sys_munmap(k, 0, 1), lambda k: sys_mprotect(k, 0, 1, PROT_READ), lambda k: sys_mremap(k, 0, 1, 16)],
    ids=["munmap", "mprotect", "mremap"],
)
def test_who_changes_ptes_flushes_first_what_is_pending(bench: Any, call: Any) -> None:
    """Rule B5: with the page table's lock held, before the first PTE is looked at; once, and then no more."""
    b = bench()
    b.vma(b.p, "small", 16, 17)
    b.memory[b.heap.vm_end] = 1
    page = b.page(b.heap, 0, node=0, written=1)
    b.page(b.vma(b.p, "rest", 1, 2), 1, node=0)
    b.spawn("owner", call)
    idle(b)
    run = b.start(BATCH)
    memory = run.machine.memory
    memory.update({b.p.tlb_flush_batched: (0, 1), b.cpu1.tlb[b.p, 0]: TlbEntry(page, True, True)})
    run.only("owner", until=lambda event: any(change.field is b.p.tlb_flush_batched for change in event.changes))
    assert (run[b.p.tlb_flush_batched], run[b.cpu1.tlb[b.p, 0]]) == (None, None)
    assert run[PT.ptl] is not None
    assert run[PT.pte[0]] == Pte("present", page, True, True)


def test_nothing_pending_costs_one_look(alone: Any, bench: Any) -> None:
    """And under 3.7, where nothing is ever pending, not even that."""
    b = bench()
    it = alone(b.memory)
    it.call(flush_tlb_batched_pending(it.k, b.p))
    assert it.ops == [b.p.tlb_flush_batched]
    it.call(it.k.flush_tlb_batched_pending(b.p))
    assert it.ops == []
