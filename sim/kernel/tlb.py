"""Flushing pages from every TLB that may hold them.  arch/x86/mm/tlb.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.smp import smp_call_function_many
from sim.ops import TLB_FLUSH_ALL, HandleIpi, Invlpg, Kernel, Point
from sim.structs import Mm, Vma


def flush_tlb_page(k: Context, vma: Vma, start: int) -> Kernel:
    """Drop the page at *start* from this CPU's TLB and from those of all CPUs in the mm's cpumask.

    Returns when the last of them has answered, so a caller with a ptl spins with it held.
    arch/x86/mm/tlb.c:238 (v3.7)
    """
    yield Point("tlb_flush")
    mm = yield vma.vm_mm
    if k.mm is mm:
        yield Invlpg(mm, start)
    mask = yield mm.cpu_vm_mask
    if set(mask) - {k.cpu}:
        yield from native_flush_tlb_others(k, mm, start, 0)


def flush_tlb_range(k: Context, vma: Vma, start: int, end: int) -> Kernel:
    """Drop the pages from *start* to before *end* from every TLB that may hold them.

    arch/x86/include/asm/tlbflush.h:140 (v3.7)
    """
    mm = yield vma.vm_mm
    yield from flush_tlb_mm_range(k, mm, start, end)


def flush_tlb_mm(k: Context, mm: Mm) -> Kernel:
    """Drop all pages of *mm* from every TLB that may hold them.  arch/x86/include/asm/tlbflush.h:138 (v3.7)"""
    yield from flush_tlb_mm_range(k, mm, 0, TLB_FLUSH_ALL)


def flush_tlb_mm_range(k: Context, mm: Mm, start: int, end: int) -> Kernel:
    """Drop the pages from *start* to before *end* (or all of *mm*) from every TLB that may hold them.

    Returns when the last CPU has answered.  Who runs in another address space has the others drop everything.  The
    kernel drops everything too where single pages would take longer; that makes no difference here.
    arch/x86/mm/tlb.c:184 (v3.7)
    """
    yield Point("tlb_flush")
    if k.mm is mm:
        yield Invlpg(mm, start, end)
    else:
        start, end = 0, TLB_FLUSH_ALL
    mask = yield mm.cpu_vm_mask
    if set(mask) - {k.cpu}:
        yield from native_flush_tlb_others(k, mm, start, end)


def native_flush_tlb_others(k: Context, mm: Mm, start: int, end: int) -> Kernel:
    """Have the other CPUs drop the pages from *start* to before *end*, and wait for them.

    *end* is 0 for the one page at *start*, TLB_FLUSH_ALL for all of *mm*.  arch/x86/mm/tlb.c:124 (v3.7)
    """
    yield from smp_call_function_many(k, mm, start, end)


def flush_tlb_func(k: Context) -> Kernel:
    """What a CPU's interrupt handler does for as long as the machine runs: answer flush requests, one a step.

    Takes no lock, so that a CPU which spins for a ptl still answers.  arch/x86/mm/tlb.c:97 (v3.7)
    """
    while True:
        yield HandleIpi()
