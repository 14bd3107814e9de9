"""Frames come and go.  mm/page_alloc.c

Memory never runs out here: an allocation always succeeds, and on the node that was asked for.
"""

from __future__ import annotations

from sim.context import Context
from sim.ops import Alloc, Free, Kernel, Point
from sim.structs import Page


def alloc_pages_node(k: Context, nid: int) -> Kernel:
    """A free frame of node *nid*, with one reference, not on the LRU.  include/linux/gfp.h:307 (v3.7)"""
    yield Point("alloc_page")
    page = yield Alloc(Page, (("node", nid), ("_count", 1), ("PG_lru", False)))
    return page


def alloc_huge_pages_node(k: Context, nid: int, pages: int) -> Kernel:
    """A free huge page of so many small *pages*, likewise: one allocation of a higher order.

    include/linux/gfp.h:307 (v3.7)
    """
    yield Point("alloc_page")
    page = yield Alloc(Page, (("node", nid), ("_count", 1), ("PG_lru", False)), tails=pages - 1)
    return page


def alloc_page(k: Context) -> Kernel:
    """A free frame of the node that this CPU belongs to.  include/linux/gfp.h:342 (v3.7)"""
    page = yield from alloc_pages_node(k, k.node)
    return page


def free_hot_cold_page(k: Context, page: Page) -> Kernel:
    """Give a frame back.  Nobody refers to it: touching it from now on is a bug.  mm/page_alloc.c:1293 (v3.7)"""
    yield Free(page)


def __free_page(k: Context, page: Page) -> Kernel:
    """Drop a reference to a frame that was never mapped; the last one frees it.  mm/page_alloc.c:2682 (v3.7)"""
    count = yield page._count.add(-1)
    if count == 0:
        yield from free_hot_cold_page(k, page)
