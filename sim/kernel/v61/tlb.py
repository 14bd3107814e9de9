"""Flushing by number, and CPUs that are left alone until they need it.  arch/x86/mm/tlb.c

Each flush of an address space has a number, and each CPU knows which it has made.  A CPU that runs no thread of the
address space (lazy TLB mode) is not interrupted; before it runs one again it looks whether it has missed any.
"""

from __future__ import annotations

from sim.context import Context
from sim.ops import AskFlush, FlushTlb, Kernel, Point, SendIpi, Until
from sim.structs import Cpu, Mm, Vma


def flush_tlb_page(k: Context, vma: Vma, a: int) -> Kernel:
    """Drop the page at *a* from every TLB that may hold it.  arch/x86/include/asm/tlbflush.h (v6.1)"""
    mm = yield vma.vm_mm
    yield from flush_tlb_mm_range(k, mm, a, a + 1)


def flush_tlb_mm_range(k: Context, mm: Mm, start: int, end: int) -> Kernel:
    """Drop the pages from *start* to before *end* (or all of *mm*) from every TLB that may hold them.

    Returns when the last CPU that was asked has answered.  The flush gets its number before anybody looks which CPUs
    are lazy.  Left out: a flush that frees page tables asks lazy CPUs too, for the sake of what they prefetch.
    arch/x86/mm/tlb.c (v6.1)
    """
    yield Point("tlb_flush")
    yield Point("flush_tlb_mm_range")
    new_tlb_gen = yield AskFlush(mm, start, end)
    mask = yield mm.cpu_vm_mask
    if set(mask) - {k.cpu}:
        yield from native_flush_tlb_multi(k, mask, mm, start, end, new_tlb_gen)
    elif k.mm is mm:
        yield from flush_tlb_func(k, mm, start, end, new_tlb_gen)


def native_flush_tlb_multi(
    k: Context,
    cpumask: tuple[Cpu, ...],
    mm: Mm,
    start: int,
    end: int,
    new_tlb_gen: int,
    more: tuple[tuple[Mm, int, int], ...] = (),
) -> Kernel:
    """Have the CPUs of *cpumask* make flush *new_tlb_gen* of *mm*, this one too; wait for them.

    *more*: further (mm, first, end), of a batch; its flushes have been numbered, so *new_tlb_gen* is 0.  The others are
    interrupted first, but for those that are lazy.  arch/x86/mm/tlb.c (v6.1)
    """
    yield Point("tlb_flush_remote_send")
    others = tuple(cpu for cpu in cpumask if cpu is not k.cpu)
    cpus: tuple[Cpu, ...] = ()
    while others:
        cpu, others = others[0], others[1:]
        not_lazy = yield from tlb_is_not_lazy(k, cpu)
        if not_lazy:
            cpus = (*cpus, cpu)
    if cpus:
        yield SendIpi(mm, start, end, cpus, more, new_tlb_gen)
    if k.cpu in cpumask:
        yield from flush_tlb_func(k, mm, start, end, new_tlb_gen)
    if cpus:
        yield Until(k.cpu.csd_pending, 0)


def tlb_is_not_lazy(k: Context, cpu: Cpu) -> Kernel:
    """Whether *cpu* must be interrupted: it runs a thread of the address space that it has loaded.

    arch/x86/mm/tlb.c (v6.1)
    """
    is_lazy = yield cpu.is_lazy
    if is_lazy:
        yield Point("tlb_lazy_skipped")
    return not is_lazy


def flush_tlb_func(k: Context, mm: Mm, start: int, end: int, new_tlb_gen: int) -> Kernel:
    """This CPU's part of a flush, unless it has loaded another address space than *mm*; 0 is a batch, of any.

    What the others' interrupt handlers do is :func:`sim.hardware.handle_ipi`.  arch/x86/mm/tlb.c (v6.1)
    """
    if new_tlb_gen and k.mm is not mm:
        return
    yield Point("tlb_flush_local")
    yield FlushTlb(k.mm, start, end, new_tlb_gen)


def enter_lazy_tlb(k: Context, mm: Mm) -> Kernel:
    """This CPU's thread goes to sleep, and nobody else of *mm* runs: what is loaded stays.

    A CPU that has something else to do than to be idle keeps it too, for as long as that is a kernel thread.
    arch/x86/mm/tlb.c (v6.1)
    """
    yield k.cpu.is_lazy.set(True)


def switch_mm_irqs_off(k: Context, mm: Mm) -> Kernel:
    """This CPU runs a thread of *mm* again, which it has never unloaded: make the flushes that it has missed.

    First it says that it is lazy no more, then it looks: whoever asks for a flush later interrupts it, whoever has
    asked before has left its number.  arch/x86/mm/tlb.c (v6.1)
    """
    yield k.cpu.is_lazy.set(False)
    yield FlushTlb(mm)
