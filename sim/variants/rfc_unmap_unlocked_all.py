"""The caveat as a bug: try_to_unmap without the lock for every caller, reclaim included

What the RFC says it does not do, and why: reclaim holds no mmap_sem.  It takes no reference either, so that nothing
keeps the anon_vma once the read section is over.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.rmap import TTU_UNMAP, page_mapped
from sim.ops import Kernel
from sim.structs import AnonVma, Page
from sim.sync import rcu_read_lock, rcu_read_unlock

BASE = "rfc_remap_unlocked"

VERDICTS = {
    "anon_vma_recycled": "unsafe",
    "huge_page_forked": "unsafe",
    "huge_page_remapped~fixed": "unsafe",
    "mlock_inversion~blocking": "safe",
    "reclaim_under_lock~gfp_kernel": "safe",
    "reclaim_vs_exit": "unsafe",
    "split_huge_page": "unsafe",
    "split_huge_page~no_bug_on": "unsafe",
}


def page_lock_anon_vma(k: Context, page: Page, flags: int = TTU_UNMAP) -> Kernel:
    """The anon_vma as it is, neither locked nor pinned.  20121201122649.GA20322 (second RFC)"""
    yield from rcu_read_lock()
    anon_vma = yield page.mapping
    mapped = yield from page_mapped(k, page)
    yield from rcu_read_unlock()
    return anon_vma if mapped else None


def page_unlock_anon_vma(k: Context, anon_vma: AnonVma, flags: int = TTU_UNMAP) -> Kernel:
    """Nothing.  20121201122649.GA20322 (second RFC)"""
    yield from ()
