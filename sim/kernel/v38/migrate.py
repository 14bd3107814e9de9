"""Moving a page that the wrong node uses, as long as not too much moves.  mm/migrate.c

Whether a time is over is for whoever runs this to say: a choice stands where the kernel looks at its clock.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.migrate import MIGRATE_ASYNC
from sim.kernel.swap import put_page
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Choose, Kernel
from sim.structs import Page, Pgdat
from sim.sync import spin_lock, spin_unlock


def _node_data(nid: int) -> Pgdat:
    """Node *nid*.  (The kernel's NODE_DATA.)"""
    return Pgdat(f"node{nid}")


def migrate_balanced_pgdat(k: Context, pgdat: Pgdat, pages: int) -> Kernel:
    """Whether the node has room for so many *pages* more without reclaim.  It has, unless a world says otherwise.

    mm/migrate.c:1463 (v3.8)
    """
    yield from ()
    return True


def migrate_ratelimited(k: Context, node: int) -> Kernel:
    """Whether so much has moved to *node* lately that nothing need be marked for it.

    Takes no lock.  No fault may have come since that would have opened a new window; so a second after the window
    was closed the answer is no, whatever stands there.  mm/migrate.c:1519 (v3.8)
    """
    pgdat = _node_data(node)
    moved = yield pgdat.numabalancing_migrate_nr_pages
    limit = yield pgdat.ratelimit_pages
    if moved < limit:
        return False
    forgotten = yield Choose(2, f"whether the last window of {pgdat} was closed a second ago")
    return not forgotten


def numamigrate_update_ratelimit(k: Context, pgdat: Pgdat, pages: int) -> Kernel:
    """Ask for *pages* pages of what may move to the node in this window of 100 ms; return whether that was refused.

    Takes the node's ``numabalancing_migrate_lock``.  A window that is over is replaced by a new one first, in which
    nothing has moved yet.  What is counted is not taken back if the page does not move after all; and 128 MiB may be
    exceeded by the last that asked.  mm/migrate.c:1534 (v3.8)
    """
    limit = yield pgdat.ratelimit_pages
    yield from spin_lock(pgdat.numabalancing_migrate_lock)
    over = yield from _window_is_over(k, pgdat)
    if over:
        yield pgdat.numabalancing_migrate_nr_pages.set(0)
    moved = yield pgdat.numabalancing_migrate_nr_pages
    rate_limited = moved > limit
    if not rate_limited:
        yield pgdat.numabalancing_migrate_nr_pages.set(moved + pages)
    yield from spin_unlock(pgdat.numabalancing_migrate_lock)
    return rate_limited


def _window_is_over(k: Context, pgdat: Pgdat) -> Kernel:
    """The look at the clock.  (Part of numamigrate_update_ratelimit.)"""
    over = yield Choose(2, f"whether the window of {pgdat} is over")
    return over == 1


def numamigrate_isolate_page(k: Context, pgdat: Pgdat, page: Page) -> Kernel:
    """Isolate *page* if the node has room for it; return whether.  Either way the caller's reference goes.

    If it was isolated, that is a reference of its own.  mm/migrate.c:1558 (v3.8)
    """
    isolated = False
    room = yield from migrate_balanced_pgdat(k, pgdat, 1)
    if room:
        err = yield from isolate_lru_page(k, page)
        isolated = err == 0
    yield from put_page(k, page)
    return isolated


def migrate_misplaced_page(k: Context, page: Page, node: int, passes: int = 10) -> Kernel:
    """Try to move *page* to *node*, without sleeping for its lock; return 1 if it went there, else 0.

    Called from a fault: caller holds mmap_sem of the faulting mm for reading, no ptl, and a reference to the page
    that this function drops.  Only a page with one mapping moves, which is asked without any lock; and only so many
    in a while.  mm/migrate.c:1600 (v3.8)
    """
    pgdat = _node_data(node)
    mapcount = yield page._mapcount  # starts at -1
    if mapcount != 0:
        yield from put_page(k, page)
        return 0
    rate_limited = yield from numamigrate_update_ratelimit(k, pgdat, 1)
    if rate_limited:
        yield from put_page(k, page)
        return 0
    isolated = yield from numamigrate_isolate_page(k, pgdat, page)
    if not isolated:
        return 0
    failed = yield from k.migrate_pages((page,), node, passes, MIGRATE_ASYNC)
    return 0 if failed else 1
