"""Writing a page to swap and reading it back.  mm/page_io.c

A device answers at once here, as a compressed store in memory does (frontswap): no page is ever under writeback, and
what the device does with the 4 KiB is one load and one store.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import swapfile
from sim.ops import Kernel, Point
from sim.structs import Page
from sim.sync import unlock_page


def swap_writepage(k: Context, page: Page) -> Kernel:
    """Write *page* to its swap slot, unless nobody needs that any more; then it only leaves the swap cache.

    Caller holds the page lock, which this gives back, and no PTE maps the page.  mm/page_io.c:186 (v3.7)
    """
    freed = yield from swapfile.try_to_free_swap(k, page)
    if not freed:
        yield Point("swap_io")
        slot = yield page.private
        data = yield page.data
        yield slot.data.set(data)
    yield from unlock_page(page)


def swap_readpage(k: Context, page: Page) -> Kernel:
    """Fill *page* from its swap slot and unlock it.

    Caller holds the page lock; whoever finds the page in the swap cache waits for that lock.  mm/page_io.c:246 (v3.7)
    """
    yield Point("swap_io")
    slot = yield page.private
    data = yield slot.data
    yield page.data.set(data)
    yield from unlock_page(page)
