"""Taking rights away from a range of pages, and giving them back: mm/mprotect.c (v3.7).

Of the protection bits only the right to write matters here.  A private page is made read-only either way: if its VMA
may be written, the next write faults and finds out whether the page must be copied first.
"""

from __future__ import annotations

from errno import ENOMEM
from typing import Final

from sim.context import Context
from sim.kernel.mmap import find_vma, neighbours, split_vma, vma_merge
from sim.kernel.pgtable import (
    is_write_migration_entry,
    make_migration_entry_read,
    pmd_addr_end,
    pmd_offset,
    pte_modify,
    pte_offset_map,
    pte_present,
)
from sim.kernel.pgtable_generic import ptep_modify_prot_commit, ptep_modify_prot_start
from sim.kernel.tlb import flush_tlb_range
from sim.ops import Kernel, Point
from sim.structs import VM_WRITE, Mm, PageTable, Vma
from sim.sync import down_write, spin_lock, spin_unlock, up_write

#: The bits of ``prot``, as in the manual of mprotect(2).
PROT_READ: Final = 1
PROT_WRITE: Final = 2


def change_pte_range(k: Context, mm: Mm, pmd: PageTable, addr: int, end: int) -> Kernel:
    """Take the right to write out of the PTEs of [*addr*, *end*), all in one page table.  mm/mprotect.c:38 (v3.7)

    Caller holds mmap_sem to write, and flushes afterwards.  Takes the ptl.  A page that is on its way loses the right
    too: its entry remembers it for the time after the move.
    """
    yield from spin_lock(pmd.ptl)
    yield from k.flush_tlb_batched_pending(mm)
    while addr < end:
        pte = pte_offset_map(pmd, addr)
        oldpte = yield pte
        if pte_present(oldpte):
            entry = yield from ptep_modify_prot_start(k, pte)
            yield from ptep_modify_prot_commit(k, pte, pte_modify(entry))
        elif is_write_migration_entry(oldpte):
            yield pte.set(make_migration_entry_read(oldpte))
        addr += 1
    yield from spin_unlock(pmd.ptl)


def change_protection(k: Context, vma: Vma, addr: int, end: int) -> Kernel:
    """Change the PTEs of [*addr*, *end*), then flush them: once, at the end.  mm/mprotect.c:122 (v3.7)

    Caller holds mmap_sem to write.  A CPU may go on writing through its TLB until the flush is over; then the ptl has
    long been given back.
    """
    mm = yield vma.vm_mm
    start = addr
    while addr < end:
        stop = pmd_addr_end(addr, end)
        table = yield pmd_offset(mm, addr)
        if table is not None:
            yield from change_pte_range(k, mm, table, addr, stop)
        addr = stop
    yield from flush_tlb_range(k, vma, start, end)


def mprotect_fixup(k: Context, vma: Vma, prev: Vma | None, start: int, end: int, newflags: int) -> Kernel:
    """Give [*start*, *end*), which lies in *vma*, the flags *newflags*; return the VMA that it is in then.

    Caller holds mmap_sem to write.  The range joins a neighbour that has these flags already, or else is cut out of
    *vma* at both ends.  *prev* is the VMA before the range, or *vma*.  mm/mprotect.c:145 (v3.7)
    """
    oldflags = yield vma.vm_flags
    if newflags == oldflags:
        return vma
    mm = yield vma.vm_mm
    vm_start = yield vma.vm_start
    vm_pgoff = yield vma.vm_pgoff
    anon_vma = yield vma.anon_vma
    merged = yield from vma_merge(k, mm, prev, start, end, newflags, anon_vma, vm_pgoff + start - vm_start)
    if merged is None:
        yield from _cut_out(k, mm, vma, start, end)
    else:
        vma = merged
    yield vma.vm_flags.set(newflags)
    yield from change_protection(k, vma, start, end)
    return vma


def _cut_out(k: Context, mm: Mm, vma: Vma, start: int, end: int) -> Kernel:
    """Split *vma* at *start* and at *end*, unless it ends there; *vma* is the middle.  (Part of mprotect_fixup.)"""
    vm_start = yield vma.vm_start
    if start != vm_start:
        yield from split_vma(k, mm, vma, start, True)
    vm_end = yield vma.vm_end
    if end != vm_end:
        yield from split_vma(k, mm, vma, end, False)


def sys_mprotect(k: Context, start: int, length: int, prot: int) -> Kernel:
    """``mprotect(2)``: let the pages [*start*, *start* + *length*) be used as *prot* says; return 0 or -ENOMEM.

    Takes mmap_sem to write, and holds it over the flush.  mm/mprotect.c:232 (v3.7)
    """
    yield Point("syscall")
    mm, end = k.mm, start + length
    yield from down_write(mm.mmap_sem)
    error = yield from _mprotect(k, mm, start, end, VM_WRITE if prot & PROT_WRITE else 0)
    yield from up_write(mm.mmap_sem)
    return error


def _mprotect(k: Context, mm: Mm, start: int, end: int, vm_flags: int) -> Kernel:
    """Go through the VMAs of [*start*, *end*), which has no holes.  (The loop of sys_mprotect.)"""
    vma = yield from find_vma(k, mm, start)
    if vma is None:
        return -ENOMEM
    vm_start = yield vma.vm_start
    if start < vm_start:
        return -ENOMEM
    prev, _ = yield from neighbours(k, vma)
    if start > vm_start:
        prev = vma
    while True:
        oldflags = yield vma.vm_flags
        vm_end = yield vma.vm_end
        stop = min(end, vm_end)
        prev = yield from mprotect_fixup(k, vma, prev, start, stop, oldflags & ~VM_WRITE | vm_flags)
        vm_end = yield prev.vm_end
        start = max(stop, vm_end)
        if start >= end:
            return 0
        _, vma = yield from neighbours(k, prev)
        if vma is None:
            return -ENOMEM
        vm_start = yield vma.vm_start
        if vm_start != start:
            return -ENOMEM
