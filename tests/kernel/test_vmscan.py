"""Reclaim: a page is unmapped, written to swap and freed; what stops it; and migration of pages in the swap cache."""

from __future__ import annotations

from errno import EBUSY
from typing import Any

import pytest

from sim.invariants import Violation
from sim.kernel.rmap import SWAP_MLOCK, TTU_UNMAP, try_to_unmap
from sim.kernel.swap_state import add_to_swap
from sim.kernel.vmscan import __isolate_lru_page as isolate_for_reclaim
from sim.kernel.vmscan import kswapd, shrink_inactive_list
from sim.ops import Acquire, TryAcquire
from sim.structs import SWAP_HAS_CACHE, VM_LOCKED, VM_WRITE, PageTable, Pte, SwapSlot, Written
from sim.sync import lock_page, unlock_page
from sim.user import user_read, user_write

PT = PageTable("pt0")
SLOT = SwapSlot("swap0")


def reclaims(b: Any, *pages: Any, name: str = "kswapd") -> None:
    """A task that shrinks the list *pages*; how many it has freed is its result."""
    b.spawn(name, lambda k: shrink_inactive_list(k, pages))


def heap_page(b: Any, vpn: int = 0, **how: int) -> Any:
    """A written page of the heap, on a machine with two swap slots."""
    if SLOT not in {it.ref for it in b.memory}:
        b.swap(2)
    return b.page(b.heap, vpn, node=0, written=1, **how)


def test_a_page_is_swapped_out_and_its_frame_freed(bench: Any) -> None:
    """Its data is on the device, its PTE names the slot, and nothing is left in the swap cache."""
    b = bench()
    page = heap_page(b)
    reclaims(b, page)
    run = b.start()
    assert run.all() is None
    assert b.results["kswapd"] == 1
    assert run[PT.pte[0]] == Pte("swap", SLOT, False)
    assert (run[SLOT.swap_map], run[SLOT.data], run[SLOT.page_tree]) == (1, Written(0, 1, b.p), None)
    assert run[page.life] is True


def test_reclaim_takes_the_anon_vma_lock_once_and_no_mmap_sem(bench: Any) -> None:
    """One walk, one PTE, one flush."""
    b = bench()
    reclaims(b, heap_page(b))
    run = b.start()
    assert run.all() is None
    assert (run.taken("mutex"), run.taken("ptl"), run.points["tlb_flush"], run.taken("mmap_sem")) == (1, 1, 1, 0)


def test_a_page_that_comes_back_is_the_page_that_went(bench: Any) -> None:
    """Swapped out by one task, then read and written by another: the checks hold every read against the last write."""
    b = bench()
    reclaims(b, heap_page(b))
    b.spawn("user", lambda k: user_read(k, 0), cpu=1)
    run = b.start()
    run.only("kswapd")
    assert run.all() is None
    assert run[run[PT.pte[0]].page.data] == Written(0, 1, b.p)


def test_a_page_of_two_processes_leaves_two_entries_of_one_slot(bench: Any) -> None:
    """Both PTEs are found by the walk and counted in the slot; both come back to one page."""
    b = bench()
    page = heap_page(b)
    child = b.fork(b.p, "C")
    reclaims(b, page)
    run = b.start()
    assert run.all() is None
    assert (run[SLOT.swap_map], run[run[child.pmd[0]].pte[0]]) == (2, Pte("swap", SLOT, False))
    assert run.points["tlb_flush"] == 2


def _holds(lock: Any) -> Any:
    """Take a lock and stop while it is held."""
    yield Acquire(lock)
    yield PT.pte[0]


@pytest.mark.parametrize("how", ["pinned", "no swap", "locked page", "isolated"])
def test_what_cannot_be_freed_stays_as_it_was(bench: Any, how: str) -> None:
    """A pin, no slot, a page lock that somebody holds, an isolation: the data stays in the frame."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1, pins=int(how == "pinned"))
    if how != "no swap":
        b.swap(1)
    if how == "isolated":
        b.memory[page.PG_lru] = False
        b.memory[page._count] += 1
        b.memory[page.pins] = 1
    b.spawn("holder", lambda k: _holds(page.PG_locked))
    reclaims(b, page)
    run = b.start()
    if how == "locked page":
        run.only("holder", until=lambda event: type(event.op) is Acquire)
    run.only("kswapd")
    assert b.results["kswapd"] == 0
    assert run[page.life] is False
    assert run[page.data] == Written(0, 1, b.p)
    assert run[page.PG_lru] is (how != "isolated")


def test_a_pinned_page_is_unmapped_and_found_in_the_swap_cache(bench: Any) -> None:
    """The pin keeps the frame; the next access brings the page back without the device."""
    b = bench()
    page = heap_page(b, pins=1)
    reclaims(b, page)
    b.spawn("user", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("kswapd")
    assert (run[PT.pte[0]].kind, run[SLOT.page_tree]) == ("swap", page)
    assert run.all() is None
    assert (run[PT.pte[0]].page, run.points["swap_io"]) == (page, 0)


def test_a_page_that_its_owner_has_left_is_freed_by_the_putback(bench: Any) -> None:
    """Nobody maps it and no PTE names a slot, so nothing is written; the isolation's reference is the last."""
    b = bench()
    page = heap_page(b)
    reclaims(b, page)
    run = b.start()
    run.only("kswapd", until=lambda event: event.changes[:1] and event.changes[0].field is page.PG_lru)
    run.machine.memory.update({PT.pte[0]: None, page._mapcount: -1, page.present_ptes: 0, b.p.shadow[0]: None})
    run.machine.memory[page._count] -= 1
    assert run.all() is None
    assert (run[page.life], run[SLOT.swap_map], run.points["swap_io"]) == (True, 0, 0)


def test_isolating_without_a_reference(alone: Any, bench: Any) -> None:
    """A free page gives none; a page that somebody has isolated is given back."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    assert it.call(isolate_for_reclaim(it.k, page)) == 0
    assert it.get(page._count) == 2
    assert it.call(isolate_for_reclaim(it.k, page)) == -EBUSY
    assert it.get(page._count) == 2
    it.set(page, _count=0, life=True)
    assert it.call(isolate_for_reclaim(it.k, page)) == -EBUSY


# --- mlock ---------------------------------------------------------------------------------------------------------


def locked_vma(b: Any) -> Any:
    page = heap_page(b)
    b.memory[b.heap.vm_flags] = VM_WRITE | VM_LOCKED
    return page


def test_a_page_of_a_locked_vma_stays_and_is_marked(bench: Any) -> None:
    """The walk finds VM_LOCKED, looks again under mmap_sem, and the swap slot is given back."""
    b = bench()
    page = locked_vma(b)
    reclaims(b, page)
    run = b.start()
    assert run.all() is None
    assert (run[PT.pte[0]].page, run[page.PG_mlocked], run[page.PG_lru]) == (page, True, True)
    assert (run[SLOT.swap_map], run[page.private], run[page._count]) == (0, None, 1)


def test_a_page_marked_before_is_not_walked_at_all(bench: Any) -> None:
    """PG_mlocked says so without any lock."""
    b = bench()
    page = locked_vma(b)
    b.memory[page.PG_mlocked] = True
    reclaims(b, page)
    run = b.start()
    assert run.all() is None
    assert (run.points["unmap_walk"], run[page.PG_lru], run[page._count]) == (0, True, 1)


def test_mmap_sem_is_only_tried_under_the_anon_vma_lock(bench: Any) -> None:
    """A writer holds it: the page is neither marked nor unmapped, and nobody has waited."""
    b = bench()
    page = locked_vma(b)
    b.spawn("writer", lambda k: _holds(b.p.mmap_sem))
    reclaims(b, page)
    run = b.start()
    run.only("writer", until=lambda event: type(event.op) is Acquire)
    run.only("kswapd")
    assert b.results["kswapd"] == 0
    assert (run[page.PG_mlocked], run[PT.pte[0]].page) == (False, page)
    tried = [event for event in run.events if type(event.op) is TryAcquire and event.op.lock is b.p.mmap_sem]
    assert [event.answer for event in tried] == [False]


def test_a_walk_ends_where_a_vma_is_locked(alone: Any, bench: Any) -> None:
    """And says so; a walk that migrates does not look."""
    b = bench()
    page = locked_vma(b)
    it = alone(b.memory)
    it.call(lock_page(page))
    assert it.call(try_to_unmap(it.k, page, TTU_UNMAP)) == SWAP_MLOCK
    it.call(unlock_page(page))


def test_swapping_out_a_page_without_a_slot_stops_the_kernel(alone: Any, bench: Any) -> None:
    """BUG_ON(TTU_ACTION(flags) != TTU_MIGRATION), mm/rmap.c:1271 (v3.7)."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    it.call(lock_page(page))
    with pytest.raises(Violation, match="f0 is swapped out and has no swap slot"):
        it.call(try_to_unmap(it.k, page, TTU_UNMAP))


# --- pages of the swap cache that migrate --------------------------------------------------------------------------


def into_swap_cache(b: Any, page: Any) -> None:
    """A task that puts a mapped page into the swap cache and leaves it there, as an interrupted reclaim does."""

    def body(k: Any) -> Any:
        yield from lock_page(page)
        yield from add_to_swap(k, page)
        yield from unlock_page(page)

    b.spawn("cacher", body)


def test_a_mapped_page_of_the_swap_cache_migrates_by_its_swap_entry(bench: Any) -> None:
    """No migration entry: the PTE names the slot, the slot has the new frame, and the next access maps that."""
    b = bench()
    page = heap_page(b)
    into_swap_cache(b, page)
    b.migrator(page)
    b.spawn("user", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("cacher")
    run.only("migrator")
    assert b.results["migrator"] == 0
    new = run[SLOT.page_tree]
    assert (run[PT.pte[0]], run[new.node], run[new.private]) == (Pte("swap", SLOT, False), 1, SLOT)
    assert (run[page.life], run[new._count], run[new.PG_dirty]) == (True, 1, True)
    assert run.all() is None
    assert (run[PT.pte[0]].page, run.points["swap_io"], run[new.data]) == (new, 0, Written(0, 2, b.p))


def test_an_unmapped_page_of_the_swap_cache_migrates_without_any_walk(bench: Any) -> None:
    """Its anon_vma may be gone, so nobody locks it; the slot has the new frame."""
    b = bench()
    page = heap_page(b, pins=0)
    b.memory[PT.pte[0]] = Pte("swap", SLOT, False)
    b.memory.update({SLOT.swap_map: 1 | SWAP_HAS_CACHE, SLOT.swap_ptes: 1, SLOT.page_tree: page})
    b.memory.update({page.private: SLOT, page._mapcount: -1, page.present_ptes: 0})
    b.migrator(page)
    run = b.start()
    assert run.all() is None
    assert b.results["migrator"] == 0
    assert (run.taken("mutex"), run[SLOT.page_tree] is page, run[page.life]) == (0, False, True)


def test_a_lookup_s_reference_makes_the_move_fail_and_nothing_is_lost(bench: Any) -> None:
    """Three references instead of two: the page cannot be frozen, and stays in the swap cache."""
    b = bench()
    page = heap_page(b, pins=1)
    into_swap_cache(b, page)
    b.migrator(page, passes=1)
    run = b.start()
    run.only("cacher")
    run.only("migrator")
    assert b.results["migrator"] == 1
    assert run.violation is None
    assert (run[SLOT.page_tree], run[page.private]) == (page, SLOT)


def test_kswapd_is_a_task_of_its_own(bench: Any) -> None:
    """It reclaims once and ends."""
    b = bench()
    page = heap_page(b)
    b.spawn("kswapd", lambda k: kswapd(k, (page,)))
    run = b.start()
    assert run.all() is None
    assert run[page.life] is True
