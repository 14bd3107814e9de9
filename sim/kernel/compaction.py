"""Making room for a large block by moving pages to one end of a zone.  mm/compaction.c

Whoever needs the block compacts for itself, or kswapd does, or a write to /proc.  In no case is anybody asked whose
pages they are: no mmap_sem of those who map them is held, only perhaps some other.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.vmscan import __isolate_lru_page
from sim.ops import Kernel
from sim.structs import Page


def isolate_migratepages(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """Isolate those of *pages* that can be; the kernel scans the zone for them.  mm/compaction.c:804 (v3.7)"""
    isolated: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        err = yield from __isolate_lru_page(k, page)
        if err == 0:
            isolated = (*isolated, page)
    return isolated


def compact_zone(k: Context, pages: tuple[Page, ...], passes: int = 10, mode: str = migrate.MIGRATE_SYNC) -> Kernel:
    """Move *pages* out of the way; return how many did not go.

    Takes no mmap_sem.  The two scanners, and when they have met, are left out; the free end of the zone is taken to be
    on this CPU's node.  mm/compaction.c:939 (v3.7)
    """
    isolated = yield from isolate_migratepages(k, pages)
    failed = 0
    if isolated:
        failed = yield from k.migrate_pages(isolated, k.node, passes, mode)
    return failed
