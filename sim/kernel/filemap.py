"""Finding a page in a page cache without a lock.  mm/filemap.c

The only page cache here is the swap cache; its tree is the slots themselves (``slot.page_tree``).
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pagemap import page_cache_get_speculative
from sim.kernel.swap import put_page
from sim.ops import Kernel
from sim.structs import SwapSlot


def find_get_page(k: Context, slot: SwapSlot) -> Kernel:
    """The page in the swap cache for *slot*, with a reference; or None.

    Takes no lock: between looking the page up and getting a reference it may be freed or replaced.  A frozen or freed
    page gives no reference, and one that has left the slot meanwhile is given back; either way it looks again.  What it
    returns may leave the slot at once, so the caller locks it and looks a third time.  mm/filemap.c:676 (v3.7)
    """
    while True:
        page = yield slot.page_tree
        if page is None:
            return None
        got = yield from page_cache_get_speculative(k, page)
        if not got:
            continue
        again = yield slot.page_tree
        if again is page:
            return page
        yield from put_page(k, page)
