"""Moving a huge page whole.  mm/migrate.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import memory, migrate
from sim.kernel.page_alloc import alloc_huge_pages_node
from sim.kernel.pgtable import is_pmd_migration_entry, pmd_offset
from sim.kernel.rmap import SWAP_AGAIN
from sim.kernel.swap import get_page_unless_zero, put_page
from sim.kernel.v414.huge_memory import remove_migration_pmd
from sim.kernel.v414.page_vma_mapped import page_vma_mapped_walk
from sim.ops import Kernel, Point
from sim.structs import Mm, Page, SwapSlot, Vma
from sim.sync import spin_lock, spin_unlock, wait_on_page_locked


def pmd_migration_entry_wait(k: Context, mm: Mm, address: int) -> Kernel:
    """Sleep until the huge page around *address* has moved, then let the access be tried again.

    Caller holds mmap_sem for reading.  Takes page_table_lock to look again, and a reference.
    mm/migrate.c (616b8371539a, v4.14)
    """
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd_offset(mm, address)
    if not is_pmd_migration_entry(entry):
        yield from spin_unlock(mm.page_table_lock)
        return
    got = yield from get_page_unless_zero(k, entry.page)
    yield from spin_unlock(mm.page_table_lock)
    if not got:
        return
    yield Point("migration_entry_wait")
    yield from wait_on_page_locked(entry.page)
    yield from put_page(k, entry.page)


def remove_migration_pte(k: Context, new: Page, vma: Vma, address: int, old: Page) -> Kernel:
    """Replace the migration entry of *old* in *vma*, that of a huge page or of a small one, by a mapping of *new*.

    Caller holds both page locks and the anon_vma lock.  mm/migrate.c (616b8371539a, v4.14)
    """
    tails = yield old.tails
    if tails:
        mm = yield vma.vm_mm
        pmd = yield from page_vma_mapped_walk(k, old, mm, address, migration=True)
        if pmd is not None:
            yield Point("pte_visit_remap")
            yield from remove_migration_pmd(k, new, vma, address, pmd)
            yield from spin_unlock(mm.page_table_lock)
            return SWAP_AGAIN
    ret = yield from migrate.remove_migration_pte(k, new, vma, address, old)
    return ret


def _is_huge(k: Context, page: Page) -> Kernel:
    """Whether *page* is the head of a huge page now: no frame without tails ever was."""
    tails = yield page.tails
    huge = False
    if tails:
        huge = yield page.PG_head
    return huge


def migrate_page_copy(k: Context, mapping: SwapSlot | None, newpage: Page, page: Page) -> Kernel:
    """Copy a page, of a huge one each of its small pages.  Caller holds both page locks.

    The kernel could do so before, and had no use for it.  mm/migrate.c (616b8371539a, v4.14)
    """
    huge = yield from _is_huge(k, page)
    if huge:
        yield from migrate.copy_huge_page(k, newpage, page)
        return
    yield from migrate.migrate_page_copy(k, mapping, newpage, page)


def new_page_node(k: Context, page: Page, node: int) -> Kernel:
    """The frame, or for a huge page the frames, that *page* is to move to.  mm/migrate.c (e8db67eb0ded, v4.14)"""
    huge = yield from _is_huge(k, page)
    if huge:
        tails = yield page.tails
        newpage = yield from alloc_huge_pages_node(k, node, 1 + len(tails))
        return newpage
    newpage = yield from migrate.new_page_node(k, page, node)
    return newpage


def follow_page(k: Context, vma: Vma, address: int, flags: int = memory.FOLL_GET) -> Kernel:
    """As before, but that move_pages no longer asks for a huge page to be split: it gets its head, and moves that.

    Whichever of its small pages is asked for, the head is isolated; asked for again it is isolated already.
    mm/migrate.c (e8db67eb0ded, v4.14)
    """
    page = yield from memory.follow_page(k, vma, address, flags & ~memory.FOLL_SPLIT)
    return page
