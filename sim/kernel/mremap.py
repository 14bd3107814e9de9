"""Moving a range of pages to other addresses: mm/mremap.c (v3.7).

The frames stay where they are; their PTEs go from one place to another.  A walk that looks for such a PTE meanwhile
finds it for one of two reasons.  Either the mover holds the anon_vma lock (``need_rmap_locks``), or the new VMA stands
behind the old one in the tree, so that who comes to the old place too late is not yet at the new one.

Left out: a size that changes, and an address that the kernel chooses (``MREMAP_FIXED`` is always set).
"""

from __future__ import annotations

from errno import EFAULT, EINVAL, ENOMEM
from typing import Final

from sim.context import Context
from sim.ghosts import after, carry
from sim.kernel import huge_memory
from sim.kernel.memory import __pte_alloc
from sim.kernel.mmap import copy_vma, do_munmap, find_vma
from sim.kernel.pgtable import pmd_addr_end, pmd_offset, pte_none, pte_offset_map
from sim.kernel.tlb import flush_tlb_range
from sim.ops import Kernel, Point
from sim.structs import PTRS_PER_PTE, AnonVma, Mm, PageTable, Pmd, Vma
from sim.sync import down_write, spin_lock, spin_lock_nested, spin_unlock, up_write

#: How many PTEs are moved at a time.  mm/mremap.c:142 (v3.7)
LATENCY_LIMIT: Final = 64


def alloc_new_pmd(k: Context, mm: Mm, addr: int) -> Kernel:
    """See to it that *addr* has a page table; return it, or None if there is no memory for one.  mm/mremap.c:50 (v3.7)

    There always is memory here, unless a world replaces this function.
    """
    table = yield pmd_offset(mm, addr)
    if table is None:
        yield from __pte_alloc(k, mm, addr)
        table = yield pmd_offset(mm, addr)
    return table


def move_ptes(
    k: Context,
    mm: Mm,
    vma: Vma,
    old_pmd: PageTable,
    old_addr: int,
    old_end: int,
    new_pmd: PageTable,
    new_addr: int,
    need_rmap_locks: bool,
) -> Kernel:
    """Move the PTEs of [*old_addr*, *old_end*) from one page table to another, or within one.  mm/mremap.c:71 (v3.7)

    Caller holds mmap_sem to write, so that nobody else takes two ptls of this mm.  Takes the anon_vma lock if
    *need_rmap_locks*, and the ptls, the old one first.  Flushes nothing: a CPU can use a page through its old address
    while a walk already finds it, and flushes it, at its new one.  (The kernel takes *mm* from *vma*.)
    """
    anon_vma: AnonVma | None = None
    if need_rmap_locks:
        anon_vma = yield vma.anon_vma
        if anon_vma is not None:
            yield from k.anon_vma_lock_write(anon_vma)
    yield from spin_lock(old_pmd.ptl)
    if new_pmd is not old_pmd:
        yield from spin_lock_nested(new_pmd.ptl)
    yield from k.flush_tlb_batched_pending(mm)
    yield from _move_each_pte(k, vma, old_pmd, old_addr, old_end, new_pmd, new_addr)
    if new_pmd is not old_pmd:
        yield from spin_unlock(new_pmd.ptl)
    yield from spin_unlock(old_pmd.ptl)
    if anon_vma is not None:
        yield from k.anon_vma_unlock_write(anon_vma)


def _move_each_pte(
    k: Context, vma: Vma, old_pmd: PageTable, old_addr: int, old_end: int, new_pmd: PageTable, new_addr: int
) -> Kernel:
    """Take each PTE out of its old place and put it into the new.  (The loop of move_ptes.)

    Caller holds both ptls.  For one step the page has no PTE at all.
    """
    by = new_addr - old_addr
    used = yield k.mm.used_of_512
    while old_addr < old_end:
        old_pte = pte_offset_map(old_pmd, old_addr)
        entry = yield old_pte
        if not pte_none(entry):
            entry = yield old_pte.xchg(None)
            yield pte_offset_map(new_pmd, old_addr + by).set(entry)
        old_addr = after(old_addr, used)


def move_page_tables(
    k: Context, vma: Vma, old_addr: int, new_vma: Vma, new_addr: int, length: int, need_rmap_locks: bool
) -> Kernel:
    """Move *length* PTEs from *old_addr* in *vma* to *new_addr* in *new_vma*; return how many addresses were done.

    Caller holds mmap_sem to write, or is the only one to know the mm.  One flush at the end, of the old addresses.
    mm/mremap.c:144 (v3.7)
    """
    mm = yield vma.vm_mm
    start, new_start, old_end = old_addr, new_addr, old_addr + length
    while old_addr < old_end:
        extent = pmd_addr_end(old_addr, old_end) - old_addr
        old_pmd = yield pmd_offset(mm, old_addr)
        if isinstance(old_pmd, Pmd):
            old_pmd = yield from _move_huge(k, mm, vma, old_addr, new_addr, extent, need_rmap_locks)
        if old_pmd is not None:
            new_pmd = yield from alloc_new_pmd(k, mm, new_addr)
            if new_pmd is None:
                break
            extent = min(extent, pmd_addr_end(new_addr, new_addr + extent) - new_addr, LATENCY_LIMIT)
            stop = old_addr + extent
            yield from move_ptes(k, mm, vma, old_pmd, old_addr, stop, new_pmd, new_addr, need_rmap_locks)
        old_addr += extent
        new_addr += extent
    yield from _flush_moved(k, vma, start, old_addr)
    yield from carry(mm, start, old_addr, new_start)
    return old_addr - start


def _move_huge(
    k: Context, mm: Mm, vma: Vma, old_addr: int, new_addr: int, extent: int, need_rmap_locks: bool
) -> Kernel:
    """Move a huge page, or split it; return None, or the page table that it is now.  (Part of move_page_tables.)"""
    err = 0
    if extent == PTRS_PER_PTE:
        err = yield from _move_huge_pmd(k, vma, old_addr, new_addr, need_rmap_locks)
    if err > 0:
        return None
    if err == 0:
        yield from huge_memory.__split_huge_page_pmd(k, mm, pmd_offset(mm, old_addr))
    table = yield pmd_offset(mm, old_addr)
    if isinstance(table, Pmd):
        yield from huge_memory.bug_on(k, True, f"{table.page} is still huge, although its split was over", table.page)
    return table


def _move_huge_pmd(k: Context, vma: Vma, old_addr: int, new_addr: int, need_rmap_locks: bool) -> Kernel:
    """Move a huge page without the anon_vma lock, even if *need_rmap_locks*: a split may find it at neither place.

    (The call in move_page_tables.  Mended by dd18dbc2d42a, May 2014.)
    """
    err = yield from huge_memory.move_huge_pmd(k, vma, old_addr, new_addr)
    return err


def _flush_moved(k: Context, vma: Vma, start: int, end: int) -> Kernel:
    """Flush the addresses from which PTEs were taken, if there were page tables.  (The end of move_page_tables.)"""
    if start < end:
        yield from flush_tlb_range(k, vma, start, end)


def move_vma(k: Context, vma: Vma, old_addr: int, length: int, new_addr: int) -> Kernel:
    """Move [*old_addr*, *old_addr* + *length*) of *vma* to *new_addr*; return the new address or -ENOMEM.

    Caller holds mmap_sem to write.  A VMA is made for the new place, or a neighbour there grows; the PTEs are moved;
    the old range is unmapped.  If there is no memory for a page table, what was moved is moved back, always under the
    anon_vma lock, since now the destination is the older one; then the new range is unmapped.  mm/mremap.c:209 (v3.7)
    """
    mm = yield vma.vm_mm
    vm_start = yield vma.vm_start
    vm_pgoff = yield vma.vm_pgoff
    pgoff = vm_pgoff + old_addr - vm_start
    vma, new_vma, need_rmap_locks = yield from copy_vma(k, vma, new_addr, length, pgoff)
    moved = yield from move_page_tables(k, vma, old_addr, new_vma, new_addr, length, need_rmap_locks)
    if moved < length:
        yield from move_page_tables(k, new_vma, new_addr, vma, old_addr, moved, True)
        old_addr, new_addr = new_addr, -ENOMEM
    yield from do_munmap(k, mm, old_addr, length)
    return new_addr


def vma_to_resize(k: Context, addr: int, old_len: int) -> Kernel:
    """The VMA in which [*addr*, *addr* + *old_len*) lies, or None.  Caller holds mmap_sem.  mm/mremap.c:310 (v3.7)"""
    vma = yield from find_vma(k, k.mm, addr)
    if vma is None:
        return None
    vm_start = yield vma.vm_start
    vm_end = yield vma.vm_end
    return vma if vm_start <= addr and addr + old_len <= vm_end else None


def mremap_to(k: Context, addr: int, length: int, new_addr: int) -> Kernel:
    """Move a range to *new_addr*, where what is mapped is unmapped first; return the new address or an error.

    Caller holds mmap_sem to write.  mm/mremap.c:369 (v3.7)
    """
    if addr < new_addr + length and new_addr < addr + length:
        return -EINVAL
    yield from do_munmap(k, k.mm, new_addr, length)
    vma = yield from vma_to_resize(k, addr, length)
    if vma is None:
        return -EFAULT
    ret = yield from move_vma(k, vma, addr, length, new_addr)
    return ret


def sys_mremap(k: Context, addr: int, length: int, new_addr: int) -> Kernel:
    """``mremap(2)`` with ``MREMAP_FIXED``: move *length* pages from *addr* to *new_addr*.

    Takes mmap_sem to write.  Returns the new address, -EINVAL if the two ranges overlap, -EFAULT if the old one is not
    in one VMA, or -ENOMEM.  mm/mremap.c:451 (v3.7)
    """
    yield Point("syscall")
    yield from down_write(k.mm.mmap_sem)
    ret = yield from mremap_to(k, addr, length, new_addr)
    yield from up_write(k.mm.mmap_sem)
    return ret
