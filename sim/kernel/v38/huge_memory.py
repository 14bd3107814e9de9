"""Splitting a huge page, as Linux 3.8 does.  mm/huge_memory.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.huge_memory import __split_huge_page
from sim.kernel.rmap import page_get_anon_vma, put_anon_vma
from sim.ops import Kernel
from sim.structs import Page


def split_huge_page(k: Context, page: Page) -> Kernel:
    """Split a huge page, unless somebody has already; return 0 if it is small pages now, 1 if nobody maps it.

    Caller has a reference, and none of its locks.  A walk's lock can be shared in 3.8, and a split must be alone: so
    this takes a reference to the anon_vma, sleeps for the root's lock to write, and gives both back.  3.8-rc1 had
    overlooked it.  mm/huge_memory.c:1819 (v3.8)
    """
    anon_vma = yield from page_get_anon_vma(k, page)
    if anon_vma is None:
        return 1
    yield from k.anon_vma_lock_write(anon_vma)
    huge = yield page.PG_head
    if huge:
        yield from __split_huge_page(k, page, anon_vma)
    yield from k.anon_vma_unlock_write(anon_vma)
    yield from put_anon_vma(k, anon_vma)
    return 0
