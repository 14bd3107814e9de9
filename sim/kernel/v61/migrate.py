"""Moving pages one after the other, without mmap_sem.  mm/migrate.c

The order of one page is that of 3.7 but for three things: the new page is locked before the old one is unmapped, the
remap walk comes after ``move_to_new_folio`` and not in it, and nobody who waits for the page has a reference to it.
"""

from __future__ import annotations

from errno import EAGAIN
from typing import Final

from sim.context import Context
from sim.kernel import memory, migrate, mmap
from sim.kernel.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, migrate_prep, new_page_node, remove_migration_ptes
from sim.kernel.pgtable import is_migration_entry, pte_index, pte_offset_map
from sim.kernel.rmap import page_get_anon_vma, page_mapped, put_anon_vma
from sim.kernel.swap import lru_cache_add_lru, page_mapping, put_page
from sim.kernel.swapops import migration_entry_to_page
from sim.kernel.tlb import flush_tlb_range
from sim.kernel.v61.filemap import migration_entry_wait_on_locked
from sim.kernel.v61.pgtable_generic import mm_tlb_flush_pending
from sim.kernel.v61.rmap import try_to_migrate
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Field, Kernel, Point
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable, Pmd, Vma
from sim.sync import down_read, lock_page, spin_lock, spin_unlock, trylock_page, unlock_page, up_read

#: How many pages the list is cut into.  mm/migrate.c (v6.1.192, from v6.3)
NR_MAX_BATCHED_MIGRATION: Final = 512


def migration_entry_wait(k: Context, mm: Mm, pmd: PageTable, address: int) -> Kernel:
    """A fault has met a migration entry: sleep until the page has moved, then let the access be tried again.

    Caller holds mmap_sem for reading, also while this sleeps.  Takes the ptl of *pmd* (the page table) to look again.
    mm/migrate.c (v6.1)
    """
    yield from spin_lock(pmd.ptl)
    entry = yield pte_offset_map(pmd, address)
    if not is_migration_entry(entry):
        yield from spin_unlock(pmd.ptl)
        return
    page = yield from migration_entry_to_page(k, entry)
    yield from migration_entry_wait_on_locked(k, page, pmd)


# --- one page ------------------------------------------------------------------------------------------------------


def move_to_new_folio(k: Context, dst: Page, src: Page) -> Kernel:
    """Copy an unmapped page unless somebody else uses it; return 0, or -EAGAIN with nothing changed.

    Caller holds both page locks, and no PTE maps *src*.  mm/migrate.c (v6.1)
    """
    index = yield src.index
    yield dst.index.set(index)
    anon_vma = yield src.mapping
    yield dst.mapping.set(anon_vma)
    slot = yield from page_mapping(k, src)
    rc = yield from migrate.migrate_page(k, slot, dst, src)
    if rc != 0:
        yield dst.mapping.set(None)
    return rc


def __unmap_and_move(k: Context, page: Page, newpage: Page, force: bool, mode: str) -> Kernel:
    """Unmap *page*, copy it, map the copy; or put everything back.  Return 0 or -EAGAIN.

    Takes the lock of *page*, sleeping for it only if *force* and *mode* allow that, and that of *newpage*, which nobody
    else knows; holds both to the end.  Pins the anon_vma.  mm/migrate.c (v6.1)
    """
    locked = yield from trylock_page(page)
    if not locked:
        if not force or mode == MIGRATE_ASYNC:
            return -EAGAIN
        yield from lock_page(page)
    rc = -EAGAIN
    was_mapped = False
    anon_vma = yield from page_get_anon_vma(k, page)
    yield from trylock_page(newpage)
    mapped = yield from page_mapped(k, page)
    if mapped:
        yield from try_to_migrate(k, page)
        was_mapped = True
        mapped = yield from page_mapped(k, page)
    if not mapped:
        rc = yield from move_to_new_folio(k, newpage, page)
    if rc == 0:
        yield from lru_cache_add_lru(k, newpage)
    if was_mapped:
        yield from remove_migration_ptes(k, page, newpage if rc == 0 else page)
    yield from unlock_page(newpage)
    if anon_vma is not None:
        yield from put_anon_vma(k, anon_vma)
    yield from unlock_page(page)
    if rc == 0:
        yield from put_page(k, newpage)  # those who map it have their own
    return rc


def unmap_and_move(k: Context, page: Page, node: int, force: bool, mode: str) -> Kernel:
    """Try once to move an isolated page to *node*.  Return 0 if it has gone there (or was freed), or -EAGAIN.

    Drops the isolation's reference unless the page is to be tried again, and the new page after a failure.
    mm/migrate.c (v6.1)
    """
    count = yield page._count
    if count == 1:  # only the isolation is left: whoever had it has freed it
        yield from put_page(k, page)
        return 0
    newpage = yield from new_page_node(k, page, node)
    rc = yield from __unmap_and_move(k, page, newpage, force, mode)
    yield from put_page(k, page if rc == 0 else newpage)
    return rc


# --- many pages ----------------------------------------------------------------------------------------------------


def migrate_pages(k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = MIGRATE_SYNC) -> Kernel:
    """Move isolated pages to *node*, 512 at a time; return how many did not go.

    Caller has isolated the pages; what is left over goes back to the LRU here, as in 3.7.  mm/migrate.c (v6.1)
    """
    yield Point("migrate_pages")
    failed = 0
    while pages:
        some, pages = pages[:NR_MAX_BATCHED_MIGRATION], pages[NR_MAX_BATCHED_MIGRATION:]
        left = yield from migrate_pages_batch(k, some, node, passes, mode)
        yield from migrate.putback_lru_pages(k, left)
        failed += len(left)
    return failed


def migrate_pages_batch(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """Move *pages* one after the other, in up to *passes* passes; return those that did not go.

    A batch by name: each page is unmapped, flushed, copied and mapped before the next.  From the fourth pass on, or in
    the last of fewer, this sleeps for page locks.  mm/migrate.c (v6.1)
    """
    yield Point("migrate_pages_batch")
    number = 0
    while number < passes and pages:
        force = number > 2 or number == passes - 1
        todo, pages = pages, ()
        while todo:
            page, todo = todo[0], todo[1:]
            rc = yield from unmap_and_move(k, page, node, force, mode)
            if rc == -EAGAIN:
                pages = (*pages, page)
        number += 1
    return pages


# --- move_pages(2) -------------------------------------------------------------------------------------------------


def add_page_for_migration(k: Context, mm: Mm, address: int, node: int) -> Kernel:
    """Isolate what *mm* maps at *address* unless it is on *node* already; return it, or None.

    Takes mmap_sem of *mm* to read, for this page alone.  Shared pages too (MPOL_MF_MOVE_ALL).  mm/migrate.c (v6.1)
    """
    yield Point("mmap_lock")
    yield from down_read(mm.mmap_sem)
    isolated: Page | None = None
    vma = yield from mmap.find_vma(k, mm, address)
    if vma is not None:
        vm_start = yield vma.vm_start
        if address >= vm_start:
            page = yield from memory.follow_page(k, vma, address)
            if page is not None:
                where = yield page.node
                if where != node:
                    err = yield from isolate_lru_page(k, page)
                    if err == 0:
                        isolated = page
                yield from put_page(k, page)  # the reference of follow_page
    yield from up_read(mm.mmap_sem)
    return isolated


def do_pages_move(k: Context, mm: Mm, addresses: tuple[int, ...], node: int, passes: int) -> Kernel:
    """Isolate the pages one after the other, and move them together; return how many did not go.

    An address at which there is nothing to move has those before it moved first.  While pages are moved nobody's
    mmap_sem is held.  mm/migrate.c (v6.1)
    """
    yield from migrate_prep(k)
    pagelist: tuple[Page, ...] = ()
    failed = 0
    while addresses:
        address, addresses = addresses[0], addresses[1:]
        page = yield from add_page_for_migration(k, mm, address, node)
        if page is not None:
            pagelist = (*pagelist, page)
            continue
        more = yield from move_pages_and_store_status(k, pagelist, node, passes)
        failed += more
        pagelist = ()
    more = yield from move_pages_and_store_status(k, pagelist, node, passes)
    return failed + more


def move_pages_and_store_status(k: Context, pagelist: tuple[Page, ...], node: int, passes: int) -> Kernel:
    """Move the pages that have been isolated; return how many did not go.  mm/migrate.c (v6.1)"""
    if not pagelist:
        return 0
    failed = yield from k.migrate_pages(pagelist, node, passes)
    return failed


# --- NUMA hints ----------------------------------------------------------------------------------------------------


def migrate_misplaced_page(k: Context, page: Page, node: int, passes: int = 10) -> Kernel:
    """Try to move *page* to *node*, without sleeping for its lock; return 1 if it went there, else 0.

    Called from a fault, for one page: so no more than one is ever moved at a time.  Drops the caller's reference.
    mm/migrate.c (v6.1)
    """
    err = yield from isolate_lru_page(k, page)
    yield from put_page(k, page)
    if err != 0:
        return 0
    failed = yield from k.migrate_pages((page,), node, passes, MIGRATE_ASYNC)
    return 0 if failed else 1


def _migrate_misplaced_transhuge_page(
    k: Context, mm: Mm, vma: Vma, pmd: Field, entry: Pmd, address: int, page: Page, node: int
) -> Kernel:
    """As 3.8, after a flush if somebody has marked pages of *mm* and not flushed yet (20841405940e, v3.13).

    6.1 moves a huge page that the wrong node uses by the way of all others; here it keeps that of 3.8.
    """
    pending = yield from mm_tlb_flush_pending(k, mm)
    if pending:
        haddr = address - pte_index(address)
        yield from flush_tlb_range(k, vma, haddr, haddr + PTRS_PER_PTE)
    migrated = yield from migrate.migrate_misplaced_transhuge_page(k, mm, vma, pmd, entry, address, page, node)
    return migrated
