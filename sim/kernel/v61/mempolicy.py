"""Marking pages for NUMA hints, with a note that a flush is still to come.  mm/mempolicy.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import mempolicy
from sim.kernel.v61.pgtable_generic import dec_tlb_flush_pending, inc_tlb_flush_pending
from sim.ops import Kernel
from sim.structs import Vma


def change_prot_numa(k: Context, vma: Vma, addr: int, end: int) -> Kernel:
    """Mark the pages of [*addr*, *end*); until the flush at the end is over ``tlb_flush_pending`` says so.

    (tlb_gather_mmu and tlb_finish_mmu.)  Caller holds mmap_sem to read.  mm/mempolicy.c (v6.1)
    """
    mm = yield vma.vm_mm
    yield from inc_tlb_flush_pending(k, mm)
    pages = yield from mempolicy.change_prot_numa(k, vma, addr, end)
    yield from dec_tlb_flush_pending(k, mm)
    return pages
