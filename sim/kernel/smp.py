"""Asking other CPUs to do something, and waiting until they have.  kernel/smp.c"""

from __future__ import annotations

from sim.context import Context
from sim.ops import Kernel, SendIpi, Until
from sim.structs import Mm


def smp_call_function_many(k: Context, mm: Mm, start: int, end: int) -> Kernel:
    """Interrupt every other CPU in *mm*'s cpumask to drop pages; spin until each has done so.

    Which pages *start* and *end* say, as in :func:`sim.kernel.tlb.native_flush_tlb_others`.
    The kernel passes any function; here it is always ``flush_tlb_func``.  Between the sending and a CPU's answer
    that CPU goes on using its old entry.  kernel/smp.c:447 (v3.7)
    """
    yield SendIpi(mm, start, end)
    yield Until(k.cpu.csd_pending, 0)
