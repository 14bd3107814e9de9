"""Changing a PTE that the hardware uses.  mm/pgtable-generic.c, and include/asm-generic/pgtable.h"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable import pmd_mknotpresent
from sim.kernel.tlb import flush_tlb_page, flush_tlb_range
from sim.ops import Field, Kernel, Wrprotect
from sim.structs import PTRS_PER_PTE, Mm, PageTable, Pmd, Pte, Vma


def ptep_modify_prot_start(k: Context, pte: Field) -> Kernel:
    """Take a PTE out, so that no hardware sets its dirty bit while it is changed; return what stood there.

    Caller holds the ptl; without it others see an empty PTE.  include/asm-generic/pgtable.h:339 (v3.7)
    """
    old = yield pte.xchg(None)
    return old


def ptep_modify_prot_commit(k: Context, pte: Field, entry: Pte) -> Kernel:
    """Put the changed PTE back.  Caller holds the ptl.  include/asm-generic/pgtable.h:350 (v3.7)"""
    yield pte.set(entry)


def ptep_set_wrprotect(k: Context, pte: Field) -> Kernel:
    """Take the right to write out of a PTE, and nothing else: the hardware may set its dirty bit at any time.

    Caller holds the ptl, and flushes later.  arch/x86/include/asm/pgtable.h:704 (v3.7)
    """
    yield Wrprotect(pte)


def pmdp_set_wrprotect(k: Context, pmd: Field) -> Kernel:
    """The same for a huge page's PMD.  Caller holds page_table_lock, and flushes later.

    arch/x86/include/asm/pgtable.h:749 (v3.7)
    """
    yield Wrprotect(pmd)


def ptep_clear_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Clear a PTE, then drop it from every TLB that may hold it; return what stood there.

    Caller holds the ptl, and keeps it over the whole round of interrupts; in between the PTE is none.
    3.7 flushes whatever stood there.  mm/pgtable-generic.c:86 (v3.7)
    """
    old = yield pte.xchg(None)
    yield from flush_tlb_page(k, vma, address)
    return old


def pmdp_clear_flush(k: Context, vma: Vma, address: int, pmd: Field) -> Kernel:
    """Take a page table, or a huge page, out of the page directory, and its pages out of every TLB; return it.

    Caller holds page_table_lock.  mm/pgtable-generic.c:98 (v3.7)
    """
    table = yield pmd.xchg(None)
    yield from flush_tlb_range(k, vma, address, address + PTRS_PER_PTE)
    return table


def pmdp_splitting_flush(k: Context, vma: Vma, address: int, pmd: Field) -> Kernel:
    """Mark a huge page's PMD as splitting, and flush, although it stays as present as it was.

    Caller holds page_table_lock.  The flush waits for those who pin pages with interrupts off.  An atomic bit in the
    kernel, because the hardware may set the dirty bit; here the exchange is tried until nothing has come between.
    arch/x86/mm/pgtable.c:397 (v3.7)
    """
    marked = False
    while not marked:
        entry: Pmd = yield pmd
        marked = yield pmd.cmpxchg(entry, entry._replace(splitting=True))
    yield from flush_tlb_range(k, vma, address, address + PTRS_PER_PTE)


def pmdp_invalidate(k: Context, vma: Vma, address: int, pmd: Field) -> Kernel:
    """Close a huge page's PMD to the hardware, then drop its pages from every TLB that may hold them.

    Caller holds page_table_lock.  A load and a store, so that a dirty bit that the hardware sets in between is lost:
    whoever calls this takes the pages for dirty.  mm/pgtable-generic.c:165 (v3.7)
    """
    entry = yield pmd
    yield pmd.set(pmd_mknotpresent(entry))
    yield from flush_tlb_range(k, vma, address, address + PTRS_PER_PTE)


def pgtable_trans_huge_deposit(k: Context, mm: Mm, table: PageTable) -> Kernel:
    """Put a page table by for when a huge page is split.  Caller holds page_table_lock.

    mm/pgtable-generic.c:126 (v3.7)
    """
    tables = yield mm.pmd_huge_pte
    yield mm.pmd_huge_pte.set((table, *tables))


def pgtable_trans_huge_withdraw(k: Context, mm: Mm) -> Kernel:
    """A page table that was put by.  Caller holds page_table_lock.  mm/pgtable-generic.c:143 (v3.7)"""
    tables = yield mm.pmd_huge_pte
    yield mm.pmd_huge_pte.set(tables[1:])
    return tables[0]
