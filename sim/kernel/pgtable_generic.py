"""Clearing a PTE and flushing it.  mm/pgtable-generic.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.tlb import flush_tlb_page
from sim.ops import Field, Kernel
from sim.structs import Vma


def ptep_clear_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Clear a PTE, then drop it from every TLB that may hold it; return what stood there.

    Caller holds the ptl, and keeps it over the whole round of interrupts; in between the PTE is none.
    3.7 flushes whatever stood there.  mm/pgtable-generic.c:86 (v3.7)
    """
    old = yield pte.xchg(None)
    yield from flush_tlb_page(k, vma, address)
    return old
