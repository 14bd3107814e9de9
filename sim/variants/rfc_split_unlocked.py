"""The split that the RFC's author wished for: migration walks without the lock, both ways; reclaim keeps it

The RFC of 1 December 2012 says that it leaves try_to_unmap alone, because reclaim calls it without the mmap_sem, and
that a copy of it for migration would be the clean way.  Here migration takes no lock in either walk, and gives none
back.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import rmap
from sim.kernel.rmap import TTU_MIGRATION, TTU_UNMAP
from sim.ops import Kernel
from sim.structs import AnonVma, Page
from sim.variants import rfc_unmap_unlocked_all

BASE = "rfc_remap_unlocked"


def page_lock_anon_vma(k: Context, page: Page, flags: int = TTU_UNMAP) -> Kernel:
    """For migration the anon_vma as it is, not locked; ``__unmap_and_move`` has pinned it.

    20121201122649.GA20322 (second RFC)
    """
    if flags & TTU_MIGRATION:
        anon_vma = yield from rfc_unmap_unlocked_all.page_lock_anon_vma(k, page, flags)
    else:
        anon_vma = yield from rmap.page_lock_anon_vma(k, page, flags)
    return anon_vma


def page_unlock_anon_vma(k: Context, anon_vma: AnonVma, flags: int = TTU_UNMAP) -> Kernel:
    """For migration nothing.  20121201122649.GA20322 (second RFC)"""
    if not flags & TTU_MIGRATION:
        yield from rmap.page_unlock_anon_vma(k, anon_vma, flags)
