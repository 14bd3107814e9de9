"""Changing a PTE that the hardware uses.  mm/pgtable-generic.c, and include/asm-generic/pgtable.h"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.tlb import flush_tlb_page, flush_tlb_range
from sim.ops import Field, Kernel, Wrprotect
from sim.structs import PTRS_PER_PTE, Pte, Vma


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


def ptep_clear_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Clear a PTE, then drop it from every TLB that may hold it; return what stood there.

    Caller holds the ptl, and keeps it over the whole round of interrupts; in between the PTE is none.
    3.7 flushes whatever stood there.  mm/pgtable-generic.c:86 (v3.7)
    """
    old = yield pte.xchg(None)
    yield from flush_tlb_page(k, vma, address)
    return old


def pmdp_clear_flush(k: Context, vma: Vma, address: int, pmd: Field) -> Kernel:
    """Take a page table out of its page directory, and all its pages out of every TLB; return it.

    Caller holds page_table_lock.  mm/pgtable-generic.c:98 (v3.7)
    """
    table = yield pmd.xchg(None)
    yield from flush_tlb_range(k, vma, address, address + PTRS_PER_PTE)
    return table
