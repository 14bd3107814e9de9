"""References to a page.  mm/swap.c

``page->_count`` counts everything that keeps a frame: each present PTE, an isolation from the LRU, whoever looks at
it for a moment.  Who drops the last reference frees the frame.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.page_alloc import free_hot_cold_page
from sim.ops import Kernel
from sim.structs import Page


def get_page(k: Context, page: Page) -> Kernel:
    """Take one more reference.  Caller has one, or the ptl of a PTE that has.  include/linux/mm.h:397 (v3.7)"""
    yield page._count.add(1)


def get_page_unless_zero(k: Context, page: Page) -> Kernel:
    """Take a reference unless the page is free already; return whether.  include/linux/mm.h:286 (v3.7)"""
    taken = yield page._count.add_unless(1, 0)
    return taken


def page_mapping(k: Context, page: Page) -> Kernel:
    """The page cache that *page* is in, which can only be the swap cache: its slot, or None.

    Caller holds the page lock.  (What *page* is mapped by, ``page.mapping``, is another matter.)
    include/linux/mm.h:792 (v3.7)
    """
    slot = yield page.private
    return slot


def put_page(k: Context, page: Page) -> Kernel:
    """Drop a reference; the last one frees the frame.  Takes no lock.  mm/swap.c:160 (v3.7)"""
    count = yield page._count.add(-1)
    if count == 0:
        yield from __put_single_page(k, page)


def __put_single_page(k: Context, page: Page) -> Kernel:
    """Free a frame that nobody refers to any more.

    The kernel takes it off the LRU first; a frame's name is never used again here, so there is nothing to clear.
    mm/swap.c:63 (v3.7)
    """
    yield from free_hot_cold_page(k, page)


def lru_cache_add_lru(k: Context, page: Page) -> Kernel:
    """Put a page on the LRU, where the next ``isolate_lru_page`` finds it.  Caller has a reference.

    The kernel collects 14 pages per CPU before it does so, which is why ``migrate_prep`` drains those collections;
    here the page is on the LRU at once.  mm/swap.c:474 (v3.7)
    """
    yield page.PG_lru.set(True)
