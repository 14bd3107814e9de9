"""Moving PTEs, and flushing where they were in time.  mm/mremap.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import huge_memory, mremap
from sim.kernel.tlb import flush_tlb_range
from sim.ops import Kernel
from sim.structs import PageTable, Vma


def _move_each_pte(
    k: Context, vma: Vma, old_pmd: PageTable, old_addr: int, old_end: int, new_pmd: PageTable, new_addr: int
) -> Kernel:
    """Move the PTEs, and flush the old addresses while both ptls are held (eb66ae030829, v4.20).

    (The loop of move_ptes, and what comes after it.)
    """
    yield from mremap._move_each_pte(k, vma, old_pmd, old_addr, old_end, new_pmd, new_addr)
    yield from flush_tlb_range(k, vma, old_addr, old_end)


def _flush_moved(k: Context, vma: Vma, start: int, end: int) -> Kernel:
    """Nothing: there is nothing left to flush.  (What the end of move_page_tables was.)"""
    yield from ()


def _move_huge_pmd(k: Context, vma: Vma, old_addr: int, new_addr: int, need_rmap_locks: bool) -> Kernel:
    """Move a huge page, under the anon_vma lock if its PTEs would be moved under it (dd18dbc2d42a, v3.15).

    Under that lock nobody splits the page, so it is never waited for.  (The call in move_page_tables.)
    """
    anon_vma = None
    if need_rmap_locks:
        anon_vma = yield vma.anon_vma
    if anon_vma is not None:
        yield from k.anon_vma_lock_write(anon_vma)
    err = yield from huge_memory.move_huge_pmd(k, vma, old_addr, new_addr)
    if anon_vma is not None:
        yield from k.anon_vma_unlock_write(anon_vma)
    return err
