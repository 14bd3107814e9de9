"""Clearing a PTE and flushing it, as Linux 3.8 does.  mm/pgtable-generic.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable import pte_accessible
from sim.kernel.tlb import flush_tlb_page
from sim.ops import Field, Kernel
from sim.structs import Vma


def ptep_clear_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Clear a PTE; drop it from the TLBs only if the hardware could have cached it.  Return what stood there.

    Caller holds the ptl.  A PROT_NONE entry is not flushed: right if whoever made it so has flushed already, and
    wrong between ``change_protection``'s store and its one flush at the end (fixed by 20841405940e, December 2013).
    mm/pgtable-generic.c:86 (v3.8)
    """
    old = yield pte.xchg(None)
    if pte_accessible(old):
        yield from flush_tlb_page(k, vma, address)
    return old
