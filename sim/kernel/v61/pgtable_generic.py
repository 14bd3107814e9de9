"""Clearing a PTE and flushing it, as Linux 6.1 does.  mm/pgtable-generic.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable import pte_numa
from sim.kernel.tlb import flush_tlb_page
from sim.ops import Field, Kernel
from sim.structs import Mm, Pte, Vma


def ptep_clear_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Clear a PTE; drop it from the TLBs only if a CPU may still use it.  Return what stood there.

    Caller holds the ptl.  mm/pgtable-generic.c (v6.1)
    """
    mm = yield vma.vm_mm
    old = yield pte.xchg(None)
    accessible = yield from pte_accessible(k, mm, old)
    if accessible:
        yield from flush_tlb_page(k, vma, address)
    return old


def pte_accessible(k: Context, mm: Mm, a: Pte | None) -> Kernel:
    """Whether a TLB may hold *a*: it is present, or was made PROT_NONE by somebody who has not flushed yet.

    The second half came with 20841405940e (v3.13).  arch/x86/include/asm/pgtable.h (v6.1)
    """
    if not pte_numa(a):
        return a is not None and a.kind == "present"
    pending = yield from mm_tlb_flush_pending(k, mm)
    return pending


def mm_tlb_flush_pending(k: Context, mm: Mm) -> Kernel:
    """Whether somebody has changed PTEs of *mm* and not flushed yet.  include/linux/mm_types.h (v6.1)"""
    pending = yield mm.tlb_flush_pending
    return bool(pending)


def inc_tlb_flush_pending(k: Context, mm: Mm) -> Kernel:
    """The caller is going to change PTEs of *mm*, and will flush once at the end.  include/linux/mm_types.h (v6.1)"""
    yield mm.tlb_flush_pending.add(1)


def dec_tlb_flush_pending(k: Context, mm: Mm) -> Kernel:
    """The caller has flushed.  include/linux/mm_types.h (v6.1)"""
    yield mm.tlb_flush_pending.add(-1)
