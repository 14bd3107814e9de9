"""Linux 6.1: flushes by number, lazy CPUs, and pages that move one after the other without mmap_sem."""

from __future__ import annotations

from typing import Any

import pytest

from sim.engines.timed import run as timed_run
from sim.kernel.memory import follow_page
from sim.kernel.migrate import sys_move_pages
from sim.kernel.swap import put_page
from sim.kernel.v61.gup import gup_pte_range
from sim.kernel.v61.mempolicy import change_prot_numa
from sim.kernel.v61.migrate import add_page_for_migration, migrate_misplaced_page
from sim.kernel.v61.pgtable_generic import pte_accessible, ptep_clear_flush
from sim.kernel.v61.rmap import try_to_migrate
from sim.kernel.v61.tlb import enter_lazy_tlb, flush_tlb_mm_range, switch_mm_irqs_off
from sim.ops import Acquire, CopyPage, FlushTlb, HandleIpi, SendIpi, TryAcquire, Until
from sim.structs import PageTable, Pte, TlbEntry, TlbGen
from sim.sync import lock_page
from sim.user import user_read, user_write

PT = PageTable("pt0")
V61 = "v61"


def mover(b: Any, *vpns: int, passes: int = 10) -> None:
    b.spawn("mover", lambda k: sys_move_pages(k, b.p, vpns, 1, passes))


def remembered(b: Any, run: Any, vpn: int) -> Any:
    return run[b.cpu1.tlb[b.p, vpn]]


# --- numbers -------------------------------------------------------------------------------------------------------


def test_a_number_remembers_what_its_flushes_were_for() -> None:
    """Pages that touch each other are one range; all of the address space is a range of its own."""
    gen = TlbGen()
    for first, end in [(4, 5), (6, 8), (5, 6), (4, 5), (0, -1), (20, 21)]:
        gen = gen.one_more(first, end)
    assert gen == TlbGen(6, ((0, -1), (4, 8), (20, 21)))


def test_a_flush_on_one_cpu_is_made_there(bench: Any) -> None:
    """It has a number all the same, for whoever runs a thread of the address space later."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("flusher", lambda k: flush_tlb_mm_range(k, b.p, 0, 1))
    run = b.start(V61)
    run.machine.memory[b.cpu0.tlb[b.p, 0]] = TlbEntry(run[PT.pte[0]].page, True, True)
    assert run.all() is None
    assert (run[b.cpu0.tlb[b.p, 0]], run[b.cpu0.tlb_gen], run[b.p.tlb_gen].number) == (None, 1, 1)
    assert (run.ops(SendIpi), run.points["tlb_flush_remote_send"], run.points["tlb_flush_local"]) == (0, 0, 1)


def test_others_are_interrupted_first_then_this_cpu_flushes_then_it_waits(bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.spawn("flusher", lambda k: flush_tlb_mm_range(k, b.p, 0, 1))
    b.spawn("worker", lambda k: user_write(k, 3), cpu=1)
    run = b.start(V61)
    run.machine.memory[b.cpu1.tlb[b.p, 0]] = TlbEntry(page, True, True)
    run.only("flusher")
    order = [type(event.op) for event in run.events if type(event.op) in (SendIpi, FlushTlb, Until, HandleIpi)]
    assert order in ([SendIpi, FlushTlb, HandleIpi, Until], [SendIpi, HandleIpi, FlushTlb, Until])
    assert (remembered(b, run, 0), run[b.cpu1.tlb_gen], run[b.cpu0.tlb_gen]) == (None, 1, 1)


def test_who_lacks_more_than_one_flush_makes_all_and_the_next_request_finds_nothing(bench: Any) -> None:
    """Two flushes were asked for before the first interrupt came: it makes both, and the second is only answered."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, written=1) for vpn in range(2)]
    b.spawn("first", lambda k: flush_tlb_mm_range(k, b.p, 0, 1))
    b.spawn("worker", lambda k: user_write(k, 3), cpu=1)
    b.kernel_thread("second", b.cpu(2, 0), lambda k: flush_tlb_mm_range(k, b.p, 1, 2), "flushes page 1")
    run = b.start(V61)
    for vpn, page in enumerate(pages):
        run.machine.memory[b.cpu1.tlb[b.p, vpn]] = TlbEntry(page, True, True)
    machine = run.machine
    first, second, handler = machine.tasks[0].task, machine.tasks[2].task, machine.tasks[4].task
    while not run[b.cpu1.call_single_queue]:
        machine.step(first)
    while len(run[b.cpu1.call_single_queue]) == 1:
        machine.step(second)
    machine.step(handler)
    assert (remembered(b, run, 0), remembered(b, run, 1), run[b.cpu1.tlb_gen]) == (None, None, 2)
    assert [change.field.base for change in machine.step(handler).changes] == ["call_single_queue", "csd_pending"]


# --- lazy CPUs -----------------------------------------------------------------------------------------------------


def test_a_lazy_cpu_is_left_alone_and_catches_up(bench: Any) -> None:
    """Nobody interrupts it; before it runs a thread again it drops what has been flushed meanwhile, and no more."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, written=1) for vpn in range(2)]

    def sleeps(k: Any) -> Any:
        yield from enter_lazy_tlb(k, b.p)
        yield from lock_page(pages[1])
        yield from switch_mm_irqs_off(k, b.p)

    b.spawn("flusher", lambda k: flush_tlb_mm_range(k, b.p, 0, 1))
    b.spawn("sleeper", sleeps, cpu=1)
    run = b.start(V61)
    for vpn, page in enumerate(pages):
        run.machine.memory[b.cpu1.tlb[b.p, vpn]] = TlbEntry(page, True, True)
    run.only("sleeper", until=lambda event: run[b.cpu1.is_lazy])
    run.only("flusher")
    assert (run.ops(SendIpi), run.points["tlb_lazy_skipped"], remembered(b, run, 0)) == (
        0,
        1,
        TlbEntry(pages[0], True, True),
    )
    run.only("sleeper")
    assert (remembered(b, run, 0), remembered(b, run, 1)) == (None, TlbEntry(pages[1], True, True))
    assert (run[b.cpu1.is_lazy], run[b.cpu1.tlb_gen]) == (False, 1)


@pytest.mark.parametrize(("variant", "ipis"), [("mutex_v37", 1), ("rwsem_v38", 1), (V61, 0)])
def test_a_stale_cpu_gets_one_interrupt_in_3_7_and_none_since(variant: str, ipis: int) -> None:
    """In 3.7 the lazy CPU leaves the mask with the first; a modern one stays in it and is passed over."""
    run = timed_run("move_pages", variant, pages=64, stale_cpu=1)
    assert (run.counts["ipis_received"], run.counts["tlb_flushes"], run.violation) == (ipis, 64, None)


def test_a_lazy_cpu_of_3_7_leaves_the_mask_and_remembers_nothing(bench: Any) -> None:
    """leave_mm: one interrupt is the last."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.page(b.heap, 1, node=0, written=1)
    b.idle(b.cpu1, b.p)
    for vpn in range(2):
        b.remembers(b.cpu1, b.p, vpn)
    mover(b, 0)
    run = b.start("mutex_v37")
    run.only("mover")
    assert (run[b.p.cpu_vm_mask], remembered(b, run, 0), remembered(b, run, 1)) == ((b.cpu0,), None, None)


def test_who_sleeps_on_a_moving_page_is_lazy_and_holds_no_reference(bench: Any) -> None:
    """So the count test finds no reference too many, and the first attempt goes through."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    mover(b, 0)
    b.spawn("reader", lambda k: user_read(k, 0), cpu=1)
    run = b.start(V61)
    run.only("mover", until=lambda event: run[page.migration_ptes] == 1 and run[PT.ptl] is None)
    run.only("reader")
    assert run[b.cpu1.is_lazy] is True
    assert run[page._count] == 1  # the isolation's
    assert run.all() is None
    assert run.ops(CopyPage) == 1
    assert (run[b.cpu1.is_lazy], b.results["mover"]) == (False, 0)


# --- marks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "pending", "accessible"),
    [("present", 0, True), ("prot_none", 0, False), ("prot_none", 1, True), ("migration", 1, False)],
)
def test_a_marked_pte_is_flushed_while_somebody_has_a_flush_to_make(
    alone: Any, bench: Any, kind: str, pending: int, accessible: bool
) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone({**b.memory, b.p.tlb_flush_pending: pending})
    assert it.call(pte_accessible(it.k, b.p, Pte(kind, page))) is accessible
    it.memory[PT.pte[0]] = Pte(kind, page)
    assert it.call(ptep_clear_flush(it.k, b.heap, 0, PT.pte[0])) == Pte(kind, page)
    assert ("tlb_flush" in it.points) is accessible


def test_the_scanner_says_that_it_will_flush_until_it_has(alone: Any, bench: Any) -> None:
    b = bench()
    b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    assert it.call(change_prot_numa(it.k, b.heap, 0, 1)) == 1
    assert (it.get(PT.pte[0]).kind, it.get(b.p.tlb_flush_pending)) == ("prot_none", 0)


# --- moving --------------------------------------------------------------------------------------------------------


def test_no_mmap_sem_is_held_while_pages_move(bench: Any) -> None:
    """It is taken and given back for each page that is isolated; then comes the one call for all."""
    b = bench()
    for vpn in range(3):
        b.page(b.heap, vpn, node=0, written=1)
    mover(b, 0, 1, 2)
    run = b.start(V61)
    held = []

    def look(event: Any) -> bool:
        if type(event.op) is CopyPage:
            held.append(run[b.p.mmap_sem].readers)
        return False

    run.only("mover", until=look)
    assert held == [(), (), ()]
    assert (run.points["mmap_lock"], run.points["migrate_pages"], run.points["migrate_pages_batch"]) == (3, 1, 1)
    assert run.taken("rwsem") == 6
    assert b.results["mover"] == 0


def test_an_address_with_nothing_to_move_has_those_before_it_moved_first(bench: Any) -> None:
    b = bench()
    for vpn, node in [(0, 0), (1, 1), (2, 0)]:
        b.page(b.heap, vpn, node=node, written=1)
    mover(b, 0, 1, 2)
    run = b.start(V61)
    assert run.all() is None
    assert (run.points["migrate_pages"], run.ops(CopyPage), b.results["mover"]) == (2, 2, 0)


def test_what_is_not_there_or_there_already_is_not_isolated(alone: Any, bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=1)
    it = alone(b.memory)
    assert [it.call(add_page_for_migration(it.k, b.p, vpn, 1)) for vpn in (0, 1, 99)] == [None, None, None]
    assert it.call(add_page_for_migration(it.k, b.p, 0, 0)) is page
    assert (it.get(page._count), it.get(page.PG_lru)) == (2, False)
    assert it.get(b.p.mmap_sem) == it.memory.get(b.p.mmap_sem, b.p.mmap_sem.default)


def test_the_new_page_is_locked_before_the_old_one_is_unmapped(bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    mover(b, 0)
    run = b.start(V61)
    assert run.all() is None
    locks = [e.op.lock.ref for e in run.events if type(e.op) in (Acquire, TryAcquire) and e.op.lock.base == "PG_locked"]
    made = next(i for i, e in enumerate(run.events) if any(c.new == Pte("migration", page) for c in e.changes))
    taken = [i for i, e in enumerate(run.events) if type(e.op) is TryAcquire and e.op.lock.base == "PG_locked"]
    assert locks[0] is page
    assert len(locks) == 2
    assert max(taken) < made


def test_a_pinned_page_stays_and_a_freed_one_counts_as_gone(bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1, pins=1)
    mover(b, 0, passes=2)
    run = b.start(V61)
    assert run.all() is None
    assert (run[PT.pte[0]].page, b.results["mover"]) == (page, 1)
    assert run.points["tlb_flush"] == 2


def test_a_page_of_the_swap_cache_leaves_migration_entries(alone: Any, bench: Any) -> None:
    """3.7 left swap entries, and nobody waited for such a page."""
    b = bench()
    (slot,) = b.swap(1)
    page = b.page(b.heap, 0, node=0, written=1)
    b.memory.update({page.private: slot, page._count: 2, slot.page_tree: page})
    it = alone(b.memory)
    it.call(lock_page(page))
    it.call(try_to_migrate(it.k, page))
    assert it.get(PT.pte[0]) == Pte("migration", page)
    assert it.get(page.PG_dirty) is True


# --- hints and pins ------------------------------------------------------------------------------------------------


def test_a_hint_moves_one_page_a_fault_and_flushes_nothing(bench: Any) -> None:
    """The PTE is PROT_NONE until the page has moved; whoever made it so has flushed."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, kind="prot_none", written=1) for vpn in range(2)]
    b.spawn("worker", lambda k: user_write(k, 0), cpu=1)
    b.spawn("other", lambda k: user_write(k, 5))
    run = b.start(V61)
    assert run.all() is None
    assert (run.ops(CopyPage), run.points["tlb_flush"], run.points["fault"]) == (1, 0, 2)
    assert run[PT.pte[1]] == Pte("prot_none", pages[1], True, True)


def test_a_hint_on_the_right_node_only_makes_the_pte_usable(bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=1, kind="prot_none", written=1)
    b.spawn("worker", lambda k: user_write(k, 0), cpu=1)
    run = b.start(V61)
    assert run.all() is None
    assert (run[PT.pte[0]], run.ops(CopyPage)) == (Pte("present", page, True, True), 0)


def test_a_misplaced_page_that_somebody_has_isolated_is_left(alone: Any, bench: Any) -> None:
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone({**b.memory, page.PG_lru: False})
    assert it.call(follow_page(it.k, b.heap, 0)) is page
    assert it.call(migrate_misplaced_page(it.k, page, 1)) == 0
    assert it.get(page._count) == 1


def test_a_pin_is_given_back_if_the_pte_has_changed_meanwhile(bench: Any) -> None:
    """Gup looks again once it has its reference."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.spawn("device", lambda k: gup_pte_range(k, 0))

    def clears(k: Any) -> Any:
        yield PT.pte[0].set(None)
        yield from put_page(k, page)

    b.spawn("other", clears, cpu=1)
    run = b.start(V61)
    run.only("device", until=lambda event: run[page._count] == 2)
    run.machine.step(run.machine.tasks[1].task)
    run.only("device")
    assert b.results["device"] is None
    assert run[page._count] == 1
