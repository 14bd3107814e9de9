"""Taking a page off the LRU and putting it back.  mm/vmscan.c

The LRU lists themselves and ``zone->lru_lock`` are not modelled.  What matters to migration is that of two who want
the same page only one gets it; an atomic exchange of PG_lru says the same in one step.
"""

from __future__ import annotations

from errno import EBUSY

from sim.context import Context
from sim.kernel.swap import get_page, lru_cache_add_lru, put_page
from sim.ops import Kernel
from sim.structs import Page


def isolate_lru_page(k: Context, page: Page) -> Kernel:
    """Take *page* off the LRU, with a reference of its own; return 0, or -EBUSY if somebody else has it.

    Caller has a reference, which it keeps.  Takes no lock (see above).  mm/vmscan.c:1155 (v3.7)
    """
    was_on_lru = yield page.PG_lru.xchg(False)
    if not was_on_lru:
        return -EBUSY
    yield from get_page(k, page)
    return 0


def putback_lru_page(k: Context, page: Page) -> Kernel:
    """Put an isolated page back on the LRU and drop the isolation's reference.

    A page that has no other reference is freed by this: the old frame after a move, the new one after a failure.
    mm/vmscan.c:545 (v3.7)
    """
    yield from lru_cache_add_lru(k, page)
    yield from put_page(k, page)
