"""Moving a huge page to another address, and flushing where it was in time.  mm/huge_memory.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.huge_memory import __pmd_trans_huge_lock
from sim.kernel.pgtable import pmd_offset, pte_index
from sim.kernel.tlb import flush_tlb_range
from sim.ops import Kernel
from sim.structs import PTRS_PER_PTE, Vma
from sim.sync import spin_unlock


def move_huge_pmd(k: Context, vma: Vma, old_addr: int, new_addr: int) -> Kernel:
    """Move the huge page that *vma* maps at *old_addr*, and flush that before page_table_lock is given back.

    Returns 1, or 0 if it must be split, or -1 if it has been.  Caller holds mmap_sem to write.  The flush came with
    eb66ae030829 (v4.20).  mm/huge_memory.c (v6.1)
    """
    mm = yield vma.vm_mm
    if pte_index(old_addr) or pte_index(new_addr):
        return 0
    there = yield pmd_offset(mm, new_addr)
    if there is not None:
        return 0
    ret = yield from __pmd_trans_huge_lock(k, pmd_offset(mm, old_addr), vma)
    if ret == 1:
        entry = yield pmd_offset(mm, old_addr).xchg(None)
        yield pmd_offset(mm, new_addr).set(entry)
        yield from flush_tlb_range(k, vma, old_addr, old_addr + PTRS_PER_PTE)
        yield from spin_unlock(mm.page_table_lock)
    return ret
