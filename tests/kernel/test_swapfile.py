"""Swap: slots and their counts, the swap cache, and bringing a page back."""

from __future__ import annotations

from errno import EEXIST, ENOENT
from typing import Any

import pytest

from sim.invariants import Violation, at_end
from sim.kernel.fault import page_fault
from sim.kernel.filemap import find_get_page
from sim.kernel.page_io import swap_readpage, swap_writepage
from sim.kernel.pagemap import page_freeze_refs, page_unfreeze_refs
from sim.kernel.swap_state import add_to_swap, delete_from_swap_cache, lookup_swap_cache, read_swap_cache_async
from sim.kernel.swapfile import (
    free_swap_and_cache,
    get_swap_page,
    page_swapcount,
    reuse_swap_page,
    swap_duplicate,
    swap_free,
    swapcache_free,
    swapcache_prepare,
    try_to_free_swap,
)
from sim.structs import SWAP_HAS_CACHE, SWAP_INFO, Page, PageTable, Pte, SwapSlot, Written
from sim.user import user_read, user_write

SLOT, SECOND = SwapSlot("swap0"), SwapSlot("swap1")
PT = PageTable("pt0")


def machine(alone: Any) -> Any:
    """A machine with two swap slots."""
    it = alone()
    it.set(SWAP_INFO, slots=(SLOT, SECOND))
    return it


def cached(it: Any) -> Page:
    """A locked page that has gone into the swap cache, with one reference beside the cache's own."""
    page: Page = it.set(Page("f0"), _count=1, PG_locked=it.k.current, data=Written(0, 1, it.k.mm))
    it.memory[it.k.current.held] = ((page.PG_locked, "exclusive"),)
    assert it.call(add_to_swap(it.k, page)) is True
    return page


# --- slots ---------------------------------------------------------------------------------------------------------


def test_the_first_free_slot_is_given_out_until_there_is_none(alone: Any) -> None:
    """With the claim of the swap cache and nobody's PTE; a slot that is free again comes again."""
    it = machine(alone)
    assert [it.call(get_swap_page(it.k)) for _ in range(3)] == [SLOT, SECOND, None]
    assert it.get(SLOT.swap_map) == SWAP_HAS_CACHE
    it.call(swapcache_free(it.k, SLOT))
    assert it.call(get_swap_page(it.k)) is SLOT


def test_a_slot_counts_ptes_and_the_cache_apart(alone: Any) -> None:
    """The claim is a flag beside the count, and the slot is free when both are gone."""
    it = machine(alone)
    page = cached(it)
    for _ in range(2):
        it.call(swap_duplicate(it.k, SLOT))
    assert (it.get(SLOT.swap_map), it.call(page_swapcount(it.k, page))) == (2 | SWAP_HAS_CACHE, 2)
    it.call(swapcache_free(it.k, SLOT))
    it.call(swap_free(it.k, SLOT))
    assert it.get(SLOT.swap_map) == 1
    it.call(swap_free(it.k, SLOT))
    assert it.call(get_swap_page(it.k)) is SLOT


@pytest.mark.parametrize("free", [swap_free, swapcache_free, swap_duplicate])
def test_a_user_that_a_slot_does_not_have_stops_the_kernel(alone: Any, free: Any) -> None:
    """Freed once too often, or counted up although it is free."""
    it = machine(alone)
    with pytest.raises(Violation, match="kernel bug: swap0 "):
        it.call(free(it.k, SLOT))


def test_the_swap_cache_of_a_slot_is_claimed_once_and_only_while_it_is_used(alone: Any) -> None:
    """A second reader is told to look again; a slot that nobody names is not read."""
    it = machine(alone)
    assert it.call(swapcache_prepare(it.k, SLOT)) == -ENOENT
    it.set(SLOT, swap_map=1)
    assert it.call(swapcache_prepare(it.k, SLOT)) == 0
    assert it.call(swapcache_prepare(it.k, SLOT)) == -EEXIST
    assert it.get(SLOT.swap_map) == 1 | SWAP_HAS_CACHE


# --- the swap cache ------------------------------------------------------------------------------------------------


def test_a_page_enters_the_swap_cache_dirty_and_with_a_reference(alone: Any) -> None:
    """The device has nothing of it yet."""
    it = machine(alone)
    page = cached(it)
    assert (it.get(page.private), it.get(SLOT.page_tree)) == (SLOT, page)
    assert (it.get(page._count), it.get(page.PG_dirty), it.get(SLOT.swap_map)) == (2, True, SWAP_HAS_CACHE)


def test_without_a_free_slot_no_page_enters_the_swap_cache(alone: Any) -> None:
    """``add_to_swap`` says so and leaves the page alone."""
    it = alone()
    page = it.set(Page("f0"), _count=1, PG_locked=it.k.current)
    assert it.call(add_to_swap(it.k, page)) is False
    assert (it.get(page._count), it.get(page.private)) == (1, None)


def test_a_page_is_found_with_a_reference_and_a_frozen_one_is_waited_for(alone: Any) -> None:
    """While the references are frozen the lookup goes round."""
    it = machine(alone)
    page = cached(it)
    assert it.call(lookup_swap_cache(it.k, SLOT)) is page
    assert it.get(page._count) == 3
    assert it.call(page_freeze_refs(it.k, page, 2)) is False
    assert it.call(page_freeze_refs(it.k, page, 3)) is True
    assert it.get(page._count) == 0
    looking = it.steps(find_get_page(it.k, SLOT))
    for _ in range(20):
        next(looking)
    it.call(page_unfreeze_refs(it.k, page, 2))
    assert it.call(find_get_page(it.k, SLOT)) is page


def test_leaving_the_swap_cache_gives_everything_back(alone: Any) -> None:
    """The slot, its claim and the cache's reference; the page itself stays with its holder."""
    it = machine(alone)
    page = cached(it)
    it.call(delete_from_swap_cache(it.k, page))
    assert (it.get(page.private), it.get(SLOT.page_tree), it.get(SLOT.swap_map)) == (None, None, 0)
    assert (it.get(page._count), it.get(page.life)) == (1, False)


def test_a_page_leaves_the_swap_cache_only_when_no_pte_names_its_slot(alone: Any) -> None:
    """And is then dirty again, because the device's copy is given up."""
    it = machine(alone)
    page = cached(it)
    it.set(page, PG_dirty=False)
    it.call(swap_duplicate(it.k, SLOT))
    assert it.call(try_to_free_swap(it.k, page)) is False
    it.call(swap_free(it.k, SLOT))
    assert it.call(try_to_free_swap(it.k, page)) is True
    assert (it.get(page.private), it.get(page.PG_dirty)) == (None, True)
    assert it.call(try_to_free_swap(it.k, page)) is False


@pytest.mark.parametrize(
    ("mapcount", "named", "alone_with_it"), [(-1, 1, True), (0, 0, True), (0, 1, False), (1, 0, False)]
)
def test_a_page_may_be_written_by_the_only_one_who_has_it(
    alone: Any, mapcount: int, named: int, alone_with_it: bool
) -> None:
    """PTEs that map it and PTEs that name its slot count together; whoever is alone takes it out of the cache."""
    it = machine(alone)
    page = cached(it)
    it.set(page, _mapcount=mapcount)
    for _ in range(named):
        it.call(swap_duplicate(it.k, SLOT))
    assert it.call(reuse_swap_page(it.k, page)) is alone_with_it
    assert (it.get(page.private) is None) is (mapcount + 1 + named == 1)


def test_the_last_entry_of_a_slot_takes_an_unmapped_page_out_of_the_swap_cache(alone: Any) -> None:
    """Not a mapped one, and not while another PTE names the slot."""
    it = machine(alone)
    page = cached(it)
    it.call(swap_duplicate(it.k, SLOT))
    it.call(swap_duplicate(it.k, SLOT))
    it.memory[page.PG_locked] = None
    it.memory[it.k.current.held] = ()
    it.call(free_swap_and_cache(it.k, SLOT))
    assert it.get(page.private) is SLOT
    it.set(page, _mapcount=0)
    it.call(free_swap_and_cache(it.k, SLOT))
    assert it.get(page.private) is SLOT
    it.set(page, _mapcount=-1)
    it.call(swap_duplicate(it.k, SLOT))
    it.call(free_swap_and_cache(it.k, SLOT))
    assert (it.get(page.private), it.get(SLOT.swap_map), it.get(page._count)) == (None, 0, 1)


def test_what_is_written_out_comes_back(alone: Any) -> None:
    """Both ways the page is locked before and unlocked after; a page that nobody needs is not written."""
    it = machine(alone)
    page = cached(it)
    it.call(swap_duplicate(it.k, SLOT))
    it.call(swap_writepage(it.k, page))
    assert (it.get(SLOT.data), it.get(page.PG_locked)) == (Written(0, 1, it.k.mm), None)
    it.set(page, PG_locked=it.k.current, data=None)
    it.memory[it.k.current.held] = ((page.PG_locked, "exclusive"),)
    it.call(swap_readpage(it.k, page))
    assert (it.get(page.data), it.get(page.PG_locked)) == (Written(0, 1, it.k.mm), None)

    it.call(swap_free(it.k, SLOT))
    it.set(page, PG_locked=it.k.current, data=Written(0, 2, it.k.mm))
    it.memory[it.k.current.held] = ((page.PG_locked, "exclusive"),)
    it.call(swap_writepage(it.k, page))
    assert (it.get(SLOT.data), it.get(page.private)) == (Written(0, 1, it.k.mm), None)


def test_a_slot_is_read_once_and_then_found(alone: Any) -> None:
    """Two references after the reading: the caller's and the cache's.  A slot that nobody names is not read at all."""
    it = machine(alone)
    assert it.call(read_swap_cache_async(it.k, SLOT)) is None
    it.set(SLOT, swap_map=1, data=Written(0, 3, it.k.mm))
    page = it.call(read_swap_cache_async(it.k, SLOT))
    assert (it.get(page.data), it.get(page._count), it.get(page.PG_locked)) == (Written(0, 3, it.k.mm), 2, None)
    assert it.get(SLOT.swap_map) == 1 | SWAP_HAS_CACHE
    assert it.call(read_swap_cache_async(it.k, SLOT)) is page
    assert it.get(page._count) == 3


# --- the fault -----------------------------------------------------------------------------------------------------


def swapped_out(b: Any, vpn: int = 0, *, users: int = 1) -> None:
    """Page *vpn* of the heap is on swap, and its frame is gone."""
    b.swap(2)
    page = b.page(b.heap, vpn, node=0, written=1)
    for field in [it for it in b.memory if it.ref is page]:
        del b.memory[field]
    b.memory[PT.pte[vpn]] = Pte("swap", SLOT, False)
    b.memory.update({SLOT.swap_map: users, SLOT.swap_ptes: users, SLOT.data: Written(vpn, 1, b.p)})


def test_a_read_brings_a_page_back_and_leaves_it_in_the_swap_cache(bench: Any) -> None:
    """Read-only, clean, at the oldest anon_vma; the device still has it, so the slot stays claimed and unnamed."""
    b = bench()
    swapped_out(b)
    b.spawn("reader", lambda k: user_read(k, 0))
    run = b.start()
    assert run.all() is None
    pte = run[PT.pte[0]]
    assert (pte.kind, pte.write, pte.dirty) == ("present", False, False)
    assert (run[pte.page.private], run[SLOT.swap_map], run[pte.page._count]) == (SLOT, SWAP_HAS_CACHE, 2)
    assert (run[pte.page.mapping], run[pte.page.index], run[pte.page._mapcount]) == (run[b.heap.anon_vma], 0, 0)
    assert run[pte.page.PG_lru] is True


def test_a_write_brings_a_page_back_and_gives_the_slot_up(bench: Any) -> None:
    """Its own now, writable and dirty; nothing is left on the device."""
    b = bench()
    swapped_out(b)
    b.spawn("writer", lambda k: user_write(k, 0))
    run = b.start()
    assert run.all() is None
    pte = run[PT.pte[0]]
    assert (pte.kind, pte.write, pte.dirty) == ("present", True, True)
    assert (run[pte.page.private], run[SLOT.swap_map], run[pte.page._count]) == (None, 0, 1)


def test_two_who_fault_on_one_entry_share_one_page(bench: Any) -> None:
    """One reads the device; the other finds the page, waits for its lock, and sees that the PTE is served."""
    b = bench()
    swapped_out(b)
    b.spawn("first", lambda k: page_fault(k, 0, False))
    b.spawn("second", lambda k: page_fault(k, 0, False), cpu=1)
    run = b.start()
    assert run.all() is None
    assert run.points["swap_io"] == 1
    assert run[run[PT.pte[0]].page._count] == 2


# --- what the checks say -------------------------------------------------------------------------------------------


def test_data_on_swap_is_data(alone: Any, bench: Any) -> None:
    """A page that was written is not lost if its slot has it, or its page in the swap cache; it is if neither has."""
    b = bench()
    swapped_out(b)
    memory = dict(b.memory)
    assert at_end(memory) is None
    memory[SLOT.data] = None
    assert at_end(memory).kind == "lost write"
    it = alone(memory)
    page = it.call(read_swap_cache_async(it.k, SLOT))
    memory = {**it.memory, page.data: Written(0, 1, b.p)}
    memory[page._count] -= 1
    assert at_end(memory) is None


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        (SLOT.swap_map, 2, "wrong mapcount"),
        (SLOT.swap_map, 1 | SWAP_HAS_CACHE, "leak"),
        (SLOT.swap_ptes, 0, "wrong mapcount"),
    ],
)
def test_a_slot_s_count_is_checked(bench: Any, field: Any, value: int, kind: str) -> None:
    """Too many users, too few, or a claim that nobody will give back."""
    b = bench()
    swapped_out(b)
    assert at_end({**b.memory, field: value}).kind == kind
