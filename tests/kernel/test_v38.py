"""NUMA hints in the form of 3.8: one page a fault, so many in a window of time, shared ones never; and the scan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from sim.engines.stepper import Stepper
from sim.kernel.v38 import fair, memory, migrate
from sim.ops import Choose
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable, Pgdat, Pte

PT, P, NODE1 = PageTable("pt0"), Mm("P"), Pgdat("node1")


def heap(kind: str = "present", pages: Iterable[int] = (0, 1), end: int = PTRS_PER_PTE) -> Builder:
    """P with a heap whose pages lie on node 0; page 2 is its child's too."""
    b = Builder()
    mm = b.mm()
    vma = b.vma(mm, "heap", 0, end)
    b.page(vma, 2, node=0, kind=kind, written=1)
    b.fork(mm, "C")
    for vpn in pages:
        b.page(vma, vpn, node=0, kind=kind, written=1)
    return b


# --- the fault -----------------------------------------------------------------------------------------------------


def test_a_fault_on_the_page_s_own_node_takes_off_the_hint_and_no_more(alone: Any) -> None:
    it = alone(heap("prot_none").memory, node=0)
    it.call(memory.do_numa_page(it.k, P, None, 0))
    assert it.get(PT.pte[0]) == Pte("present", Page("f1"), True, True)
    assert (it.get(Page("f1")._count), it.points) == (1, [])


def test_a_fault_from_another_node_moves_the_page_with_one_flush(alone: Any) -> None:
    """The PTE is usable again before the page moves, so the unmap walk has something to flush, even in 3.8."""
    it = alone(heap("prot_none").memory, node=1)
    seen = set()
    for _ in it.steps(memory.do_numa_page(it.k, P, None, 0)):
        seen.add(it.get(PT.pte[0]).kind if it.get(PT.pte[0]) else "none")
    new = it.get(PT.pte[0]).page
    assert seen == {"prot_none", "present", "none", "migration"}
    assert (it.get(new.node), it.get(new._count), it.get(new._mapcount)) == (1, 1, 0)
    assert (it.get(Page("f1").life), it.points.count("tlb_flush")) == (True, 1)


def test_a_fault_that_finds_no_hint_any_more_does_nothing(alone: Any) -> None:
    it = alone(heap().memory, node=1)
    before = dict(it.memory)
    it.call(memory.do_numa_page(it.k, P, None, 0))
    assert {field: it.get(field) for field in before} == before


def test_a_shared_page_is_usable_again_stays_and_is_not_counted(alone: Any) -> None:
    """The filter stands before the rate limit: what cannot move uses nothing up."""
    it = alone(heap("prot_none").memory, node=1)
    it.call(memory.do_numa_page(it.k, P, None, 2))
    entry = it.get(PT.pte[2])
    assert (entry.kind, entry.page, it.get(Page("f0")._count)) == ("present", Page("f0"), 2)
    assert it.get(NODE1.numabalancing_migrate_nr_pages) == 0


# --- how much may move ---------------------------------------------------------------------------------------------


def test_one_page_more_than_the_limit_moves_in_a_window_and_then_none(alone: Any) -> None:
    """3.8 asks whether more than the limit has moved already.  A new window counts from nothing."""
    b = heap("prot_none")
    b.memory[NODE1.ratelimit_pages] = 0
    it = alone(b.memory, node=1)
    for vpn in (0, 1):
        it.call(memory.do_numa_page(it.k, P, None, vpn))
    assert [it.get(it.get(PT.pte[vpn]).page.node) for vpn in (0, 1)] == [1, 0]
    assert it.get(PT.pte[1]) == Pte("present", Page("f2"), True, True)
    assert (it.get(NODE1.numabalancing_migrate_nr_pages), it.get(Page("f2")._count)) == (1, 1)


@pytest.mark.parametrize(("over", "refused", "moved"), [(0, True, 6), (1, False, 3)])
def test_who_finds_the_window_over_opens_the_next(bench: Any, over: int, refused: bool, moved: int) -> None:
    b = bench()
    b.memory |= {NODE1.ratelimit_pages: 5, NODE1.numabalancing_migrate_nr_pages: 6}
    b.spawn("asks", lambda k: migrate.numamigrate_update_ratelimit(k, NODE1, 3))
    run = b.start()
    while run.machine.runnable():
        pending = run.machine.ops[0]
        run.machine.step(run.machine.runnable()[0], over if isinstance(pending, Choose) else 0)
    assert (b.results["asks"], run[NODE1.numabalancing_migrate_nr_pages]) == (refused, moved)


def test_a_node_without_room_gets_no_page(alone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is not isolated, and the caller's reference goes all the same."""

    def full(k: Any, pgdat: Pgdat, pages: int) -> Any:
        yield from ()
        return False

    monkeypatch.setattr(migrate, "migrate_balanced_pgdat", full)
    it = alone(heap("prot_none").memory, node=1)
    it.call(memory.do_numa_page(it.k, P, None, 0))
    page = it.get(PT.pte[0]).page
    assert (it.get(page.node), it.get(page._count), it.get(page.PG_lru)) == (0, 1, True)


@pytest.mark.parametrize(("moved", "limited"), [(4, False), (5, True)])
def test_nothing_is_marked_for_a_node_that_has_had_its_share(alone: Any, moved: int, limited: bool) -> None:
    it = alone({NODE1.ratelimit_pages: 5, NODE1.numabalancing_migrate_nr_pages: moved}, node=1)
    assert it.call(migrate.migrate_ratelimited(it.k, 1)) is limited


# --- the scan ------------------------------------------------------------------------------------------------------


def kinds(it: Any, *vpns: int) -> list[str]:
    return [it.get(PT.pte[vpn]).kind for vpn in vpns]


def test_a_scan_marks_what_nobody_shares_and_flushes_once(alone: Any) -> None:
    it = alone(heap().memory)
    it.call(fair.task_numa_work(it.k))
    assert kinds(it, 0, 1, 2) == ["prot_none", "prot_none", "present"]
    assert it.points == ["tlb_flush"]
    assert (it.get(P.numa_next_scan), it.get(P.numa_scan_offset), it.get(P.mmap_sem).readers) == (1, 0, ())


def test_a_vma_of_less_than_2_mib_is_passed_over(alone: Any) -> None:
    it = alone(heap(end=PTRS_PER_PTE - 1).memory)
    it.call(fair.task_numa_work(it.k))
    assert kinds(it, 0, 1) == ["present", "present"]


def test_a_scan_goes_on_where_the_last_one_ended(alone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages are one scan's share here; the 2 MiB in which the share is used up are gone through to their end."""
    monkeypatch.setattr(fair, "SCAN_SIZE", 2)
    b = Builder()
    vma = b.vma(b.mm(), "heap", 0, 2 * PTRS_PER_PTE)
    for vpn in (0, 1, 511, 512, 513):
        b.page(vma, vpn, node=0, written=1)
    it = alone(b.memory)
    other = PageTable("pt1")
    for offset, marked in ((512, [True, True, False]), (1024, [True, True, True]), (0, [True, True, True])):
        it.call(fair.task_numa_work(it.k))
        slots = (PT.pte[0], PT.pte[511], other.pte[0])
        assert [it.get(slot).kind == "prot_none" for slot in slots] == marked
        assert it.get(P.numa_scan_offset) == offset


def test_no_scan_while_the_node_is_rate_limited(alone: Any) -> None:
    b = heap()
    b.memory |= {NODE1.ratelimit_pages: 1, NODE1.numabalancing_migrate_nr_pages: 1}
    it = alone(b.memory, node=1)
    it.call(fair.task_numa_work(it.k))
    assert kinds(it, 0, 1) == ["present", "present"]


def test_of_two_threads_that_come_by_at_once_one_scans(bench: Any) -> None:
    """Both have read the same number; the second exchange fails, and mmap_sem is not even asked for."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.page(b.heap, 0, node=0, written=1)
    for number, name in enumerate(("one", "two")):
        b.spawn(name, fair.task_numa_work, cpu=number)
    run = b.start()
    for name in ("one", "two"):
        run.only(name, until=lambda event: isinstance(event.op, Choose))
    assert run.all() is None
    assert (run[P.numa_next_scan], run.points["tlb_flush"], run.taken("mmap_sem")) == (1, 1, 1)


# --- the worlds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_in_every_run_the_shared_page_stays_and_as_many_move_as_windows_allow(seed: int) -> None:
    """Any order and any answers of the clock: pages on node 1 are those counted since, and those of windows before."""
    run = Stepper("numa_rate_limit", "rwsem_v38")
    run.finish(seed)
    get = run.machine.memory.get
    moved = [get(get(PT.pte[vpn]).page.node, 0) for vpn in (509, 510, 511)]
    windows = sum(isinstance(event.op, Choose) and event.answer == 1 for event in run.events)
    counted = get(NODE1.numabalancing_migrate_nr_pages, 0)
    assert moved[0] == 0
    assert counted == 1
    assert 1 <= sum(moved) <= 1 + windows
    assert run.machine.verdict() is None
