"""Flushing a batch.  arch/x86/mm/tlb.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.v61.tlb import flush_tlb_func, native_flush_tlb_multi
from sim.ops import Kernel, Point
from sim.structs import TlbflushUnmapBatch


def arch_tlbbatch_flush(k: Context, batch: TlbflushUnmapBatch) -> Kernel:
    """Have every CPU that may remember any of the *batch* make all flushes that it lacks; wait for them.

    Lazy CPUs are left alone: each flush of the batch has its number.  arch/x86/mm/tlb.c (v6.3)
    """
    yield Point("arch_tlbbatch_flush")
    (mm, first, end), more = batch.ranges[0], batch.ranges[1:]
    if set(batch.cpumask) - {k.cpu}:
        yield from native_flush_tlb_multi(k, batch.cpumask, mm, first, end, 0, more)
    elif k.cpu in batch.cpumask:
        yield from flush_tlb_func(k, mm, first, end, 0)
