"""The batch of flushes that a task has put off.  mm/rmap.c since v4.3

``current->tlb_ubc`` is None unless the task is in the middle of unmapping many pages.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.tlb import flush_tlb_mm_range
from sim.ops import Invlpg, Kernel, Point, SendIpi, Until
from sim.structs import Mm, TlbflushUnmapBatch


def init_tlb_ubc(k: Context) -> Kernel:
    """Begin a batch, unless the task has one already; return whether it was begun.

    A construction of ours.  As first merged (72b252aed506, v4.3) it was emptied whatever was in it, so that reclaim
    within reclaim lost a flush (B6).
    """
    batch = yield k.current.tlb_ubc
    if batch is not None:
        return False
    yield k.current.tlb_ubc.set(TlbflushUnmapBatch())
    return True


def exit_tlb_ubc(k: Context) -> Kernel:
    """End the batch, which has been flushed: from now on each PTE is flushed at once.  A construction of ours.

    The kernel need not say when a batch ends; who unmaps says each time whether the flush may be put off
    (``TTU_BATCH_FLUSH``).
    """
    yield k.current.tlb_ubc.set(None)


def should_defer_flush(k: Context, mm: Mm) -> Kernel:
    """Whether the flush of a PTE of *mm* is to be put off: in a batch, if it would interrupt anybody.

    mm/rmap.c (72b252aed506, v4.3)
    """
    batch = yield k.current.tlb_ubc
    if batch is None:
        return False
    mask = yield mm.cpu_vm_mask
    return bool(set(mask) - {k.cpu})


def set_tlb_ubc_flush_pending(k: Context, mm: Mm, address: int, writable: bool) -> Kernel:
    """The PTE of *address* has been cleared and not flushed: note it for this task, and for whoever changes *mm*.

    Caller holds the ptl.  *writable*: some CPU may write through its TLB without asking the page table, because the PTE
    was dirty.  The note on *mm* came later (3ea277194daa, v4.13).  mm/rmap.c (72b252aed506, v4.3)
    """
    batch = yield k.current.tlb_ubc
    mask = yield mm.cpu_vm_mask
    cpus = tuple(sorted({*batch.cpumask, *mask}, key=str))
    ranges = _with_page(batch.ranges, mm, address)
    yield k.current.tlb_ubc.set(TlbflushUnmapBatch(True, batch.writable or writable, cpus, ranges))
    pending = yield mm.tlb_flush_batched
    first, end = pending or (address, address)
    yield mm.tlb_flush_batched.set((min(first, address), max(end, address + 1)))


def _with_page(ranges: tuple[tuple[Mm, int, int], ...], mm: Mm, address: int) -> tuple[tuple[Mm, int, int], ...]:
    """*ranges* with one more page: the last of them grows, or there is one more."""
    if ranges and ranges[-1][0] is mm and ranges[-1][2] == address:
        return (*ranges[:-1], (mm, ranges[-1][1], address + 1))
    return (*ranges, (mm, address, address + 1))


def try_to_unmap_flush(k: Context) -> Kernel:
    """Flush the batch: one interrupt for each CPU, however many pages.  Returns when the last CPU has answered.

    mm/rmap.c (72b252aed506, v4.3)
    """
    batch = yield k.current.tlb_ubc
    if batch is None or not batch.flush_required:
        return
    yield Point("tlb_flush")
    if k.cpu in batch.cpumask:
        ranges = batch.ranges
        while ranges:
            (mm, first, end), ranges = ranges[0], ranges[1:]
            yield Invlpg(mm, first, end)
    if set(batch.cpumask) - {k.cpu}:
        yield from _interrupt(k, batch)
    yield k.current.tlb_ubc.set(TlbflushUnmapBatch())


def _interrupt(k: Context, batch: TlbflushUnmapBatch) -> Kernel:
    """Have the other CPUs of *batch* drop its pages, and wait for them.  (smp_call_function_many with its cpumask.)"""
    mm, first, end = batch.ranges[0]
    yield SendIpi(mm, first, end, batch.cpumask, batch.ranges[1:])
    yield Until(k.cpu.csd_pending, 0)


def try_to_unmap_flush_dirty(k: Context) -> Kernel:
    """Flush the batch if a CPU may still write through what it remembers.

    Where none may, the hardware stops the first write: it asks the page table before it marks a PTE dirty.
    mm/rmap.c (72b252aed506, v4.3)
    """
    batch = yield k.current.tlb_ubc
    if batch is not None and batch.writable:
        yield from try_to_unmap_flush(k)


def flush_tlb_batched_pending(k: Context, mm: Mm) -> Kernel:
    """Flush what others have cleared in *mm* and perhaps not flushed, so that what follows can go by the PTEs.

    Caller holds a ptl of *mm*.  Nobody takes note when a batch is flushed, so that this may flush once too often.
    mm/rmap.c (3ea277194daa, v4.13)
    """
    pending = yield mm.tlb_flush_batched
    if pending is None:
        return
    first, end = pending
    yield from flush_tlb_mm_range(k, mm, first, end)
    yield mm.tlb_flush_batched.set(None)
