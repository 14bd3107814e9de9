"""Taking memory out of a running machine.  mm/memory_hotplug.c"""

from __future__ import annotations

from errno import EBUSY

from sim.context import Context
from sim.kernel.swap import get_page_unless_zero, put_page
from sim.kernel.vmscan import isolate_lru_page, putback_lru_page
from sim.ops import Kernel
from sim.structs import Page


def do_migrate_range(k: Context, pages: tuple[Page, ...], passes: int = 10) -> Kernel:
    """Move the *pages* of a range that is to go offline to this CPU's node; return how many did not go, or -EBUSY.

    Takes no mmap_sem: the pages are found by their numbers, whoever maps them.  Each is pinned before it is looked at.
    A page in use that is not on the LRU spoils the whole round; the caller tries again.  mm/memory_hotplug.c:761 (v3.7)
    """
    source: tuple[Page, ...] = ()
    not_managed = False
    while pages and not not_managed:
        page, pages = pages[0], pages[1:]
        got = yield from get_page_unless_zero(k, page)
        if not got:
            continue
        err = yield from isolate_lru_page(k, page)
        yield from put_page(k, page)
        if err == 0:
            source = (*source, page)
        else:
            count = yield page._count
            not_managed = count > 0
    if not_managed:
        while source:
            page, source = source[0], source[1:]
            yield from putback_lru_page(k, page)
        return -EBUSY
    failed = 0
    if source:
        failed = yield from k.migrate_pages(source, k.node, passes)
    return failed


def offline_pages(k: Context, pages: tuple[Page, ...], tries: int, passes: int = 10) -> Kernel:
    """Empty a range of frames; return whether it is empty.

    The kernel goes on until the range is empty, or it is interrupted, or two minutes are over; here it tries *tries*
    times.  Isolating the range and telling the rest of the machine are left out.  mm/memory_hotplug.c:1003 (v3.7)
    """
    while tries:
        failed = yield from do_migrate_range(k, pages, passes)
        if failed == 0:
            return True
        tries -= 1
    return False
