"""Moving a page to another frame.  mm/migrate.c

The order of one page (``__unmap_and_move``)::

    lock the old page                          PG_locked(old) from here to the end
      pin its anon_vma                         a reference, no lock
      unmap walk: every PTE becomes a migration entry      1st anon_vma lock, a ptl and a TLB flush for each PTE
      is no PTE left?                          mapcount: the proof that the walk was complete
      lock the new page                        PG_locked(new)
        is the isolation's the only reference? count: the proof that nobody else uses the frame
        copy
        remap walk: every migration entry becomes a PTE    2nd anon_vma lock, a ptl for each
      unlock the new page
      (or, if any of this failed: remap walk back to the old frame)
    unlock the old page

Who faults on a migration entry sleeps in ``migration_entry_wait`` until the old page is unlocked.
"""

from __future__ import annotations

from errno import EAGAIN
from typing import Final

from sim.context import Context
from sim.kernel import memory, mmap
from sim.kernel.page_alloc import alloc_huge_pages_node, alloc_pages_node
from sim.kernel.pagemap import page_freeze_refs, page_unfreeze_refs
from sim.kernel.pgtable import is_migration_entry, pmd_offset, pte_index, pte_offset_map
from sim.kernel.rmap import (
    SWAP_AGAIN,
    TTU_IGNORE_ACCESS,
    TTU_IGNORE_MLOCK,
    TTU_MIGRATION,
    page_add_anon_rmap,
    page_add_new_anon_rmap,
    page_get_anon_vma,
    page_mapped,
    page_remove_rmap,
    put_anon_vma,
    rmap_walk,
    try_to_unmap,
)
from sim.kernel.swap import get_page, get_page_unless_zero, page_mapping, put_page
from sim.kernel.swapops import migration_entry_to_page
from sim.kernel.vmscan import isolate_lru_page, putback_lru_page
from sim.ops import Bug, CopyPage, Field, Kernel, Point
from sim.structs import VM_WRITE, Mm, Page, PageTable, Pmd, Pte, SwapSlot, Vma
from sim.sync import (
    down_read,
    lock_page,
    spin_lock,
    spin_unlock,
    trylock_page,
    unlock_page,
    up_read,
    wait_on_page_locked,
)

#: May the caller be made to wait for a page that somebody else has locked?  include/linux/migrate_mode.h:10 (v3.7)
MIGRATE_ASYNC, MIGRATE_SYNC = "async", "sync"

#: How many pages ``do_pages_move`` takes at a time: a page full of 24-byte records, less one as end marker.
CHUNK: Final = 4096 // 24 - 1


def migrate_prep(k: Context) -> Kernel:
    """Have every CPU put the pages it has collected onto the LRU.  A cost and no more here.  mm/migrate.c:48 (v3.7)"""
    yield Point("lru_add_drain_all")


def putback_lru_pages(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """Give isolated pages back to the LRU.  mm/migrate.c:73 (v3.7)"""
    while pages:
        page, pages = pages[0], pages[1:]
        yield from putback_lru_page(k, page)


# --- the remap walk ------------------------------------------------------------------------------------------------


def remove_migration_ptes(k: Context, old: Page, new: Page) -> Kernel:
    """Replace every migration entry of *old* by a PTE of *new*; to undo an unmap walk the two are the same.

    Caller holds both page locks.  Takes the root anon_vma lock.  mm/migrate.c:174 (v3.7)
    """
    yield from rmap_walk(k, new, remove_migration_pte, old)


def remove_migration_pte(k: Context, new: Page, vma: Vma, address: int, old: Page) -> Kernel:
    """Replace the migration entry of *old* in *vma* by a PTE of *new*, if there is one.

    Caller holds both page locks and the anon_vma lock.  Takes the ptl at once, without a first look at the PTE:
    mremap may be moving the entry without the anon_vma lock.  Nothing is flushed, because no TLB can hold what was
    not present.  mm/migrate.c:89 (v3.7)
    """
    yield Point("pte_visit_remap")
    mm = yield vma.vm_mm
    table = yield pmd_offset(mm, address)
    if table is None or isinstance(table, Pmd):
        return SWAP_AGAIN
    pte = pte_offset_map(table, address)
    yield from spin_lock(table.ptl)
    entry = yield pte
    if is_migration_entry(entry):
        page = yield from migration_entry_to_page(k, entry)
        if page is old:
            yield from get_page(k, new)
            yield pte.set(Pte("present", new, entry.write))
            yield from page_add_anon_rmap(k, new, vma, address)
    yield from spin_unlock(table.ptl)
    return SWAP_AGAIN


def migration_entry_wait(k: Context, mm: Mm, pmd: PageTable, address: int) -> Kernel:
    """A fault has met a migration entry: sleep until the page has moved, then let the access be tried again.

    Caller holds mmap_sem for reading, also while this sleeps.  Takes the ptl of *pmd* (the page table) to look at the
    entry again, and a reference to the old page so that it is still a page when this wakes up; that reference, if it
    comes before the migration's count test, makes the migration fail.  mm/migrate.c:184 (v3.7)
    """
    yield from spin_lock(pmd.ptl)
    entry = yield pte_offset_map(pmd, address)
    if not is_migration_entry(entry):
        yield from spin_unlock(pmd.ptl)
        return
    page = yield from migration_entry_to_page(k, entry)
    got = yield from get_page_unless_zero(k, page)
    yield from spin_unlock(pmd.ptl)
    if not got:
        return
    yield Point("migration_entry_wait")
    yield from wait_on_page_locked(page)
    yield from put_page(k, page)


# --- one page ------------------------------------------------------------------------------------------------------


def migrate_page_move_mapping(k: Context, mapping: SwapSlot | None, newpage: Page, page: Page) -> Kernel:
    """May the frame be copied?  Only if its one reference is the isolation's; else -EAGAIN.

    A page of the swap cache (then *mapping* is its slot) has the cache's reference too.  It is frozen at those two, so
    that nobody gets it while *newpage* takes its place there.  Caller holds both page locks.  mm/migrate.c:278 (v3.7)
    """
    if mapping is None:
        count = yield page._count
        return 0 if count == 1 else -EAGAIN
    frozen = yield from page_freeze_refs(k, page, 2)
    if not frozen:
        return -EAGAIN
    yield from get_page(k, newpage)
    yield newpage.private.set(mapping)
    yield mapping.page_tree.xchg(newpage)
    yield from page_unfreeze_refs(k, page, 1)
    return 0


def migrate_page_copy(k: Context, mapping: SwapSlot | None, newpage: Page, page: Page) -> Kernel:
    """Copy the 4 KiB, and of a page in the swap cache whether it is dirty.

    Caller holds both page locks.  The other flags mean nothing here; the kernel need not be told of *mapping*, because
    it clears and copies all flags of any page.  mm/migrate.c:408 (v3.7)
    """
    yield CopyPage(newpage, page)
    if mapping is not None:
        dirty = yield page.PG_dirty
        yield newpage.PG_dirty.set(dirty)
        yield page.private.set(None)


def migrate_page(k: Context, mapping: SwapSlot | None, newpage: Page, page: Page) -> Kernel:
    """Copy *page* to *newpage* unless somebody else uses it.  Caller holds both page locks.  mm/migrate.c:479 (v3.7)"""
    rc = yield from migrate_page_move_mapping(k, mapping, newpage, page)
    if rc != 0:
        return rc
    yield from migrate_page_copy(k, mapping, newpage, page)
    return 0


def move_to_new_page(k: Context, newpage: Page, page: Page, remap_swapcache: bool) -> Kernel:
    """Copy an unmapped page and map the copy in its place; return 0, or -EAGAIN with nothing changed.

    Without *remap_swapcache* there is no remap walk: the page had an anon_vma once, which may be gone.  Caller holds
    the lock of *page*, and no PTE maps it.  Takes the lock of *newpage*, which nobody else knows, so that it cannot
    fail; holds it over the copy and the remap walk.  mm/migrate.c:633 (v3.7)
    """
    locked = yield from trylock_page(newpage)
    if not locked:
        yield Bug("kernel bug", f"somebody else has locked the new page {newpage}", (newpage,))
    index = yield page.index
    yield newpage.index.set(index)
    anon_vma = yield page.mapping
    yield newpage.mapping.set(anon_vma)

    mapping = yield from page_mapping(k, page)
    rc = yield from migrate_page(k, mapping, newpage, page)
    if rc != 0:
        yield newpage.mapping.set(None)
    else:
        if remap_swapcache:
            yield from remove_migration_ptes(k, page, newpage)
        yield page.mapping.set(None)
    yield from unlock_page(newpage)
    return rc


def __unmap_and_move(k: Context, page: Page, newpage: Page, force: bool, mode: str) -> Kernel:
    """Unmap *page*, copy it, map the copy; or put everything back.  Return 0 or -EAGAIN.

    Takes the lock of *page*, sleeping for it only if *force* and *mode* allow that, and holds it to the end: a
    migration entry must name a locked page.  Pins the anon_vma, which no mapping keeps alive between the two walks.
    A page of the swap cache that nobody maps moves all the same, but by no walk.  mm/migrate.c:681 (v3.7)
    """
    locked = yield from trylock_page(page)
    if not locked:
        if not force or mode == MIGRATE_ASYNC:
            return -EAGAIN
        yield from lock_page(page)

    rc = -EAGAIN
    anon_vma = None
    remap_swapcache = True
    mapping = yield page.mapping
    if mapping is not None:
        anon_vma = yield from page_get_anon_vma(k, page)
        if anon_vma is None:  # nobody maps it: it is about to be freed, unless it is in the swap cache
            cached = yield from page_mapping(k, page)
            if cached is None:
                yield from unlock_page(page)
                return rc
            remap_swapcache = False
        yield from try_to_unmap(k, page, TTU_MIGRATION | TTU_IGNORE_MLOCK | TTU_IGNORE_ACCESS)

    mapped = yield from page_mapped(k, page)
    if not mapped:
        rc = yield from move_to_new_page(k, newpage, page, remap_swapcache)
    if rc != 0 and remap_swapcache:
        yield from remove_migration_ptes(k, page, page)

    if anon_vma is not None:
        yield from put_anon_vma(k, anon_vma)
    yield from unlock_page(page)
    return rc


def unmap_and_move(k: Context, page: Page, node: int, force: bool, mode: str) -> Kernel:
    """Try once to move an isolated page to *node*.  Return 0 if it has gone there (or was freed), or -EAGAIN.

    Unless it is to be tried again the page goes back to the LRU, which frees the old frame after a move.  The new
    frame goes to the LRU too, which frees it after a failure.  mm/migrate.c:828 (v3.7)
    """
    newpage = yield from new_page_node(k, page, node)
    count = yield page._count
    rc = 0
    if count != 1:  # else only the isolation is left: whoever had it has freed it
        rc = yield from __unmap_and_move(k, page, newpage, force, mode)
    if rc != -EAGAIN:
        yield from putback_lru_page(k, page)
    yield from putback_lru_page(k, newpage)
    return rc


# --- many pages ----------------------------------------------------------------------------------------------------


def migrate_pages(k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = MIGRATE_SYNC) -> Kernel:
    """Move isolated pages to *node*, one after the other, in up to *passes* passes; return how many did not go.

    Caller has isolated the pages.  The kernel makes 10 passes and sleeps for page locks (``force``) from the fourth on;
    with fewer than that the last pass does, so that a small world has both kinds.  What is left over the kernel leaves
    on its caller's list, and every caller gives it back to the LRU; here this function does.  mm/migrate.c:959 (v3.7)
    """
    retry = pages
    number = 0
    while number < passes and retry:
        force = number > 2 or number == passes - 1
        todo, retry = retry, ()
        while todo:
            page, todo = todo[0], todo[1:]
            rc = yield from unmap_and_move(k, page, node, force, mode)
            if rc == -EAGAIN:
                retry = (*retry, page)
        number += 1
    yield from putback_lru_pages(k, retry)
    return len(retry)


def copy_huge_page(k: Context, dst: Page, src: Page) -> Kernel:
    """Copy a huge page, small page by small page.  mm/hugetlb.c:491 (v3.7)"""
    to = yield dst.tails
    rest = yield src.tails
    to, rest = (dst, *to), (src, *rest)
    while rest:
        yield CopyPage(to[0], rest[0])
        to, rest = to[1:], rest[1:]


def migrate_misplaced_transhuge_page(
    k: Context, mm: Mm, vma: Vma, pmd: Field, entry: Pmd, address: int, page: Page, node: int
) -> Kernel:
    """Try to move the huge *page*, which *pmd* maps as *entry* says, to *node*; return whether it is dealt with.

    Called from a fault: caller holds mmap_sem of *mm* for reading, the page's lock, and a reference that this function
    drops; if the answer is yes it has dropped the lock too.  Only a page with one mapping moves.  No walk, no anon_vma
    lock and no flush: the PMD is marked PROT_NONE, so nobody is expected to have it in a TLB, and stays so while the
    page is copied; under page_table_lock it is then exchanged, if nobody has touched it.  mm/migrate.c:1647 (v3.8)
    """
    mapcount = yield page._mapcount
    if mapcount != 0:
        yield from put_page(k, page)
        return False
    tails = yield page.tails
    new = yield from alloc_huge_pages_node(k, node, 1 + len(tails))
    err = yield from isolate_lru_page(k, page)
    yield from put_page(k, page)
    count = yield page._count
    if err or count != 2:  # the PMD's reference and the isolation's
        yield from put_page(k, new)
        if not err:
            yield from putback_lru_page(k, page)
        return False
    yield from trylock_page(new)
    anon_vma = yield page.mapping
    yield new.mapping.set(anon_vma)
    index = yield page.index
    yield new.index.set(index)
    yield from copy_huge_page(k, new, page)

    yield from spin_lock(mm.page_table_lock)
    now = yield pmd
    if now != entry:
        yield from spin_unlock(mm.page_table_lock)
        yield from unlock_page(new)
        yield from put_page(k, new)
        yield from unlock_page(page)
        yield from putback_lru_page(k, page)
        return True
    vm_flags = yield vma.vm_flags
    yield from page_add_new_anon_rmap(k, new, vma, address - pte_index(address))
    yield pmd.set(Pmd("present", new, bool(vm_flags & VM_WRITE), True))
    yield from page_remove_rmap(k, page)
    yield from spin_unlock(mm.page_table_lock)
    yield from unlock_page(new)
    yield from unlock_page(page)
    yield from put_page(k, page)  # the PMD's reference
    yield from put_page(k, page)  # the isolation's
    return True


def new_page_node(k: Context, page: Page, node: int) -> Kernel:
    """The frame that *page* is to move to.  The kernel looks its node up in the request.  mm/migrate.c:1049 (v3.7)"""
    newpage = yield from alloc_pages_node(k, node)
    return newpage


# --- move_pages(2) -------------------------------------------------------------------------------------------------


def do_move_page_to_node_array(k: Context, mm: Mm, addresses: tuple[int, ...], node: int, passes: int) -> Kernel:
    """Move what *mm* maps at *addresses* to *node*; return how many pages did not go.

    Takes mmap_sem of *mm* for reading, and holds it over the migration: no other mm's.  Pages are isolated first, all
    of them, then moved.  Shared pages move too (``MPOL_MF_MOVE_ALL``).  A huge page is split first, and becomes as many
    moves as it has small pages.  mm/migrate.c:1072 (v3.7)
    """
    pagelist: tuple[Page, ...] = ()
    yield from down_read(mm.mmap_sem)
    while addresses:
        address, addresses = addresses[0], addresses[1:]
        vma = yield from mmap.find_vma(k, mm, address)
        if vma is None:
            continue
        vm_start = yield vma.vm_start
        if address < vm_start:
            continue
        page = yield from memory.follow_page(k, vma, address, memory.FOLL_GET | memory.FOLL_SPLIT)
        if page is None:
            continue
        where = yield page.node
        if where != node:
            err = yield from isolate_lru_page(k, page)
            if err == 0:
                pagelist = (*pagelist, page)
        yield from put_page(k, page)  # the reference of follow_page

    failed = 0
    if pagelist:
        failed = yield from k.migrate_pages(pagelist, node, passes)
    yield from up_read(mm.mmap_sem)
    return failed


def do_pages_move(k: Context, mm: Mm, addresses: tuple[int, ...], node: int, passes: int) -> Kernel:
    """Move pages in chunks of 169; mmap_sem is free between two of them.

    The kernel fills an array with each page's new node or error; this returns how many pages did not go.
    mm/migrate.c:1155 (v3.7)
    """
    yield from migrate_prep(k)
    failed = 0
    while addresses:
        chunk, addresses = addresses[:CHUNK], addresses[CHUNK:]
        more = yield from do_move_page_to_node_array(k, mm, chunk, node, passes)
        failed += more
    return failed


def sys_move_pages(k: Context, mm: Mm, addresses: tuple[int, ...], node: int, passes: int = 10) -> Kernel:
    """``move_pages(2)``: move the pages of the process with *mm* at *addresses* to *node*.

    Any process may be the target; only its mmap_sem is taken.  mm/migrate.c:1318 (v3.7)
    """
    yield Point("syscall")
    failed = yield from k.do_pages_move(mm, addresses, node, passes)
    return failed
