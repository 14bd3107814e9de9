"""NUMA hints, one page a fault.  mm/memory.c

Left out: the hint on a whole page table (``do_pmd_numa_page``), which serves its 512 pages in one fault as numa/core
does; statistics; and the policy.  The best node of a page is the node of the CPU that faults on it, at its first
fault; in 3.8 at the second that comes from there (``page_xchg_last_nid``).
"""

from __future__ import annotations

from typing import Final

from sim.context import Context
from sim.kernel.pgtable import pmd_offset, pte_numa, pte_offset_map
from sim.kernel.swap import get_page, put_page
from sim.kernel.v38.migrate import migrate_misplaced_page
from sim.ops import Kernel
from sim.structs import Mm, Page, Vma
from sim.sync import spin_lock, spin_unlock

#: No node.
NUMA_NO_NODE: Final = -1


def numa_migrate_prep(k: Context, page: Page) -> Kernel:
    """Take a reference to *page*; return the node on which it should lie, or -1 if it lies there.

    Caller holds the ptl of the PTE that maps it.  mm/memory.c:3439 (v3.8)
    """
    yield from get_page(k, page)
    nid = yield page.node
    return NUMA_NO_NODE if nid == k.node else k.node


def do_numa_page(k: Context, mm: Mm, vma: Vma, address: int) -> Kernel:
    """Make the PTE of *address* usable again, then move its page if it lies on the wrong node.

    Caller holds mmap_sem, to read at least.  Takes the ptl, and drops it before the migration, which has a reference
    of its own.  The PTE allows more than before, so nothing is flushed; and because it is present again, the
    migration's own flush has work to do, and other threads go on using the page until then.  mm/memory.c:3451 (v3.8)
    """
    table = yield pmd_offset(mm, address)
    pte = pte_offset_map(table, address)
    yield from spin_lock(table.ptl)
    entry = yield pte
    if not pte_numa(entry):
        yield from spin_unlock(table.ptl)
        return
    yield pte.set(entry._replace(kind="present"))
    target_nid = yield from numa_migrate_prep(k, entry.page)
    yield from spin_unlock(table.ptl)
    if target_nid == NUMA_NO_NODE:
        yield from put_page(k, entry.page)
        return
    yield from migrate_misplaced_page(k, entry.page, target_nid)  # drops the reference
