"""Linux 6.3 and 6.12: batches of what can be had at once, the rest singly; and hints that need no flush."""

from __future__ import annotations

from typing import Any

import pytest

from sim.engines.timed import run as timed_run
from sim.kernel.batch.rmap import init_tlb_ubc
from sim.kernel.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, sys_move_pages
from sim.kernel.swap import put_page
from sim.kernel.v61.rmap import TTU_BATCH_FLUSH
from sim.kernel.v63.migrate import migrate_folio_unmap
from sim.kernel.v63.rmap import set_tlb_ubc_flush_pending, should_defer_flush
from sim.kernel.v612.migrate import migrate_misplaced_folio, migrate_misplaced_folio_prepare
from sim.kernel.v612.rmap import set_tlb_ubc_flush_pending as set_pending_v612
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import CopyPage, Free, HandleIpi, SendIpi, Until
from sim.structs import Cpu, PageTable, Pte, Task, TlbEntry, TlbflushUnmapBatch, TlbGen
from sim.sync import end_page_writeback, lock_page, unlock_page
from sim.user import user_read, user_write

PT = PageTable("pt0")
CPU0, CPU1 = Cpu("cpu0"), Cpu("cpu1")
BATCHED = pytest.mark.parametrize("variant", ["batch_v63", "v612"])


def mover(b: Any, *vpns: int, passes: int = 10) -> None:
    b.spawn("mover", lambda k: sys_move_pages(k, b.p, vpns, 1, passes))


def idle(b: Any) -> None:
    """Somebody of P on CPU 1, who does nothing but keep it in the mask."""
    b.spawn("idler", lambda k: user_write(k, 7), cpu=1)


# --- batches -------------------------------------------------------------------------------------------------------


@BATCHED
@pytest.mark.parametrize(("spinners", "flushes", "ipis"), [(0, 512, 0), (1, 1, 1), (2, 1, 2), (3, 1, 3)])
def test_two_mib_take_one_flush_if_anybody_else_is_in_the_mask(
    variant: str, spinners: int, flushes: int, ipis: int
) -> None:
    """And 512 if nobody is: then each is one instruction here."""
    counts = timed_run("move_pages", variant, pages=512, spinners=spinners).counts
    assert (counts["unmap_walks"], counts["remap_walks"], counts["page_copies"]) == (512, 512, 512)
    assert (counts["anon_vma_locks"], counts["tlb_flushes"], counts["ipis_received"]) == (1024, flushes, ipis)


@BATCHED
def test_all_are_unmapped_then_flushed_then_each_is_copied_mapped_and_freed(variant: str, bench: Any) -> None:
    """The old frame goes at once: nothing of the batch is in any TLB any more."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, written=1) for vpn in range(3)]
    mover(b, 0, 1, 2)
    idle(b)
    run = b.start(variant)
    for vpn, page in enumerate(pages):
        run.machine.memory[b.cpu1.tlb[b.p, vpn]] = TlbEntry(page, True, True)
    run.only("mover")
    at = [i for i, event in enumerate(run.events) if type(event.op) is CopyPage]
    freed = [i for i, event in enumerate(run.events) if type(event.op) is Free]
    (sent,) = (i for i, event in enumerate(run.events) if type(event.op) is SendIpi)
    (waited,) = (i for i, event in enumerate(run.events) if type(event.op) is Until)
    unmapped = max(
        i for i, event in enumerate(run.events) for change in event.changes if change.new == Pte("migration", pages[2])
    )
    assert unmapped < sent < waited < at[0] < freed[0] < at[1] < freed[1] < at[2] < freed[2]
    assert run.ops(HandleIpi) == 1
    assert [run[b.cpu1.tlb[b.p, vpn]] for vpn in range(3)] == [None] * 3
    assert (run.points["migrate_pages"], run.points["migrate_pages_batch"], run.points["mmap_lock"]) == (1, 1, 3)


@BATCHED
def test_a_page_that_is_locked_or_being_written_out_goes_singly_afterwards(variant: str, bench: Any) -> None:
    """The batch waits for neither; afterwards nobody else's page is locked, and the mover sleeps."""
    b = bench()
    busy, written, easy = (b.page(b.heap, vpn, node=0, written=1) for vpn in range(3))
    b.memory[written.PG_writeback] = True

    def holds(k: Any) -> Any:
        yield from lock_page(busy)
        yield from unlock_page(busy)
        yield from end_page_writeback(written)

    mover(b, 0, 1, 2)
    b.spawn("holder", holds, cpu=1)
    run = b.start(variant)
    run.only("holder", until=lambda event: run[busy.PG_locked] is not None)
    run.only("mover")
    assert (run[PT.pte[0]].page, run[PT.pte[1]].page) == (busy, written)
    assert run[PT.pte[2]].page is not easy
    held = [lock.ref for lock, _ in run[Task("mover").held]]
    assert held == []
    assert run.all() is None
    assert b.results["mover"] == 0
    assert run.ops(CopyPage) == 3


@BATCHED
def test_a_page_with_a_reference_too_many_stays_unmapped_until_it_is_given_up(variant: str, bench: Any) -> None:
    """Its lock and entries are kept for further attempts; if the reference goes in time, one of them succeeds."""
    b = bench()
    pinned = b.page(b.heap, 0, node=0, written=1, pins=1)

    def unpin(k: Any) -> Any:
        yield pinned.pins.add(-1)
        yield from put_page(k, pinned)

    mover(b, 0)
    b.spawn("device", unpin, cpu=1)
    run = b.start(variant)
    counted = []
    run.only("mover", until=lambda e: e.op is pinned._count and (counted.append(e) or len(counted) > 1))
    run.only("device")
    assert run.all() is None
    assert (b.results["mover"], run.taken("rwsem")) == (0, 2)  # one walk to unmap it, one to map it


@BATCHED
def test_a_pinned_page_is_put_back_and_its_new_frame_freed(variant: str, bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1, pins=1)
    mover(b, 0, passes=2)
    idle(b)
    run = b.start(variant)
    assert run.all() is None
    assert (run[PT.pte[0]].page, b.results["mover"], run.ops(CopyPage), run[page.PG_lru]) == (page, 1, 0, True)


def test_a_page_that_was_freed_meanwhile_counts_as_gone(alone: Any, bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone({**b.memory, page.PG_lru: False})
    it.memory[page._mapcount], it.memory[page.present_ptes], it.memory[PT.pte[0]] = -1, 0, None
    assert it.call(migrate_folio_unmap(it.k, page, 1, MIGRATE_SYNC)) == (0, None)
    assert it.get(page.life) is True


def test_an_asynchronous_unmapping_waits_for_nothing(alone: Any, bench: Any) -> None:
    """A locked page is worth another attempt, one under writeback is not; both new frames are freed."""
    b = bench()
    locked, written = (b.page(b.heap, vpn, node=0) for vpn in range(2))
    it = alone(
        {**b.memory, locked.PG_locked: Task("other"), written.PG_writeback: True, locked._count: 2, written._count: 2}
    )
    answers = [it.call(migrate_folio_unmap(it.k, page, 1, MIGRATE_ASYNC)) for page in (locked, written)]
    assert answers == [(-11, None), (-16, None)]
    assert it.get(written.PG_locked) is None
    assert sum(type(op) is Free for op in it.ops) == 1


# --- what is put off -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "mask", "defer"),
    [(0, (CPU0, CPU1), False), (TTU_BATCH_FLUSH, (CPU0,), False), (TTU_BATCH_FLUSH, (CPU0, CPU1), True)],
)
def test_a_flush_is_put_off_if_that_is_allowed_and_would_interrupt_anybody(
    alone: Any, bench: Any, flags: int, mask: tuple[Cpu, ...], defer: bool
) -> None:
    b = bench()
    it = alone({**b.memory, b.p.cpu_vm_mask: mask})
    assert it.call(should_defer_flush(it.k, b.p, flags)) is defer


def test_what_is_put_off_has_its_number(alone: Any, bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone({**b.memory, b.p.cpu_vm_mask: (CPU0, CPU1)})
    it.call(init_tlb_ubc(it.k))
    it.call(set_tlb_ubc_flush_pending(it.k, b.p, Pte("present", page, True, True), 3))
    assert it.get(b.p.tlb_gen) == TlbGen(1, ((3, 4),))
    assert it.get(it.k.current.tlb_ubc) == TlbflushUnmapBatch(True, True, (CPU0, CPU1), ((b.p, 3, 4),))


@pytest.mark.parametrize(("kind", "pending", "noted"), [("present", 0, 1), ("prot_none", 0, 0), ("prot_none", 1, 1)])
def test_6_12_notes_no_hint_that_has_been_flushed(alone: Any, bench: Any, kind: str, pending: int, noted: int) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone({**b.memory, b.p.cpu_vm_mask: (CPU0, CPU1), b.p.tlb_flush_pending: pending})
    it.call(init_tlb_ubc(it.k))
    it.call(set_pending_v612(it.k, b.p, Pte(kind, page), 3))
    assert it.get(b.p.tlb_gen).number == noted
    assert it.get(it.k.current.tlb_ubc).flush_required is bool(noted)


# --- hints ---------------------------------------------------------------------------------------------------------


def test_hints_move_one_folio_a_fault_and_flush_nothing_at_unmap(bench: Any) -> None:
    """Issue 4, line 5, as recorded: no batch forms, and the PROT_NONE PTEs need no flush."""
    b = bench()
    for vpn in range(4):
        b.page(b.heap, vpn, node=0, kind="prot_none", written=1)

    def reads(k: Any) -> Any:
        for vpn in range(4):
            yield from user_read(k, vpn)

    b.spawn("worker", reads, cpu=1)
    b.spawn("other", lambda k: user_write(k, 5))
    run = b.start("v612")
    assert run.all() is None
    assert (run.ops(CopyPage), run.points["migrate_pages_batch"], run.points["fault"]) == (4, 4, 4 + 1)
    assert (run.points["tlb_flush"], run.ops(SendIpi), run.ops(HandleIpi)) == (0, 0, 0)


def test_a_hint_that_moved_is_read_only_until_it_is_written(bench: Any) -> None:
    """6.2 gave up the saved right to write: the next write finds that the page has no other user."""
    b = bench()
    b.page(b.heap, 0, node=0, kind="prot_none", written=1)
    b.spawn("worker", lambda k: user_write(k, 0), cpu=1)
    b.spawn("other", lambda k: user_write(k, 5))
    run = b.start("v612")
    run.only("worker", until=lambda event: type(event.op) is Free)
    assert run[PT.pte[0]].write is False
    assert run.all() is None
    assert (run[PT.pte[0]].write, run.ops(CopyPage)) == (True, 1)


def test_a_misplaced_folio_is_isolated_first(alone: Any, bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    it = alone(b.memory)
    assert it.call(migrate_misplaced_folio_prepare(it.k, page)) == 0
    assert it.call(migrate_misplaced_folio_prepare(it.k, page)) == -11
    assert it.get(page._count) == 2


def test_a_misplaced_folio_that_is_pinned_stays(bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1, pins=1)

    def moves(k: Any) -> Any:
        yield from isolate_lru_page(k, page)
        moved = yield from migrate_misplaced_folio(k, page, 1)
        return moved

    b.spawn("mover", moves)
    run = b.start("v612")
    assert run.all() is None
    assert (b.results["mover"], run[PT.pte[0]].page) == (0, page)
