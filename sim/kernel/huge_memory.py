"""Huge pages: 512 small ones that one entry of the page directory maps.  mm/huge_memory.c (v3.7)

A huge page is one page: its head has the counts, the anon_vma and the offset, and is what PMDs name; its tails are
parts of it.  To take it apart (``split_huge_page``) every PMD that maps it is marked as splitting, so that nobody adds
or takes away a mapping; then the head's counts are given to each tail; then every PMD is replaced by a page table that
was put by.  Both walks go through one anon_vma, and only whoever is alone in its tree may do this.

khugepaged goes the other way.  It takes a page table out of its page directory while it looks at the PTEs, so that
nobody reaches them.  Who walks the reverse map then finds no PTE at an address at which there is one; the anon_vma lock
keeps such walks out.

How many small pages a huge one has is said by its tails and by ``mm.hpage_nr``: 512 in the kernel, fewer in the worlds
of the checker.  Its addresses are 512 all the same.  Left out: a collapse that succeeds (it ends as the kernel's does
when no page of the range was used lately), references to tails, and what mprotect does about huge pages.
"""

from __future__ import annotations

from errno import EAGAIN
from typing import Final

from sim.context import Context
from sim.kernel import memory, migrate, mmap
from sim.kernel.interval_tree import anon_vma_interval_tree_iter_first, anon_vma_interval_tree_iter_next
from sim.kernel.page_alloc import alloc_huge_pages_node
from sim.kernel.pgtable import (
    pmd_mknonnuma,
    pmd_offset,
    pmd_trans_huge,
    pmd_trans_splitting,
    pte_index,
    pte_none,
    pte_offset_map,
    pte_present,
)
from sim.kernel.pgtable_generic import (
    pgtable_trans_huge_deposit,
    pgtable_trans_huge_withdraw,
    pmdp_clear_flush,
    pmdp_invalidate,
    pmdp_set_wrprotect,
    pmdp_splitting_flush,
)
from sim.kernel.rmap import (
    TTU_UNMAP,
    anon_vma_prepare,
    is_vma_temporary_stack,
    page_add_new_anon_rmap,
    page_dup_rmap,
    page_remove_rmap,
    vma_address,
)
from sim.kernel.swap import get_page, lru_cache_add_lru, put_page
from sim.kernel.tlb import flush_tlb_range
from sim.kernel.vmscan import isolate_lru_page, putback_lru_page
from sim.ops import Alloc, Bug, Field, Free, Kernel, KernelFunction
from sim.structs import PTRS_PER_PTE, VM_WRITE, AnonVma, Mm, Page, PageTable, Pmd, Pte, Vma
from sim.sync import (
    down_write,
    lock_page,
    spin_lock,
    spin_lock_nested,
    spin_unlock,
    trylock_page,
    unlock_page,
    up_write,
)

#: How many PTEs make a huge page.  include/linux/huge_mm.h:54 (v3.7)
HPAGE_PMD_NR: Final = PTRS_PER_PTE


# --- faults ----------------------------------------------------------------------------------------------


def transparent_hugepage_enabled(k: Context, mm: Mm) -> Kernel:
    """Whether a first touch may map a huge page.  The kernel asks the VMA too.  include/linux/huge_mm.h:63 (v3.7)"""
    pages = yield mm.hpage_nr
    return pages > 0


def alloc_hugepage_vma(k: Context, node: int, pages: int) -> Kernel:
    """A free huge page of *node*, with one reference, not on the LRU.  mm/huge_memory.c:657 (v3.7)"""
    head = yield from alloc_huge_pages_node(k, node, pages)
    return head


def do_huge_pmd_anonymous_page(k: Context, mm: Mm, vma: Vma, address: int) -> Kernel:
    """Map a new huge page around *address*, if *vma* has room for it; return whether it was dealt with.

    Caller holds mmap_sem, to read at least.  May take the root anon_vma's lock (a first fault).
    mm/huge_memory.c:674 (v3.7)
    """
    haddr = address - pte_index(address)
    vm_start = yield vma.vm_start
    vm_end = yield vma.vm_end
    if haddr < vm_start or haddr + PTRS_PER_PTE > vm_end:
        return False
    yield from anon_vma_prepare(k, vma)
    pages = yield mm.hpage_nr
    page = yield from alloc_hugepage_vma(k, k.node, pages)
    yield from __do_huge_pmd_anonymous_page(k, mm, vma, haddr, page)
    return True


def __do_huge_pmd_anonymous_page(k: Context, mm: Mm, vma: Vma, haddr: int, page: Page) -> Kernel:
    """Map *page*, which is new, at *haddr*, unless somebody was faster; put a page table by for its split.

    Caller holds mmap_sem, to read at least.  Takes page_table_lock.  mm/huge_memory.c:609 (v3.7)
    """
    pgtable = yield Alloc(PageTable)
    yield from memory.clear_huge_page(k, page)
    vm_flags = yield vma.vm_flags
    pmd = pmd_offset(mm, haddr)
    writable = bool(vm_flags & VM_WRITE)
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    if entry is not None:
        yield from spin_unlock(mm.page_table_lock)
        yield from put_page(k, page)
        yield Free(pgtable)
        return
    yield from page_add_new_anon_rmap(k, page, vma, haddr)
    yield pmd.set(Pmd("present", page, writable, True))
    yield from pgtable_trans_huge_deposit(k, mm, pgtable)
    yield from spin_unlock(mm.page_table_lock)


def do_huge_pmd_wp_page(k: Context, mm: Mm, vma: Vma, address: int, pmd: Field, orig_pmd: Pmd) -> Kernel:
    """A write met a read-only huge page: make it writable if nobody else has it, else copy it whole.

    Caller holds mmap_sem, to read at least.  Takes page_table_lock, twice if it copies, and looks again each time.
    There always is a huge page to copy to.  mm/huge_memory.c:882 (v3.7)
    """
    haddr = address - pte_index(address)
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    if entry != orig_pmd:
        yield from spin_unlock(mm.page_table_lock)
        return
    page = orig_pmd.page
    mapcount = yield page._mapcount
    if mapcount == 0:
        yield pmd.set(orig_pmd._replace(write=True, dirty=True))
        yield from flush_tlb_range(k, vma, haddr, haddr + PTRS_PER_PTE)
        yield from spin_unlock(mm.page_table_lock)
        return
    yield from get_page(k, page)
    yield from spin_unlock(mm.page_table_lock)

    tails = yield page.tails
    new = yield from alloc_hugepage_vma(k, k.node, 1 + len(tails))
    yield from migrate.copy_huge_page(k, new, page)
    yield from spin_lock(mm.page_table_lock)
    yield from put_page(k, page)
    entry = yield pmd
    if entry == orig_pmd:
        yield from pmdp_clear_flush(k, vma, haddr, pmd)
        yield from page_add_new_anon_rmap(k, new, vma, haddr)
        yield pmd.set(Pmd("present", new, True, True))
        yield from page_remove_rmap(k, page)
        new = page  # the PMD's reference goes
    yield from put_page(k, new)
    yield from spin_unlock(mm.page_table_lock)


def follow_trans_huge_pmd(k: Context, address: int, entry: Pmd) -> Kernel:
    """The huge page of *entry*, with a reference taken.  Caller holds page_table_lock.  mm/huge_memory.c:975 (v3.7)

    The kernel goes on to the small page of *address*, a tail, and its callers go back to the head.
    """
    yield from get_page(k, entry.page)
    return entry.page


def do_huge_pmd_numa_page(k: Context, mm: Mm, vma: Vma, address: int, orig_pmd: Pmd) -> Kernel:
    """Serve a NUMA hint on a huge page: move it if it lies on the wrong node, else make it accessible again.

    Caller holds mmap_sem, to read at least.  Takes page_table_lock, and the page's lock, so that of two threads that
    fault one moves the page and the other finds it moved.  The best node is the node of this CPU.  3.7 has no NUMA
    hints; numa/core's own function is not at hand, so all kernels here have that of 3.8.  mm/huge_memory.c:1297 (v3.8)
    """
    pmd = pmd_offset(mm, address)
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    if entry != orig_pmd:
        yield from spin_unlock(mm.page_table_lock)
        return
    page = orig_pmd.page
    yield from get_page(k, page)
    nid = yield page.node
    if nid == k.node:
        yield from put_page(k, page)
        yield pmd.set(pmd_mknonnuma(orig_pmd))
        yield from spin_unlock(mm.page_table_lock)
        return
    yield from spin_unlock(mm.page_table_lock)
    yield from lock_page(page)
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    yield from spin_unlock(mm.page_table_lock)
    if entry != orig_pmd:
        yield from unlock_page(page)
        yield from put_page(k, page)
        return
    migrated = yield from migrate.migrate_misplaced_transhuge_page(k, mm, vma, pmd, orig_pmd, address, page, k.node)
    if migrated:
        return
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    if entry == orig_pmd:
        yield pmd.set(pmd_mknonnuma(orig_pmd))
    yield from unlock_page(page)
    yield from spin_unlock(mm.page_table_lock)


def change_huge_pmd(k: Context, mm: Mm, address: int) -> Kernel:
    """Mark a huge page so that the next access faults, unless it is shared; return whether a PMD was there to mark.

    Caller holds mmap_sem to read, and flushes later.  Takes page_table_lock; a split is left to go on.  Only the mark
    for NUMA hints, as PROT_NONE.  3.8 reads off which page it is after it has cleared the PMD, so asks another page
    how often it is mapped (line 1471); here it is the right one.  mm/huge_memory.c:1458 (v3.8)
    """
    pmd = pmd_offset(mm, address)
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    found = pmd_trans_huge(entry) and not entry.splitting
    if found:
        entry = yield pmd.xchg(None)
        mapcount = yield entry.page._mapcount
        if mapcount == 0:
            entry = entry._replace(kind="prot_none")
        yield pmd.set(entry)
    yield from spin_unlock(mm.page_table_lock)
    return found


# --- fork, munmap, mremap --------------------------------------------------------------------------------


def __pmd_trans_huge_lock(k: Context, pmd: Field, vma: Vma) -> Kernel:
    """Take page_table_lock if *pmd* maps a huge page that nobody splits; return whether it was taken, as 1.

    Else nothing is held.  If somebody is splitting the page that is waited for, and the answer is -1: there is a page
    table now.  If there is no huge page it is 0.  mm/huge_memory.c:1126 (v3.7)
    """
    mm = yield vma.vm_mm
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    if pmd_trans_huge(entry) and not pmd_trans_splitting(entry):
        return 1
    yield from spin_unlock(mm.page_table_lock)
    if not pmd_trans_huge(entry):
        return 0
    anon_vma = yield vma.anon_vma
    yield from wait_split_huge_page(k, anon_vma)
    return -1


def copy_huge_pmd(k: Context, dst_mm: Mm, src_mm: Mm, address: int, vma: Vma) -> Kernel:
    """Let the child *dst_mm* share the huge page that *vma* of its parent maps at *address*; return 0 or -EAGAIN.

    Caller holds both mmap_sems to write, and has linked the child's VMA.  Takes both page_table_locks, the child's
    first.  Neither may write without a fault from now on, and a page table is put by for the child.  A page that is
    being split is waited for, since a mapping that is added now would not be counted: it is small pages then, whose
    PTEs are to be copied.  mm/huge_memory.c:728 (v3.7)
    """
    src_pmd = pmd_offset(src_mm, address)
    pgtable = yield Alloc(PageTable)
    yield from spin_lock(dst_mm.page_table_lock)
    yield from spin_lock_nested(src_mm.page_table_lock)
    entry = yield src_pmd
    if not pmd_trans_huge(entry):
        yield Free(pgtable)
        yield from _unlock_both(dst_mm, src_mm)
        return -EAGAIN
    if pmd_trans_splitting(entry):
        yield from _unlock_both(dst_mm, src_mm)
        yield Free(pgtable)
        anon_vma = yield vma.anon_vma
        yield from wait_split_huge_page(k, anon_vma)
        return -EAGAIN
    yield from get_page(k, entry.page)
    yield from page_dup_rmap(k, entry.page)
    yield from pmdp_set_wrprotect(k, src_pmd)
    yield pmd_offset(dst_mm, address).set(entry._replace(write=False))
    yield from pgtable_trans_huge_deposit(k, dst_mm, pgtable)
    yield from _unlock_both(dst_mm, src_mm)
    return 0


def _unlock_both(dst_mm: Mm, src_mm: Mm) -> Kernel:
    """Give both page_table_locks back.  (Part of copy_huge_pmd.)"""
    yield from spin_unlock(src_mm.page_table_lock)
    yield from spin_unlock(dst_mm.page_table_lock)


def zap_huge_pmd(k: Context, tlb: memory.MmuGather, vma: Vma, pmd: Field) -> Kernel:
    """Unmap the huge page of *pmd* whole; return the gather, and whether it was done.

    Caller holds mmap_sem, to read at least.  Takes page_table_lock.  The page loses a mapping at once and its reference
    only after the flush.  The page table that was put by for it is freed: no walk has ever seen that.
    mm/huge_memory.c:1020 (v3.7)
    """
    locked = yield from __pmd_trans_huge_lock(k, pmd, vma)
    if locked != 1:
        return tlb, False
    pgtable = yield from pgtable_trans_huge_withdraw(k, tlb.mm)
    orig_pmd = yield pmd.xchg(None)
    yield from page_remove_rmap(k, orig_pmd.page)
    yield from spin_unlock(tlb.mm.page_table_lock)
    yield Free(pgtable)
    return memory.tlb_remove_page(tlb, orig_pmd.page), True


def move_huge_pmd(k: Context, vma: Vma, old_addr: int, new_addr: int) -> Kernel:
    """Move the huge page that *vma* maps at *old_addr*; return 1, or 0 if it must be split, or -1 if it has been.

    Caller holds mmap_sem to write, and flushes later.  Takes page_table_lock.  Both places must be where a page table
    begins.  mm/huge_memory.c:1065 (v3.7)
    """
    mm = yield vma.vm_mm
    if pte_index(old_addr) or pte_index(new_addr):
        return 0
    there = yield pmd_offset(mm, new_addr)
    if there is not None:  # free_pgtables should have taken it out
        return 0
    ret = yield from __pmd_trans_huge_lock(k, pmd_offset(mm, old_addr), vma)
    if ret == 1:
        entry = yield pmd_offset(mm, old_addr).xchg(None)
        yield pmd_offset(mm, new_addr).set(entry)
        yield from spin_unlock(mm.page_table_lock)
    return ret


def split_huge_page_address(k: Context, mm: Mm, address: int) -> Kernel:
    """Split the huge page around *address*, if there is one.  mm/huge_memory.c:2379 (v3.7)

    Caller holds mmap_sem to write: no huge page can come while this looks.
    """
    entry = yield pmd_offset(mm, address)
    if pmd_trans_huge(entry):
        yield from __split_huge_page_pmd(k, mm, pmd_offset(mm, address))


def __vma_adjust_trans_huge(k: Context, mm: Mm, start: int, end: int, address: int) -> Kernel:
    """Split the huge page that lies across *address*, where the VMA [*start*, *end*) will be cut: none may cross.

    Caller holds mmap_sem to write.  The kernel looks at both new bounds, and at the next VMA's if that moves; a merge
    that gives a neighbour part of a huge page is left out.  mm/huge_memory.c:2406 (v3.7)
    """
    haddr = address - pte_index(address)
    if haddr != address and start <= haddr and haddr + PTRS_PER_PTE <= end:
        yield from split_huge_page_address(k, mm, address)


# --- splitting -------------------------------------------------------------------------------------------


def wait_split_huge_page(k: Context, anon_vma: AnonVma) -> Kernel:
    """Wait until whoever splits a huge page of *anon_vma* is through.  include/linux/huge_mm.h:103 (v3.7)"""
    yield from k.anon_vma_lock_write(anon_vma)
    yield from k.anon_vma_unlock_write(anon_vma)


def page_check_address_pmd(k: Context, page: Page, mm: Mm, address: int, splitting: bool) -> Kernel:
    """The PMD that maps the huge *page* at *address* and that is *splitting* or not, as asked for; or None.

    Caller holds page_table_lock.  The kernel would take a PMD that is not splitting for one that is, but for a check
    in debugging kernels.  mm/huge_memory.c:1141 (v3.7)
    """
    pmd = pmd_offset(mm, address)
    entry = yield pmd
    if pte_index(address) or not pmd_trans_huge(entry) or entry.page is not page:
        return None
    return pmd if entry.splitting == splitting else None


def __split_huge_page_splitting(k: Context, page: Page, vma: Vma, address: int) -> Kernel:
    """Mark the PMD that maps *page* in *vma*, if there is one; return how many were marked, 1 or 0.

    Caller holds the anon_vma lock.  Takes page_table_lock, and holds it over the flush.  From now on the mapping can
    neither be copied nor taken away.  The PMD stays present: user code goes on.  mm/huge_memory.c:1188 (v3.7)
    """
    mm = yield vma.vm_mm
    yield from spin_lock(mm.page_table_lock)
    pmd = yield from page_check_address_pmd(k, page, mm, address, splitting=False)
    if pmd is not None:
        yield from pmdp_splitting_flush(k, vma, address, pmd)
    yield from spin_unlock(mm.page_table_lock)
    return 0 if pmd is None else 1


def __split_huge_page_refcount(k: Context, page: Page) -> Kernel:
    """Make each tail a page of its own, with as many mappings as the head has.  mm/huge_memory.c:1220 (v3.7)

    Caller holds the anon_vma lock, and has marked every PMD that maps *page*.  A tail gets a reference for each mapping
    and one more until all are done.  The kernel also takes ``lru_lock``, and ``compound_lock`` against those who take
    references to tails; neither is modelled.
    """
    tails = yield page.tails
    todo = tails
    while todo:
        todo, tail = todo[:-1], todo[-1]
        mapcount = yield page._mapcount
        yield tail._count.add(mapcount + 2)
        yield tail.first_page.set(None)
        yield tail._mapcount.xchg(mapcount)
        anon_vma = yield page.mapping
        yield tail.mapping.set(anon_vma)
        index = yield page.index
        yield tail.index.set(index + len(todo) + 1)
        yield from lru_cache_add_lru(k, tail)
    yield page.PG_head.set(False)
    while tails:
        tail, tails = tails[0], tails[1:]
        yield from put_page(k, tail)


def __split_huge_page_map(k: Context, page: Page, vma: Vma, address: int) -> Kernel:
    """Put a page table with a PTE for each small page where *vma* maps *page*; return how many were put, 1 or 0.

    Caller holds the anon_vma lock.  Takes page_table_lock, and holds it over the flush: no TLB may know a page by its
    huge and by its small entry at once, so the PMD is closed and flushed before the page table takes its place.  All
    PTEs are dirty.  mm/huge_memory.c:1337 (v3.7)
    """
    mm = yield vma.vm_mm
    yield from spin_lock(mm.page_table_lock)
    pmd = yield from page_check_address_pmd(k, page, mm, address, splitting=True)
    if pmd is not None:
        pgtable = yield from pgtable_trans_huge_withdraw(k, mm)
        tails = yield page.tails
        entry = yield pmd
        pages, number = (page, *tails), 0
        while number < len(pages):
            yield pte_offset_map(pgtable, number).set(Pte("present", pages[number], entry.write, True))
            number += 1
        yield from pmdp_invalidate(k, vma, address, pmd)
        yield pmd.set(pgtable)
    yield from spin_unlock(mm.page_table_lock)
    return 0 if pmd is None else 1


def __split_huge_page(k: Context, page: Page, anon_vma: AnonVma) -> Kernel:
    """Split *page*: mark each PMD, make the tails pages, replace each PMD.

    Caller holds *anon_vma*'s lock to be alone: two walks of one huge page at once would mark and count its mappings
    between them, and neither would find all.  The kernel stops if a walk does not find as many as the page has.
    mm/huge_memory.c:1409 (v3.7)
    """
    mapcount = yield from _walk(k, page, anon_vma, __split_huge_page_splitting)
    expected = yield page._mapcount
    sentence = f"a split of {page} finds {mapcount} of its {expected + 1} mappings"
    yield from bug_on(k, mapcount != expected + 1, sentence, page)
    yield from __split_huge_page_refcount(k, page)
    mapcount2 = yield from _walk(k, page, anon_vma, __split_huge_page_map)
    sentence = f"a split of {page} has marked {mapcount} mappings and replaces {mapcount2}"
    yield from bug_on(k, mapcount2 != mapcount, sentence, page)


def _walk(k: Context, page: Page, anon_vma: AnonVma, rmap_one: KernelFunction) -> Kernel:
    """Call *rmap_one* for every VMA that may map *page*; return the sum of the answers.  (Part of __split_huge_page.)

    The oldest VMA first: a child that copies a PMD before its parent's is marked is still to come.
    """
    pgoff = yield page.index
    found = 0
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, pgoff, pgoff)
    while avc is not None:
        vma = yield avc.vma
        address = yield from vma_address(k, pgoff, vma)
        number = yield from rmap_one(k, page, vma, address)
        found += number
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, pgoff, pgoff)
    return found


def bug_on(k: Context, condition: bool, sentence: str, page: Page) -> Kernel:
    """Stop if *condition* is true, which it must not be.  include/asm-generic/bug.h:55 (v3.7)"""
    if condition:
        yield Bug("kernel bug", sentence, (page,))


def split_huge_page(k: Context, page: Page) -> Kernel:
    """Split a huge page, unless somebody has already; return 0 if it is small pages now, 1 if nobody maps it.

    Caller has a reference, and none of its locks.  Takes the root anon_vma's lock by the way of a walk
    (``page_lock_anon_vma``): in 3.7 that is a mutex.  mm/huge_memory.c:1456 (v3.7)
    """
    anon_vma = yield from k.page_lock_anon_vma(page, TTU_UNMAP)
    if anon_vma is None:
        return 1
    huge = yield page.PG_head
    if huge:
        yield from __split_huge_page(k, page, anon_vma)
    yield from k.page_unlock_anon_vma(anon_vma, TTU_UNMAP)
    return 0


def __split_huge_page_pmd(k: Context, mm: Mm, pmd: Field) -> Kernel:
    """Split the huge page that *pmd* maps, if it still maps one.  Afterwards it names a page table.

    Caller holds mmap_sem of *mm*.  Takes page_table_lock to get a reference.  mm/huge_memory.c:2359 (v3.7)
    """
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    if not pmd_trans_huge(entry):
        yield from spin_unlock(mm.page_table_lock)
        return
    page = entry.page
    yield from get_page(k, page)
    yield from spin_unlock(mm.page_table_lock)
    yield from k.split_huge_page(page)
    yield from put_page(k, page)
    entry = yield pmd
    yield from bug_on(k, pmd_trans_huge(entry), f"{pmd} still maps {page} as a huge page, although it was split", page)


# --- khugepaged ------------------------------------------------------------------------------------------


def release_pte_pages(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """Give back pages that were locked and isolated.  mm/huge_memory.c:1695 (v3.7)"""
    while pages:
        page, pages = pages[0], pages[1:]
        yield from unlock_page(page)
        yield from putback_lru_page(k, page)


def __collapse_huge_page_isolate(k: Context, table: PageTable, address: int, pages: int) -> Kernel:
    """Lock and isolate every page of the range; return whether the collapse goes on.  mm/huge_memory.c:1709 (v3.7)

    Caller holds mmap_sem to write, the anon_vma lock and the ptl of *table*, which is in no page directory now.  A page
    that is on its way, shared, pinned, locked or isolated by somebody else ends it.  No page was used lately here, so
    the answer is always no.
    """
    isolated: tuple[Page, ...] = ()
    end = address + pages
    while address < end:
        entry = yield pte_offset_map(table, address)
        address += 1
        if pte_none(entry):
            continue
        if not pte_present(entry) or not entry.write:
            break
        got = yield from _isolate(k, entry.page)
        if not got:
            break
        isolated = (*isolated, entry.page)
    yield from release_pte_pages(k, isolated)
    return False


def _isolate(k: Context, page: Page) -> Kernel:
    """Lock and isolate one page that nobody else uses; return whether.  (Part of __collapse_huge_page_isolate.)"""
    count = yield page._count
    if count != 1:
        return False
    locked = yield from trylock_page(page)
    if not locked:
        return False
    error = yield from isolate_lru_page(k, page)
    if error:
        yield from unlock_page(page)
    return not error


def collapse_huge_page(k: Context, mm: Mm, address: int, pages: int = HPAGE_PMD_NR) -> Kernel:
    """Try to make a huge page of what *mm* maps from *address* on; it does not come to that here.

    Takes mmap_sem to write and the anon_vma lock: against faults the one, against walks the other.  Then the page
    table is taken out of the page directory, every TLB flushed, and the PTEs are looked at under their ptl.  A
    migration entry among them ends it, and the page table is put back.  *pages*: how many PTEs are looked at; the
    kernel looks at 512, and in a small world the others are none.  mm/huge_memory.c:1921 (v3.7)
    """
    yield from down_write(mm.mmap_sem)
    vma = yield from mmap.find_vma(k, mm, address)
    if vma is not None:
        vm_start = yield vma.vm_start
        vm_end = yield vma.vm_end
        anon_vma = yield vma.anon_vma
        temporary = yield from is_vma_temporary_stack(k, vma)
        pmd = pmd_offset(mm, address)
        table = yield pmd
        inside = vm_start <= address and address + HPAGE_PMD_NR <= vm_end
        small = isinstance(table, PageTable)
        if inside and anon_vma is not None and not temporary and small:
            yield from k.anon_vma_lock_write(anon_vma)
            yield from spin_lock(mm.page_table_lock)
            yield from pmdp_clear_flush(k, vma, address, pmd)
            yield from spin_unlock(mm.page_table_lock)

            yield from spin_lock(table.ptl)
            isolated = yield from __collapse_huge_page_isolate(k, table, address, pages)
            yield from spin_unlock(table.ptl)

            if isolated:
                yield Bug("kernel bug", f"{k.current} has no huge page to copy to", (table,))
            yield from spin_lock(mm.page_table_lock)
            yield pmd.set(table)
            yield from spin_unlock(mm.page_table_lock)
            yield from k.anon_vma_unlock_write(anon_vma)
    yield from up_write(mm.mmap_sem)
