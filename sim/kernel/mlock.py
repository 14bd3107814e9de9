"""Pages that must stay in memory.  mm/mlock.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import vmscan
from sim.ops import Kernel
from sim.structs import Page


def mlock_vma_page(k: Context, page: Page) -> Kernel:
    """Mark *page* as one that reclaim leaves alone, and move it to the list of those.

    Caller holds the page lock.  The lists are one here, so a page that is on it goes off and on again.
    mm/mlock.c:77 (v3.7)
    """
    was_mlocked = yield page.PG_mlocked.xchg(True)
    if not was_mlocked:
        err = yield from vmscan.isolate_lru_page(k, page)
        if err == 0:
            yield from vmscan.putback_lru_page(k, page)
