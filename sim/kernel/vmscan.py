"""Taking a page off the LRU and putting it back, and taking its frame away: reclaim.  mm/vmscan.c

The LRU lists themselves and ``zone->lru_lock`` are not modelled: whoever reclaims names the pages.  What matters is
that of two who want the same page only one gets it; an atomic exchange of PG_lru says the same in one step.

Reclaim holds no mmap_sem of those who map the page, and takes no lock but by trying, except the anon_vma lock and the
locks inside it.  Left out: asking who was referenced lately (``page_referenced``, one more walk under the same lock),
dirty limits, writeback that takes time, and the order in which pages are looked at.
"""

from __future__ import annotations

from errno import EBUSY
from typing import Final

from sim.context import Context
from sim.kernel.page_alloc import free_hot_cold_page
from sim.kernel.page_io import swap_writepage
from sim.kernel.pagemap import page_freeze_refs, page_unfreeze_refs
from sim.kernel.swap import get_page, get_page_unless_zero, lru_cache_add_lru, page_mapping, put_page
from sim.kernel.swap_state import __delete_from_swap_cache, add_to_swap
from sim.kernel.swapfile import swapcache_free, try_to_free_swap
from sim.ops import Kernel
from sim.structs import Page, SwapSlot
from sim.sync import trylock_page, unlock_page

#: What came of writing a page out; whether its lock is still held.  mm/vmscan.c:361 (v3.7)
PAGE_KEEP, PAGE_SUCCESS, PAGE_CLEAN = "keep, locked", "written, unlocked", "clean, locked"

#: What becomes of a page that reclaim has looked at: the labels of shrink_page_list.
_FREED, _KEEP, _KEEP_LOCKED, _CULL_MLOCKED = range(4)

#: The references to an unmapped page in the swap cache: the cache's and the isolation's.
_CACHE_AND_ISOLATION: Final = 2


def isolate_lru_page(k: Context, page: Page) -> Kernel:
    """Take *page* off the LRU, with a reference of its own; return 0, or -EBUSY if somebody else has it.

    Caller has a reference, which it keeps.  Takes no lock (see above).  mm/vmscan.c:1155 (v3.7)
    """
    was_on_lru = yield page.PG_lru.xchg(False)
    if not was_on_lru:
        return -EBUSY
    yield from get_page(k, page)
    return 0


def __isolate_lru_page(k: Context, page: Page) -> Kernel:
    """Take *page* off the LRU for one who has no reference; return 0, or -EBUSY if it is free or somebody has it.

    The kernel looks at PG_lru first, under ``lru_lock``; here a reference comes first, as only that makes the page
    safe to look at.  mm/vmscan.c:1004 (v3.7)
    """
    got = yield from get_page_unless_zero(k, page)
    if not got:
        return -EBUSY
    was_on_lru = yield page.PG_lru.xchg(False)
    if not was_on_lru:
        yield from put_page(k, page)
        return -EBUSY
    return 0


def putback_lru_page(k: Context, page: Page) -> Kernel:
    """Put an isolated page back on the LRU and drop the isolation's reference.

    A page that has no other reference is freed by this: the old frame after a move, the new one after a failure.
    mm/vmscan.c:545 (v3.7)
    """
    yield from lru_cache_add_lru(k, page)
    yield from put_page(k, page)


def page_evictable(k: Context, page: Page) -> Kernel:
    """Whether reclaim may look for *page* at all: it is not mlocked.  mm/vmscan.c:3410 (v3.7)"""
    mlocked = yield page.PG_mlocked
    return not mlocked


def is_page_cache_freeable(k: Context, page: Page) -> Kernel:
    """Whether only the cache and the caller refer to *page*: a quick look, without freezing.  mm/vmscan.c:318 (v3.7)"""
    count = yield page._count
    return count == _CACHE_AND_ISOLATION


def pageout(k: Context, page: Page) -> Kernel:
    """Write a dirty page of the swap cache out; return one of the results above.

    Caller holds the page lock, and no PTE maps the page.  mm/vmscan.c:377 (v3.7)
    """
    freeable = yield from is_page_cache_freeable(k, page)
    if not freeable:
        return PAGE_KEEP
    was_dirty = yield page.PG_dirty.xchg(False)
    if not was_dirty:
        return PAGE_CLEAN
    yield from swap_writepage(k, page)
    return PAGE_SUCCESS


def __remove_mapping(k: Context, mapping: SwapSlot, page: Page) -> Kernel:
    """Take *page* out of the swap cache for good, unless it is used or dirty; return whether.

    First the references are frozen, so that nobody finds the page any more, then it is looked at.  Caller holds the
    page lock, and afterwards the last reference, which counts as 0.  mm/vmscan.c:452 (v3.7)
    """
    frozen = yield from page_freeze_refs(k, page, _CACHE_AND_ISOLATION)
    if not frozen:
        return False
    dirty = yield page.PG_dirty
    if dirty:
        yield from page_unfreeze_refs(k, page, _CACHE_AND_ISOLATION)
        return False
    yield from __delete_from_swap_cache(k, page)
    yield from swapcache_free(k, mapping)
    return True


def shrink_page_list(k: Context, pages: tuple[Page, ...], ttu_flags: int) -> Kernel:
    """Try to free isolated *pages*; return how many were freed, and those that were not and are still isolated.

    Holds one page lock at a time, got by trying.  The kernel frees those that can go all at the end.
    mm/vmscan.c:674 (v3.7)
    """
    ret_pages: tuple[Page, ...] = ()
    nr_reclaimed = 0
    while pages:
        page, pages = pages[0], pages[1:]
        fate = _KEEP
        locked = yield from trylock_page(page)
        if locked:
            fate = yield from _shrink_page(k, page, ttu_flags)
        yield from _settle(k, page, fate)
        if fate == _FREED:
            yield from free_hot_cold_page(k, page)
            nr_reclaimed += 1
        elif fate != _CULL_MLOCKED:
            ret_pages = (*ret_pages, page)
    return nr_reclaimed, ret_pages


def _settle(k: Context, page: Page, fate: int) -> Kernel:
    """Give back the page lock, if it is held, and to the LRU a page that is mlocked.

    (The labels at the end of shrink_page_list's loop.)
    """
    if fate == _CULL_MLOCKED:
        mapping = yield from page_mapping(k, page)
        if mapping is not None:
            yield from try_to_free_swap(k, page)
    if fate in (_CULL_MLOCKED, _KEEP_LOCKED, _FREED):
        yield from unlock_page(page)
    if fate == _CULL_MLOCKED:
        yield from putback_lru_page(k, page)


def _shrink_page(k: Context, page: Page, ttu_flags: int) -> Kernel:
    """Unmap a locked page, write it out, and take it from the swap cache; return what is to become of it.

    The page is still locked, unless it is to be kept.  (The body of shrink_page_list's loop.)
    """
    fate, mapping = yield from _unmap(k, page, ttu_flags)
    if fate is None:
        fate = yield from _write_and_remove(k, page, mapping)
    return fate


def _unmap(k: Context, page: Page, ttu_flags: int) -> Kernel:
    """Give a locked page a swap slot and unmap it; return what is to become of it, and its slot.

    None if that is still open: no PTE maps the page.  (The first half of shrink_page_list's loop.)
    """
    evictable = yield from page_evictable(k, page)
    if not evictable:
        return _CULL_MLOCKED, None
    anon = yield page.mapping
    mapping = yield from page_mapping(k, page)
    if anon is not None and mapping is None:
        added = yield from add_to_swap(k, page)
        if not added:
            return _KEEP_LOCKED, None
        mapping = yield from page_mapping(k, page)
    mapped = yield from rmap.page_mapped(k, page)
    if mapped and mapping is not None:
        ret = yield from rmap.try_to_unmap(k, page, ttu_flags)
        if ret == rmap.SWAP_MLOCK:
            return _CULL_MLOCKED, mapping
        mapped = yield from rmap.page_mapped(k, page)
        if mapped:
            return _KEEP_LOCKED, mapping
    return None, mapping


def _write_and_remove(k: Context, page: Page, mapping: SwapSlot | None) -> Kernel:
    """Write a page that nobody maps to its slot *mapping* if it is dirty, and take it out of the swap cache.

    Returns what is to become of it.  (The second half of shrink_page_list's loop.)
    """
    dirty = yield page.PG_dirty
    if dirty and mapping is not None:
        result = yield from pageout(k, page)
        if result == PAGE_KEEP:
            return _KEEP_LOCKED
        if result == PAGE_SUCCESS:
            again = yield from _lock_after_writing(k, page)
            if again != _FREED:
                return again
            mapping = yield from page_mapping(k, page)
    if mapping is None:
        return _KEEP_LOCKED
    removed = yield from __remove_mapping(k, mapping, page)
    return _FREED if removed else _KEEP_LOCKED


def _lock_after_writing(k: Context, page: Page) -> Kernel:
    """The page was written at once; lock it again if that goes at once too, and if it is still clean.

    Writing it has given the page lock back.  (The case PAGE_SUCCESS in shrink_page_list.)
    """
    dirty = yield page.PG_dirty
    if dirty:
        return _KEEP
    locked = yield from trylock_page(page)
    if not locked:
        return _KEEP
    dirty = yield page.PG_dirty
    return _KEEP_LOCKED if dirty else _FREED


def shrink_inactive_list(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """Isolate *pages*, free what can be freed, put the rest back; return how many were freed.

    The kernel takes them from the end of the inactive list.  mm/vmscan.c:1263 (v3.7)
    """
    page_list: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        err = yield from __isolate_lru_page(k, page)
        if err == 0:
            page_list = (*page_list, page)
    freed, rest = yield from k.shrink_page_list(page_list, rmap.TTU_UNMAP)
    while rest:
        page, rest = rest[0], rest[1:]
        yield from putback_lru_page(k, page)
    return freed


def try_to_free_pages(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """Direct reclaim: whoever needs memory frees some itself, with all the locks that it holds.

    Waits for no page lock, but for anon_vma locks.  mm/vmscan.c:2275 (v3.7)
    """
    freed = yield from shrink_inactive_list(k, pages)
    return freed


def kswapd(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """The kernel thread that frees memory before anybody has to wait for it; here it does so once.

    Holds no lock and no mmap_sem.  mm/vmscan.c:2914 (v3.7)
    """
    yield from shrink_inactive_list(k, pages)


# Those below rmap want this file, and this file wants rmap; so it comes last, when all that they want is there.
from sim.kernel import rmap  # noqa: E402
