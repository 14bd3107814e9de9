"""Clearing a PTE, and flushing it now or later.  mm/pgtable-generic.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import pgtable_generic
from sim.kernel.batch.rmap import set_tlb_ubc_flush_pending, should_defer_flush
from sim.ops import Field, Kernel
from sim.structs import Vma


def ptep_clear_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Clear a PTE; flush it, or within a batch note that this is still to do.  Return what stood there.

    Caller holds the ptl.  A construction of ours: in the kernel this choice stands in try_to_unmap_one (72b252aed506,
    v4.3), and who copies on write always flushes; here a task that copies on write has no batch.
    """
    mm = yield vma.vm_mm
    defer = yield from should_defer_flush(k, mm)
    if not defer:
        old = yield from pgtable_generic.ptep_clear_flush(k, vma, address, pte)
        return old
    old = yield pte.xchg(None)
    yield from set_tlb_ubc_flush_pending(k, mm, address, old.dirty)
    return old
