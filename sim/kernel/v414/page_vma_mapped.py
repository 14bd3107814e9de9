"""Looking at what a walk of the reverse map has come to: a PTE, or since 4.14 a huge page.  mm/page_vma_mapped.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable import is_pmd_migration_entry, pmd_offset
from sim.ops import Kernel
from sim.structs import Mm, Page, Pmd
from sim.sync import spin_lock, spin_unlock


def page_vma_mapped_walk(k: Context, page: Page, mm: Mm, address: int, migration: bool) -> Kernel:
    """The PMD at *address* if it maps the huge *page*, or is its *migration* entry; with page_table_lock held, or None.

    Looks without the lock first, and again under it.  Only the half about huge pages: where there is a page table the
    functions that call this go on as they always did.  mm/page_vma_mapped.c (616b8371539a, v4.14)
    """
    pmd = pmd_offset(mm, address)
    value = yield pmd
    if not isinstance(value, Pmd):
        return None
    yield from spin_lock(mm.page_table_lock)
    value = yield pmd
    if isinstance(value, Pmd) and value.page is page and is_pmd_migration_entry(value) == migration:
        return pmd
    yield from spin_unlock(mm.page_table_lock)
    return None
