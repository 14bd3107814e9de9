"""Flushing one page from every TLB that may hold it.  arch/x86/mm/tlb.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.smp import smp_call_function_many
from sim.ops import HandleIpi, Invlpg, Kernel, Point
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
        yield from native_flush_tlb_others(k, mm, start)


def native_flush_tlb_others(k: Context, mm: Mm, start: int) -> Kernel:
    """Have the other CPUs drop the page at *start*, and wait for them.  arch/x86/mm/tlb.c:124 (v3.7)"""
    yield from smp_call_function_many(k, mm, start)


def flush_tlb_func(k: Context) -> Kernel:
    """What a CPU's interrupt handler does for as long as the machine runs: answer flush requests, one a step.

    Takes no lock, so that a CPU which spins for a ptl still answers.  arch/x86/mm/tlb.c:97 (v3.7)
    """
    while True:
        yield HandleIpi()
