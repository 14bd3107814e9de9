"""Clearing a PTE and flushing it.  mm/pgtable-generic.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.tlb import flush_tlb_page
from sim.ops import Field, Kernel, Wrprotect
from sim.structs import Vma


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
