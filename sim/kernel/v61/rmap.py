"""Unmapping for migration, which is a walk of its own since v5.14.  mm/rmap.c"""

from __future__ import annotations

from typing import Final

from sim.context import Context
from sim.kernel.interval_tree import anon_vma_interval_tree_iter_first, anon_vma_interval_tree_iter_next
from sim.kernel.rmap import (
    TTU_MIGRATION,
    anon_vma_free,
    is_vma_temporary_stack,
    page_check_address,
    page_mapped,
    page_remove_rmap,
    vma_address,
)
from sim.kernel.swap import put_page
from sim.kernel.swapops import make_migration_entry
from sim.kernel.v414.rmap import _migrate_whole
from sim.ops import Field, Kernel, Point
from sim.structs import AnonVma, Page, PageTable, Pte, Vma
from sim.sync import spin_unlock

#: The flush may be put off.  include/linux/rmap.h (v6.3)
TTU_BATCH_FLUSH: Final = 0x40


def __put_anon_vma(k: Context, anon_vma: AnonVma) -> Kernel:
    """Free an anon_vma, and then its root if that was the root's last reference (624483f3ea82, v3.16).

    mm/rmap.c (v6.1)
    """
    root = yield anon_vma.root
    yield from anon_vma_free(k, anon_vma)
    if root is not anon_vma:
        count = yield root.refcount.add(-1)
        if count == 0:
            yield from anon_vma_free(k, root)


def try_to_migrate(k: Context, page: Page, flags: int = 0) -> Kernel:
    """Replace every PTE of *page* by a migration entry, until no PTE maps it.

    Caller holds the page lock, and sees by ``page_mapped`` whether it worked.  Takes the root anon_vma lock to read,
    and each page table's ptl inside it.  As ever, the temporary stack of an exec is left out.  (With rmap_walk_anon,
    which it calls.)  mm/rmap.c (v6.1)
    """
    anon_vma = yield from k.page_lock_anon_vma(page, TTU_MIGRATION)
    if anon_vma is None:
        return
    yield Point("unmap_walk")
    pgoff = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, pgoff, pgoff)
    while avc is not None:
        vma = yield avc.vma
        temporary = yield from is_vma_temporary_stack(k, vma)
        if not temporary:
            address = yield from vma_address(k, pgoff, vma)
            whole = yield from _migrate_whole(k, page, vma, address)
            if not whole:
                yield from try_to_migrate_one(k, page, vma, address, flags)
            mapped = yield from page_mapped(k, page)
            if not mapped:
                break
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, pgoff, pgoff)
    yield from k.page_unlock_anon_vma(anon_vma, TTU_MIGRATION)


def try_to_migrate_one(k: Context, page: Page, vma: Vma, address: int, flags: int) -> Kernel:
    """Put a migration entry where *vma* maps *page*, if it does; also if the page is in the swap cache.

    Caller holds the page lock and the anon_vma lock.  Takes the ptl, and holds it over the flush, if there is one.
    That a PTE was dirty the entry remembers on some machines since v6.1; here a PTE is clean after a move, as before.
    mm/rmap.c (v6.1)
    """
    yield Point("pte_visit_unmap")
    mm = yield vma.vm_mm
    found = yield from page_check_address(k, page, mm, address)
    if found is None:
        return
    pte, table = found
    old = yield from k.ptep_clear_flush(vma, address, pte)
    yield from _to_migration_entry(k, page, pte, table, old, old.write)


def _to_migration_entry(k: Context, page: Page, pte: Field, table: PageTable, old: Pte, write: bool) -> Kernel:
    """Store the entry that takes the place of *old*, account for it, and give the ptl back.

    (The end of try_to_migrate_one.)
    """
    slot = yield page.private
    if slot is not None and old.dirty:
        yield page.PG_dirty.set(True)
    entry = yield from make_migration_entry(k, page, write)
    yield pte.set(entry)
    yield from page_remove_rmap(k, page)
    yield from put_page(k, page)  # the PTE's reference
    yield from spin_unlock(table.ptl)
