"""The swap cache: pages that have a swap slot.  mm/swap_state.c

A page enters it before it is swapped out and when it is swapped in, so that all who share it meet in one page.  Whoever
puts a page in or takes it out holds the page's lock; each slot is claimed first (``SWAP_HAS_CACHE``), so nobody else
can touch that place of the tree meanwhile.  ``tree_lock`` is held for one store each time: an atomic exchange here.
"""

from __future__ import annotations

from errno import EEXIST

from sim.context import Context
from sim.kernel import page_io, swapfile
from sim.kernel.filemap import find_get_page
from sim.kernel.page_alloc import alloc_page
from sim.kernel.swap import get_page, lru_cache_add_lru, put_page
from sim.ops import Bug, Free, Kernel
from sim.structs import Page, PageTable, SwapSlot
from sim.sync import trylock_page, unlock_page


def __add_to_swap_cache(k: Context, page: Page, slot: SwapSlot) -> Kernel:
    """Put *page* into the swap cache, with a reference for it.

    Caller holds the page lock and has claimed *slot*.  mm/swap_state.c:70 (v3.7)
    """
    yield from get_page(k, page)
    yield page.private.set(slot)
    yield slot.page_tree.xchg(page)


def __delete_from_swap_cache(k: Context, page: Page) -> Kernel:
    """Take *page* out of the tree.  Caller holds the page lock, and gives the slot's claim back.

    mm/swap_state.c:123 (v3.7)
    """
    slot = yield page.private
    yield slot.page_tree.xchg(None)
    yield page.private.set(None)


def add_to_swap(k: Context, page: Page) -> Kernel:
    """Find a swap slot for *page* and put it into the swap cache; return whether.

    Caller holds the page lock.  The page counts as dirty: the device has nothing of it yet.
    mm/swap_state.c:144 (v3.7)
    """
    slot = yield from swapfile.get_swap_page(k)
    if slot is None:
        return False
    yield from __add_to_swap_cache(k, page, slot)
    yield page.PG_dirty.set(True)
    return True


def delete_from_swap_cache(k: Context, page: Page) -> Kernel:
    """Take *page* out of the swap cache, and give back its claim and its reference.

    Caller holds the page lock and a reference of its own.  Takes swap_lock.  mm/swap_state.c:195 (v3.7)
    """
    slot = yield page.private
    yield from __delete_from_swap_cache(k, page)
    yield from swapfile.swapcache_free(k, slot)
    yield from put_page(k, page)


def free_swap_cache(k: Context, page: Page) -> Kernel:
    """Take *page* out of the swap cache if nobody else wants it there: no PTE maps it, and its lock is free.

    Caller has a reference.  mm/swap_state.c:217 (v3.7)
    """
    slot = yield page.private
    if slot is None:
        return
    mapcount = yield page._mapcount
    if mapcount >= 0:
        return
    locked = yield from trylock_page(page)
    if locked:
        yield from swapfile.try_to_free_swap(k, page)
        yield from unlock_page(page)


def free_pages_and_swap_cache(k: Context, pages: tuple[Page | PageTable, ...]) -> Kernel:
    """Drop a reference to each page; nobody has one to a page table, so that goes.  mm/swap_state.c:239 (v3.7)"""
    while pages:
        page, pages = pages[0], pages[1:]
        if isinstance(page, PageTable):
            yield Free(page)
        else:
            yield from free_swap_cache(k, page)
            yield from put_page(k, page)


def lookup_swap_cache(k: Context, slot: SwapSlot) -> Kernel:
    """The page in the swap cache for *slot*, not locked, with a reference; or None.  mm/swap_state.c:262 (v3.7)"""
    page = yield from find_get_page(k, slot)
    return page


def read_swap_cache_async(k: Context, slot: SwapSlot) -> Kernel:
    """The page for *slot*, read from the device if need be, with a reference; None if the slot is used no longer.

    Caller holds mmap_sem to read, and no spinlock: the entry may have been freed, and the slot given out again, since
    it was seen.  mm/swap_state.c:281 (v3.7)
    """
    new_page = None
    while True:
        found_page = yield from find_get_page(k, slot)
        if found_page is not None:
            break
        if new_page is None:
            new_page = yield from alloc_page(k)
        err = yield from swapfile.swapcache_prepare(k, slot)
        if err == -EEXIST:  # somebody else's page is about to be there
            continue
        if err:
            break
        locked = yield from trylock_page(new_page)
        if not locked:
            yield Bug("kernel bug", f"somebody else has locked the new page {new_page}", (new_page,))
        yield from __add_to_swap_cache(k, new_page, slot)
        yield from lru_cache_add_lru(k, new_page)
        yield from page_io.swap_readpage(k, new_page)
        return new_page
    if new_page is not None:
        yield from put_page(k, new_page)
    return found_page


def swapin_readahead(k: Context, slot: SwapSlot) -> Kernel:
    """The page for *slot*.  The kernel reads its neighbours too.  mm/swap_state.c:373 (v3.7)"""
    page = yield from read_swap_cache_async(k, slot)
    return page
