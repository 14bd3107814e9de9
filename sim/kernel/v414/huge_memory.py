"""The migration entry of a whole huge page: how it comes and goes.  mm/huge_memory.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable_generic import pmdp_invalidate
from sim.kernel.rmap import page_add_anon_rmap, page_remove_rmap
from sim.kernel.swap import get_page, put_page
from sim.kernel.swapops import make_migration_entry
from sim.ops import Field, Kernel
from sim.structs import Page, Pmd, Vma


def set_pmd_migration_entry(k: Context, page: Page, vma: Vma, address: int, pmd: Field) -> Kernel:
    """Put a migration entry where *pmd* maps the huge *page*, and flush, once for all its small pages.

    Caller holds the page lock, the anon_vma lock and page_table_lock, the last over the flush.
    mm/huge_memory.c (616b8371539a, v4.14)
    """
    old = yield pmd
    yield from pmdp_invalidate(k, vma, address, pmd)
    entry = yield from make_migration_entry(k, page, old.write)
    yield pmd.set(Pmd("migration", page, entry.write))
    yield from page_remove_rmap(k, page)
    yield from put_page(k, page)  # the PMD's reference


def remove_migration_pmd(k: Context, new: Page, vma: Vma, address: int, pmd: Field) -> Kernel:
    """Map the huge page *new* in the place of the migration entry at *pmd*.

    Caller holds both page locks, the anon_vma lock and page_table_lock.  mm/huge_memory.c (616b8371539a, v4.14)
    """
    entry = yield pmd
    yield from get_page(k, new)
    yield from page_add_anon_rmap(k, new, vma, address)
    yield pmd.set(Pmd("present", new, entry.write))
