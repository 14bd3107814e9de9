"""Moving a page because the wrong node uses it.  mm/migrate.c in numa/core v18"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.swap import put_page
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Kernel
from sim.structs import Page


def migrate_misplaced_page(k: Context, page: Page, node: int, passes: int = 10) -> Kernel:
    """Try to move *page* to *node*, without sleeping for its lock; return 1 if it went there, else 0.

    Called from a fault: caller holds mmap_sem of the faulting mm for reading, no ptl, and a reference to the page
    that this function drops.  Only a page with one mapping moves; that is tested without any lock, so a fork may
    have added a second one by the time of the unmap walk.  As mailed, a page with more mappings kept the reference
    for good; 3.8 drops it, and so does this.  20121119022558.GA3186@gmail.com (numa/core v17)
    """
    mapcount = yield page._mapcount  # starts at -1
    if mapcount != 0:
        yield from put_page(k, page)
        return 0
    err = yield from isolate_lru_page(k, page)
    yield from put_page(k, page)
    if err != 0:
        return 0
    failed = yield from k.migrate_pages((page,), node, passes, migrate.MIGRATE_ASYNC)
    return 0 if failed else 1
