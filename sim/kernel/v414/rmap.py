"""Unmapping a huge page for migration.  mm/rmap.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import rmap
from sim.kernel.rmap import SWAP_AGAIN, TTU_MIGRATION
from sim.kernel.v414.huge_memory import set_pmd_migration_entry
from sim.kernel.v414.page_vma_mapped import page_vma_mapped_walk
from sim.ops import Kernel, Point
from sim.structs import Page, Vma
from sim.sync import spin_unlock


def try_to_unmap_one(k: Context, page: Page, vma: Vma, address: int, flags: int) -> Kernel:
    """Put a migration entry where *vma* maps the huge *page*, or an entry where it maps a small one, as before.

    Caller holds the page lock and the anon_vma lock.  mm/rmap.c (616b8371539a, v4.14)
    """
    if flags & TTU_MIGRATION:
        whole = yield from _migrate_whole(k, page, vma, address)
        if whole:
            return SWAP_AGAIN
    ret = yield from rmap.try_to_unmap_one(k, page, vma, address, flags)
    return ret


def _migrate_whole(k: Context, page: Page, vma: Vma, address: int) -> Kernel:
    """Put a migration entry where *vma* maps the huge *page*; return whether it does.

    Caller holds the page lock and the anon_vma lock.  Takes page_table_lock, and holds it over the flush.  Since v5.14
    part of try_to_migrate_one.
    """
    tails = yield page.tails
    if not tails:
        return False
    mm = yield vma.vm_mm
    pmd = yield from page_vma_mapped_walk(k, page, mm, address, migration=False)
    if pmd is None:
        return False
    yield Point("pte_visit_unmap")
    yield from set_pmd_migration_entry(k, page, vma, address, pmd)
    yield from spin_unlock(mm.page_table_lock)
    return True
