"""Moving what a process has, or a range of it, to another node.  mm/mempolicy.c

Both calls hold mmap_sem of the one process over the whole migration: ``migrate_pages(2)`` the target's, to read;
``mbind(2)`` the caller's own, to write.  Neither holds that of a relative who maps the same pages.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import huge_memory
from sim.kernel.migrate import migrate_prep
from sim.kernel.pgtable import (
    is_write_migration_entry,
    make_migration_entry_read,
    pmd_addr_end,
    pmd_offset,
    pte_numa,
    pte_offset_map,
    pte_present,
)
from sim.kernel.pgtable_generic import ptep_modify_prot_commit, ptep_modify_prot_start
from sim.kernel.tlb import flush_tlb_range
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Kernel, Point
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable, Pmd, Pte, Vma
from sim.sync import down_read, down_write, spin_lock, spin_unlock, up_read, up_write


def migrate_page_add(k: Context, page: Page) -> Kernel:
    """Isolate *page* if it can be; return whether.  Shared pages too (MPOL_MF_MOVE_ALL).  mm/mempolicy.c:919 (v3.7)"""
    err = yield from isolate_lru_page(k, page)
    return err == 0


def check_range(k: Context, mm: Mm, start: int, end: int, node: int) -> Kernel:
    """Isolate the pages that *mm* maps from *start* to before *end* and that are not on *node*; return them.

    Caller holds mmap_sem.  Takes the ptl of each page table, which keeps the pages while they are looked at.  Looks at
    PTEs only, not at the VMAs; a huge page is split for it.  mm/mempolicy.c:570 (v3.7)
    """
    isolated: tuple[Page, ...] = ()
    while start < end:
        table = yield pmd_offset(mm, start)
        if isinstance(table, Pmd):
            yield from huge_memory.__split_huge_page_pmd(k, mm, pmd_offset(mm, start))
            table = yield pmd_offset(mm, start)
        if table is None or isinstance(table, Pmd):
            start += 1
            continue
        yield from spin_lock(table.ptl)
        entry = yield pte_offset_map(table, start)
        if pte_present(entry):
            nid = yield entry.page.node
            if nid != node:
                added = yield from migrate_page_add(k, entry.page)
                if added:
                    isolated = (*isolated, entry.page)
        yield from spin_unlock(table.ptl)
        start += 1
    return isolated


def migrate_to_node(k: Context, mm: Mm, start: int, end: int, dest: int, passes: int) -> Kernel:
    """Move what *mm* maps from *start* to before *end* to node *dest*; return how many pages did not go.

    Caller holds mmap_sem to read.  The kernel takes the whole address space, and the pages of one source node.
    mm/mempolicy.c:943 (v3.7)
    """
    isolated = yield from check_range(k, mm, start, end, dest)
    failed = 0
    if isolated:
        failed = yield from k.migrate_pages(isolated, dest, passes)
    return failed


def do_migrate_pages(k: Context, mm: Mm, start: int, end: int, dest: int, passes: int = 10) -> Kernel:
    """``migrate_pages(2)``, and cpusets: move another process's pages.  Returns how many did not go.

    Takes mmap_sem of the target to read, over all of it.  mm/mempolicy.c:978 (v3.7)
    """
    yield Point("syscall")
    yield from migrate_prep(k)
    yield from down_read(mm.mmap_sem)
    failed = yield from migrate_to_node(k, mm, start, end, dest, passes)
    yield from up_read(mm.mmap_sem)
    return failed


def do_mbind(k: Context, start: int, end: int, node: int, passes: int = 10) -> Kernel:
    """``mbind(2)`` with MPOL_MF_MOVE: bind a range to *node*, and move there what lies elsewhere.

    Takes the caller's own mmap_sem to write, over the migration too.  Splitting VMAs and their policies are left out.
    mm/mempolicy.c:1125 (v3.7)
    """
    mm = k.mm
    yield Point("syscall")
    yield from migrate_prep(k)
    yield from down_write(mm.mmap_sem)
    isolated = yield from check_range(k, mm, start, end, node)
    failed = 0
    if isolated:
        failed = yield from k.migrate_pages(isolated, node, passes)
    yield from up_write(mm.mmap_sem)
    return failed


# --- NUMA hints ------------------------------------------------------------------------------------------


def change_prot_numa(k: Context, vma: Vma, addr: int, end: int) -> Kernel:
    """Mark the pages of [*addr*, *end*) so that the next access to each faults; return how many PTEs changed.

    Caller holds mmap_sem to read.  Takes the ptl of each page table and flushes once, at the end of the range: until
    then a CPU goes on using a page that is marked already.  3.7 has no hints; here both kernels can be given them, and
    the mark is PROT_NONE.  Marks of whole page tables (pmd_numa) are left out.  mm/mempolicy.c:599 (v3.8)
    """
    mm = yield vma.vm_mm
    start, pages = addr, 0
    while addr < end:
        stop = pmd_addr_end(addr, end)
        table = yield pmd_offset(mm, addr)
        if isinstance(table, Pmd):
            huge = yield from huge_memory.change_huge_pmd(k, mm, addr)
            pages += PTRS_PER_PTE if huge else 0
        elif table is not None:
            marked = yield from _mark(k, table, addr, stop)
            pages += marked
        addr = stop
    if pages:
        yield from flush_tlb_range(k, vma, start, end)
    return pages


def _mark(k: Context, table: PageTable, addr: int, end: int) -> Kernel:
    """Mark the PTEs of one page table.  (change_pte_range with prot_numa, mm/mprotect.c:38 of 3.8.)

    Takes the ptl.  A page with more than one mapping is left alone.
    """
    pages = 0
    yield from spin_lock(table.ptl)
    while addr < end:
        pte = pte_offset_map(table, addr)
        oldpte: Pte | None = yield pte
        if pte_present(oldpte):
            entry = yield from ptep_modify_prot_start(k, pte)
            mapcount = yield entry.page._mapcount
            if not pte_numa(entry) and mapcount == 0:
                entry = entry._replace(kind="prot_none")
                pages += 1
            yield from ptep_modify_prot_commit(k, pte, entry)
        elif oldpte is not None and is_write_migration_entry(oldpte):
            yield pte.set(make_migration_entry_read(oldpte))
            pages += 1
        addr += 1
    yield from spin_unlock(table.ptl)
    return pages
