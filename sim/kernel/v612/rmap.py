"""Only what a TLB may hold is put into a batch.  mm/rmap.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.v61.pgtable_generic import pte_accessible
from sim.kernel.v63 import rmap
from sim.ops import Kernel
from sim.structs import Mm, Pte


def set_tlb_ubc_flush_pending(k: Context, mm: Mm, pteval: Pte, address: int) -> Kernel:
    """*pteval* has been cleared at *address* and not flushed: note it, unless no TLB can hold it (a NUMA hint).

    Caller holds the ptl.  The test came with 4d4b6d66db63 (v6.5).  mm/rmap.c (v6.12)
    """
    accessible = yield from pte_accessible(k, mm, pteval)
    if accessible:
        yield from rmap.set_tlb_ubc_flush_pending(k, mm, pteval, address)
